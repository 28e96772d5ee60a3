"""Pauses between attempts: doubling, bounded, ended at once by a stop."""

from __future__ import annotations

import asyncio

_FIRST_S = 0.1


class Stopped(Exception):
    """The process is asked to stop; unfinished work is left to the next start."""


class Backoff:
    """The pauses between attempts of one operation."""

    def __init__(self, stop: asyncio.Event, longest_s: float) -> None:
        self._stop = stop
        self._longest_s = longest_s
        self.attempts = 0
        #: The length of the next pause.
        self.next_s = min(_FIRST_S, longest_s)

    async def wait(self) -> None:
        """Pause. Raises `Stopped` as soon as the stop comes."""
        pause, self.next_s = self.next_s, min(self.next_s * 2, self._longest_s)
        self.attempts += 1
        try:
            await asyncio.wait_for(self._stop.wait(), pause)
        except TimeoutError:
            return
        raise Stopped
