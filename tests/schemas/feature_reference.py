"""The rule of `schemas.feature_adding`, one touch after the other: slow and plain."""

from __future__ import annotations

from array import array
from bisect import bisect_left, bisect_right

from schemas.features import EXACT_WINDOW_MS, HEAD, LONGEST_WINDOW_MS
from schemas.times import DAY_MS, HOUR_MS

_EXACT_KEPT_MS = EXACT_WINDOW_MS + DAY_MS
_BUCKETS_KEPT_HOURS = (LONGEST_WINDOW_MS + DAY_MS) // HOUR_MS
_MOST_EXACT = 256
_NEVER = -(2**62)
_LARGEST = 2**63 - 1


class Feature:
    """One feature, unpacked to be added to."""

    __slots__ = (
        "amount",
        "amounts",
        "count",
        "counts",
        "exact",
        "exact_amounts",
        "first_ms",
        "hours",
        "last_ms",
        "money",
        "spilled_ms",
    )

    def __init__(self, money: bool) -> None:
        self.first_ms = 2**62
        self.last_ms = _NEVER
        #: The greatest time that is no longer among the exact ones.
        self.spilled_ms = _NEVER
        self.count = 0
        self.amount = 0
        self.money = money
        self.hours = array("I")
        self.counts = array("I")
        self.amounts = array("q")
        self.exact = array("q")
        self.exact_amounts = array("q")

    @classmethod
    def unpack(cls, packed: bytes) -> Feature:
        """The feature of its packed form."""
        feature = cls.__new__(cls)
        (
            feature.first_ms, feature.last_ms, feature.spilled_ms, feature.count, feature.amount,
            money, n_hours, n_exact,
        ) = HEAD.unpack_from(packed)  # fmt: skip
        feature.money = bool(money)
        at = HEAD.size
        feature.hours, at = _read(packed, at, "I", n_hours)
        feature.counts, at = _read(packed, at, "I", n_hours)
        feature.amounts, at = _read(packed, at, "q", n_hours if money else 0)
        feature.exact, at = _read(packed, at, "q", n_exact)
        feature.exact_amounts, at = _read(packed, at, "q", n_exact if money else 0)
        return feature

    def pack(self) -> bytes:
        """The packed form."""
        head = HEAD.pack(
            self.first_ms, self.last_ms, self.spilled_ms, self.count, self.amount,
            self.money, len(self.hours), len(self.exact),
        )  # fmt: skip
        return b"".join(
            (
                head,
                self.hours.tobytes(),
                self.counts.tobytes(),
                self.amounts.tobytes(),
                self.exact.tobytes(),
                self.exact_amounts.tobytes(),
            )
        )

    def add(self, at_ms: int, amount: int = 0) -> None:
        """Add one touch at `at_ms` (>= 0) with an amount in micros."""
        self.first_ms = min(self.first_ms, at_ms)
        self.last_ms = max(self.last_ms, at_ms)
        self.count += 1
        if self.money:
            self.amount = _bounded(self.amount + amount)
        self._add_hour(at_ms // HOUR_MS, amount)
        self._add_exact(at_ms, amount)

    def _add_hour(self, hour: int, amount: int) -> None:
        oldest = self.last_ms // HOUR_MS - _BUCKETS_KEPT_HOURS
        if hour >= oldest:
            i = bisect_left(self.hours, hour)
            if i == len(self.hours) or self.hours[i] != hour:
                self.hours.insert(i, hour)
                self.counts.insert(i, 0)
                if self.money:
                    self.amounts.insert(i, 0)
            self.counts[i] += 1
            if self.money:
                self.amounts[i] = _bounded(self.amounts[i] + amount)
        if self.hours and self.hours[0] < oldest:
            gone = bisect_left(self.hours, oldest)
            del self.hours[:gone], self.counts[:gone], self.amounts[:gone]

    def _add_exact(self, at_ms: int, amount: int) -> None:
        oldest = self.last_ms - _EXACT_KEPT_MS
        if at_ms <= oldest:
            self.spilled_ms = max(self.spilled_ms, at_ms)
        else:
            i = bisect_right(self.exact, at_ms)
            if self.money:
                # Equal times stand in the order of their amounts, so that the bytes do not tell
                # which came first.
                while i > 0 and self.exact[i - 1] == at_ms and self.exact_amounts[i - 1] > amount:
                    i -= 1
                self.exact_amounts.insert(i, amount)
            self.exact.insert(i, at_ms)
        gone = max(bisect_right(self.exact, oldest), len(self.exact) - _MOST_EXACT)
        if gone > 0:
            self.spilled_ms = max(self.spilled_ms, self.exact[gone - 1])
            del self.exact[:gone], self.exact_amounts[:gone]


def _bounded(amount: int) -> int:
    return max(-_LARGEST, min(_LARGEST, amount))


def _read(packed: bytes, at: int, code: str, n: int) -> tuple[array[int], int]:
    values: array[int] = array(code)
    end = at + n * values.itemsize
    values.frombytes(packed[at:end])
    return values, end
