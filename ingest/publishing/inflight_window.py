"""The bound on bytes that wait for Kafka: as many as it acknowledges while their senders wait.

A fixed bound is wrong as soon as Kafka is slow. Records that wait longer than their request does
are sent for nobody: the sender has given up and sends again, and in the end Kafka works for
repetitions alone. So the bound follows the rate of the acknowledgements (Little's law: waiting
bytes = bytes a second * seconds of waiting), and a request that does not fit is refused at once.
"""

from __future__ import annotations

from typing import NamedTuple


class Entry(NamedTuple):
    """Bytes that were admitted: how many, when, and how many then waited with them."""

    size: int
    at: float
    waiting: int


class Window:
    """The waiting bytes, and their bound. Times in seconds of any clock that never goes back."""

    def __init__(self, floor: int, ceiling: int, target_s: float) -> None:
        """Start with a bound of `ceiling` bytes, which stays between `floor` and that.

        `target_s` is the longest that an acknowledgement should take: some fraction of the time
        for which a request waits, because the bound overshoots by up to its double.
        """
        self._floor = min(floor, ceiling)
        self._ceiling = ceiling
        self._target_s = target_s
        self.bound = ceiling
        self.waiting = 0

    def fits(self, size: int) -> bool:
        """Return True if `size` more bytes may wait; if nothing waits they may, however many."""
        return self.waiting == 0 or self.waiting + size <= self.bound

    def enter(self, size: int, now: float) -> Entry:
        """Count these bytes as waiting from now on."""
        self.waiting += size
        return Entry(size, now, self.waiting)

    def leave(self, entry: Entry, now: float, *, acknowledged: bool) -> None:
        """Count them as waiting no longer: Kafka has them, or they were given up."""
        self.waiting -= entry.size
        took = now - entry.at
        if took > self._target_s:
            # Too many bytes waited then, by this factor. Each entry of one full window says the
            # same, so the bound does not fall further with each of them.
            fitting = int(entry.waiting * self._target_s / took)
            self.bound = max(self._floor, min(self.bound, fitting))
        elif acknowledged:
            self.bound = min(self._ceiling, self.bound + entry.size)
