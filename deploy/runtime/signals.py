"""Ctrl-C and SIGTERM: as an event, or as KeyboardInterrupt.

The latter comes never in the middle of starting a process.

An exception that a signal handler raises while Python forks is dropped by the hooks that run there,
and the lock of the logging module, which one of those hooks was about to release, then stays locked
for ever. Also, a new process must be recorded before any other code runs.
"""

from __future__ import annotations

import asyncio
import os
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

_SIGNALS = (signal.SIGTERM, signal.SIGINT)


def stop_event() -> threading.Event:
    """Return an event that either signal sets from now on. Call this in the main thread.

    A handler runs in the main thread between any two steps of it, also while that thread holds the
    event's lock, and would then wait for itself: it only writes to a pipe, and another thread sets
    the event.
    """
    stop = threading.Event()
    read, write = os.pipe()

    def set_when_told() -> None:
        os.read(read, 1)
        stop.set()

    threading.Thread(target=set_when_told, name="stop-signal", daemon=True).start()
    for number in _SIGNALS:
        signal.signal(number, lambda *_: os.write(write, b"."))
    return stop


def async_stop_event() -> asyncio.Event:
    """Return an event that either signal sets from now on. Call this in the running loop."""
    stop = asyncio.Event()
    for number in _SIGNALS:
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    return stop


class Interrupts:
    """A handler of both signals between `install` and `restore`. For the main thread."""

    def __init__(self) -> None:
        self.seen = False
        self._deferred = False
        self._before: dict[int, Any] = {}

    def install(self) -> None:
        """Make either signal raise KeyboardInterrupt from now on."""
        for number in _SIGNALS:
            self._before[number] = signal.signal(number, self._handle)

    def redirect(self, function: Callable[[], None]) -> None:
        """Make either signal call this function from now on, and raise nothing."""
        for number in self._before:
            signal.signal(number, lambda *_: function())

    def restore(self) -> None:
        """Restore the previous handlers of both signals."""
        for number, handler in self._before.items():
            signal.signal(number, handler)
        self._before.clear()

    @contextmanager
    def deferred(self) -> Iterator[None]:
        """Only record a signal within the context; raise at its end."""
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
