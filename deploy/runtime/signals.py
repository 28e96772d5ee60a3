"""Ctrl-C and SIGTERM as KeyboardInterrupt, but never in the middle of starting a process.

What a signal handler raises while Python forks is dropped by the hooks that it runs there, and the
lock of the logging module, which one of those hooks was about to release, then stays taken for
ever. And a process that was just made must be entered somewhere before anything else happens.
"""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any


class Interrupts:
    """Takes both signals between `take` and `give_back`. For the main thread."""

    def __init__(self) -> None:
        self.seen = False
        self._deferred = False
        self._before: dict[int, Any] = {}

    def take(self) -> None:
        """From now on either signal raises KeyboardInterrupt."""
        for number in (signal.SIGTERM, signal.SIGINT):
            self._before[number] = signal.signal(number, self._handle)

    def call_instead(self, function: Callable[[], None]) -> None:
        """From now on either signal calls this, and raises nothing."""
        for number in self._before:
            signal.signal(number, lambda *_: function())

    def give_back(self) -> None:
        """From now on the signals do again what they did before."""
        for number, handler in self._before.items():
            signal.signal(number, handler)
        self._before.clear()

    @contextmanager
    def deferred(self) -> Iterator[None]:
        """Within, a signal is only remembered; at the end it raises."""
        self._deferred = True
        try:
            yield
        finally:
            self._deferred = False
        if self.seen:
            raise KeyboardInterrupt

    def _handle(self, *_: object) -> None:
        self.seen = True
        if not self._deferred:
            raise KeyboardInterrupt
