"""Features: when touches of one kind happened, packed.

A feature counts the touches of one (channel, type), of one (channel, type, currency) with their
amounts, or of one filter that a segment uses. It keeps

* totals, first and last time;
* hourly buckets of count and amount, up to 400 days behind the last touch;
* the exact times (and amounts) of at most the last 256 touches within 3 days of the last one.

Everything kept is a function of the *set* of touches: in any order of arrival the bytes are the
same. Adding one touch costs about two microseconds on a typical feature.

A window "within W" is exact where W is at most two days and the exact times reach back far
enough; otherwise an hour counts until all of it is older than W.

Packed form, little-endian: first, last, spilled (i64 ms), count (u64), amount (i64 micros),
money (u8), number of hours (u32), number of exact times (u32); hours (u32, hours since 1970),
counts (u32), amounts (i64, money only); times (i64 ms), amounts (i64, money only).
"""

from __future__ import annotations

import struct
from array import array
from bisect import bisect_left, bisect_right
from collections.abc import Iterable
from decimal import Decimal
from itertools import repeat
from typing import Literal, NamedTuple

from schemas.times import DAY_MS, HOUR_MS

MICROS = 1_000_000
#: Windows up to this are exact, longer ones go by the hour.
EXACT_WINDOW_MS = 2 * DAY_MS
#: Buckets older than this behind the last touch are dropped; the totals keep them.
LONGEST_WINDOW_MS = 400 * DAY_MS
#: Exact times are kept this long behind the last touch: the window, and a day because a touch may
#: be that far in the future.
_EXACT_KEPT_MS = EXACT_WINDOW_MS + DAY_MS
_BUCKETS_KEPT_HOURS = (LONGEST_WINDOW_MS + DAY_MS) // HOUR_MS
_MOST_EXACT = 256
_NEVER = -(2**62)
_LARGEST = 2**63 - 1

_HEAD = struct.Struct("<qqqQqBII")
_TOTALS = struct.Struct("<qq8xQq")
_read_u32 = struct.Struct("<I").unpack_from


class Totals(NamedTuple):
    """First and last time (ms), number of touches, sum of amounts in micros."""

    first_ms: int
    last_ms: int
    touches: int
    amount: int


