"""Pauses between attempts, ended at once when the process is asked to stop."""

from __future__ import annotations

import asyncio

from schemas.backoff import backoff_s

_FIRST_S = 0.1


class ShutdownRequested(Exception):
    """The process is asked to stop; unfinished work is left to the next start."""


class Backoff:
    """The pauses between attempts of one operation."""

    def __init__(self, stop: asyncio.Event, longest_s: float) -> None:
        self._stop = stop
        self._longest_s = longest_s
        #: The number of failed attempts that a pause followed.
        self.attempts = 0

    @property
    def next_s(self) -> float:
        """Return the length of the next pause."""
        return backoff_s(self.attempts, first_s=_FIRST_S, longest_s=self._longest_s)

    async def wait(self) -> None:
        """Pause. Raises `ShutdownRequested` as soon as the stop comes."""
        pause = self.next_s
        self.attempts += 1
        try:
            await asyncio.wait_for(self._stop.wait(), pause)
        except TimeoutError:
            return
        raise ShutdownRequested
