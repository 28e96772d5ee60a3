"""Limits that hold for the gateway as a whole: memory of bodies, events a second of a source."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from ingest.gateway.config import Source


class Budget:
    """The bytes that all bodies together may hold."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self.used = 0

    def take(self, size: int) -> bool:
        """Reserve `size` bytes; return False, and reserve nothing, when they are not left."""
        if self.used + size > self._limit:
            return False
        self.used += size
        return True

    def give(self, size: int) -> None:
        """Release `size` bytes."""
        self.used -= size


class Rates:
    """A token bucket per source that has a limit. Each event takes a token, and each request one.

    The size of a request is known only once it is read, so a request is admitted when there is a
    token for one event (or the bucket is full, where it holds less) and may bring the bucket into
    debt; the next waits until that is paid.
    """

    def __init__(self, sources: Iterable[Source], monotonic: Callable[[], float]) -> None:
        self._monotonic = monotonic
        now = monotonic()
        self._limits = {s.name: s.rate for s in sources if s.rate is not None}
        self._levels = {name: (rate.burst, now) for name, rate in self._limits.items()}

    def wait_s(self, source: str) -> float | None:
        """Return None when the source may send now, otherwise the seconds to wait."""
        rate = self._limits.get(source)
        if rate is None:
            return None
        lacking = min(1.0, rate.burst) - self._level(source)
        return None if lacking <= 0 else max(lacking / rate.events_per_s, 1.0)

    def count(self, source: str, events: int) -> None:
        """Count events that the source has sent."""
        if source in self._limits:
            self._levels[source] = (self._level(source) - events, self._monotonic())

    def _level(self, source: str) -> float:
        rate = self._limits[source]
        level, then = self._levels[source]
        return min(rate.burst, level + (self._monotonic() - then) * rate.events_per_s)