#: Touches that leave a window together: the moment they stand for (ms), count, amount.
Entry = tuple[int, int, int]


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
        ) = _HEAD.unpack_from(packed)  # fmt: skip
        feature.money = bool(money)
        at = _HEAD.size
        feature.hours, at = _read(packed, at, "I", n_hours)
        feature.counts, at = _read(packed, at, "I", n_hours)
        feature.amounts, at = _read(packed, at, "q", n_hours if money else 0)
        feature.exact, at = _read(packed, at, "q", n_exact)
        feature.exact_amounts, at = _read(packed, at, "q", n_exact if money else 0)
        return feature

    def pack(self) -> bytes:
        """The packed form."""
        head = _HEAD.pack(
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


def totals(packed: bytes) -> Totals:
    """The totals of a packed feature."""
    return Totals._make(read_totals(packed))


#: The same as a plain tuple, which segments read several times per touch.
read_totals = _TOTALS.unpack_from


def within(packed: bytes, now_ms: int, window_ms: int) -> list[Entry]:
    """What of a packed feature is in the window now, oldest first.

    An entry is in the window while its moment is > now - window; so it leaves at moment + window.
    """
    after = now_ms - window_ms
    _, last_ms, spilled_ms, _, _, money, n_hours, n_exact = _HEAD.unpack_from(packed)
    exact_wanted = window_ms <= EXACT_WINDOW_MS and spilled_ms <= after
    if (last_ms if exact_wanted else hour_end(last_ms)) <= after:
        return []
    if exact_wanted:
        at = _HEAD.size + n_hours * (16 if money else 8)
        end = at + n_exact * 8
        times = array("q", packed[at:end])
        start = bisect_right(times, after)
        if not money:
            return [(moment, 1, 0) for moment in times[start:]]
        amounts = array("q", packed[end + start * 8 :])
        return list(zip(times[start:], repeat(1), amounts, strict=False))
    at, end = _HEAD.size, _HEAD.size + n_hours * 4
    hours = array("I", packed[at:end])
    start = _first_hour(hours, after)
    moments = [hour * HOUR_MS + (HOUR_MS - 1) for hour in hours[start:]]
    counts = array("I", packed[end + start * 4 : end + n_hours * 4])
    at, end = end + n_hours * 4, end + n_hours * 12
    of_each = array("q", packed[at + start * 8 : end]) if money else repeat(0)
    return list(zip(moments, counts, of_each, strict=False))


def newest(packed: bytes, now_ms: int, window_ms: int, touches: int) -> list[tuple[int, int]]:
    """(moment, touches) of what `within` gives, newest first, until so many touches are covered.

    What a condition such as "at least three" needs, without reading the rest.
    """
    after = now_ms - window_ms
    _, last_ms, spilled_ms, _, _, money, n_hours, n_exact = _HEAD.unpack_from(packed)
    exact_wanted = window_ms <= EXACT_WINDOW_MS and spilled_ms <= after
    if not exact_wanted:
        last_ms += HOUR_MS - 1 - last_ms % HOUR_MS
    if last_ms <= after:
        return []
    if touches == 1:
        return [(last_ms, 1)]
    if exact_wanted:
        end = _HEAD.size + n_hours * (16 if money else 8) + n_exact * 8
        n_read = min(touches, n_exact)
        times = array("q", packed[end - n_read * 8 : end])
        return [(moment, 1) for moment in reversed(times[bisect_right(times, after) :])]
    entries = []
    first_hour = (after + 1) // HOUR_MS
    to_counts = n_hours * 4
    for at in range(_HEAD.size + to_counts - 4, _HEAD.size - 4, -4):
        (hour,) = _read_u32(packed, at)
        if hour < first_hour:
            break
        (count,) = _read_u32(packed, at + to_counts)
        entries.append((hour * HOUR_MS + (HOUR_MS - 1), count))
        touches -= count
        if touches <= 0:
            break
    return entries


def _first_hour(hours: array[int] | memoryview[int], after_ms: int) -> int:
    """Index of the first hour that does not end until after a moment."""
    return bisect_left(hours, (after_ms + 1) // HOUR_MS)


def exact_from(packed: bytes) -> int:
    """From when on (ms) exact times are complete: a short window that begins there goes by them."""
    spilled_ms: int = _HEAD.unpack_from(packed)[2]
    return spilled_ms


def hour_end(at_ms: int) -> int:
    """The last millisecond of the hour of a moment."""
    return _end_of(at_ms // HOUR_MS)


def _end_of(hour: int) -> int:
    return hour * HOUR_MS + HOUR_MS - 1


def hourly(packed: bytes, since_ms: int) -> Iterable[tuple[int, int]]:
    """(hour since 1970, count) of the buckets that start at or after `since_ms`."""
    n_hours = _HEAD.unpack_from(packed)[6]
    hours, at = _view(packed, _HEAD.size, "I", n_hours)
    counts, _ = _view(packed, at, "I", n_hours)
    first = -(-since_ms // HOUR_MS)
    if n_hours and hours[0] >= first:
        return zip(hours, counts, strict=True)
    start = bisect_left(hours, first)
    return zip(hours[start:], counts[start:], strict=True)


def micros(amount: str) -> int:
    """An amount in decimal text as micros."""
    return int(Decimal(amount) * MICROS)


def amount_text(amount: int) -> str:
    """Micros as decimal text without trailing zeros."""
    whole, rest = divmod(abs(amount), MICROS)
    sign = "-" if amount < 0 else ""
    return f"{sign}{whole}.{rest:06d}".rstrip("0").rstrip(".")


def _bounded(amount: int) -> int:
    return max(-_LARGEST, min(_LARGEST, amount))


def _view(packed: bytes, at: int, code: Literal["I", "q"], n: int) -> tuple[memoryview[int], int]:
    """Packed numbers, to be read where they are."""
    end = at + n * (4 if code == "I" else 8)
    return memoryview(packed)[at:end].cast(code), end


def _read(packed: bytes, at: int, code: str, n: int) -> tuple[array[int], int]:
    values: array[int] = array(code)
    end = at + n * values.itemsize
    values.frombytes(packed[at:end])
    return values, end
