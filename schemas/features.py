"""Features: when touches of one kind happened, packed.

A feature counts the touches of one (channel, type), of one (channel, type, currency) with their
amounts, or of one filter that a segment uses. It keeps

* totals, first and last time;
* hourly buckets of count and amount, up to 400 days behind the last touch; of the newest 744 hours
  in which there was a touch, the days before them have one bucket each, in their last hour;
* the exact times (and amounts) of at most the last 256 touches within 3 days of the last one.

Everything kept is a function of the *set* of touches: in any order of arrival the bytes are the
same. Adding one touch costs about two microseconds on a typical feature.

A window "within W" is exact where W is at most two days and the exact times reach back far
enough; otherwise an hour (or day, where days are kept) counts until all of it is older than W.

Packed form, little-endian: first, last, evicted (i64 ms), count (u64), amount (i64 micros),
flags (u8: 1 money, 2 days), number of hours (u32), number of exact times (u32); with days: the
first day that has hours (u32, days since 1970); hours (u32, hours since 1970), counts (u32),
amounts (i64, money only); times (i64 ms), amounts (i64, money only).
"""

from __future__ import annotations

import struct
from array import array
from bisect import bisect_left, bisect_right
from collections.abc import Iterable
from decimal import Decimal
from itertools import repeat
from typing import NamedTuple

from schemas.times import DAY_MS, HOUR_MS

MICROS = 1_000_000
#: Windows up to this length are exact; longer ones work by the hour.
EXACT_WINDOW_MS = 2 * DAY_MS
#: Buckets that lie further behind the last touch are dropped; the totals still contain them.
LONGEST_WINDOW_MS = 400 * DAY_MS
#: The head of a packed feature.
HEAD = struct.Struct("<qqqQqBII")
#: Flags.
MONEY, DAYS = 1, 2
#: The offset of the buckets if the feature has days.
BEHIND_DAYS = HEAD.size + 4
_TOTALS = struct.Struct("<qq8xQq")
_read_u32 = struct.Struct("<I").unpack_from


class Totals(NamedTuple):
    """First and last time (ms), number of touches, sum of amounts in micros."""

    first_ms: int
    last_ms: int
    touches: int
    amount: int


#: Touches that leave a window together: their common time (ms), count, amount.
Entry = tuple[int, int, int]


def totals(packed: bytes) -> Totals:
    """Return the totals of a packed feature."""
    return Totals._make(read_totals(packed))


#: Returns the same as a plain tuple; segments read it several times per touch.
read_totals = _TOTALS.unpack_from


def entries_in_window(packed: bytes, now_ms: int, window_ms: int) -> list[Entry]:
    """Return the touches of a packed feature that are in the window now, oldest first.

    An entry is in the window while its moment is > now - window; so it leaves at moment + window.
    """
    after = now_ms - window_ms
    _, last_ms, evicted_ms, _, _, flags, n_hours, n_exact = HEAD.unpack_from(packed)
    begin = BEHIND_DAYS if flags & DAYS else HEAD.size
    money = flags & MONEY
    exact_wanted = window_ms <= EXACT_WINDOW_MS and evicted_ms <= after
    if (last_ms if exact_wanted else hour_end(last_ms)) <= after:
        return []
    if exact_wanted:
        at = begin + n_hours * (16 if money else 8)
        end = at + n_exact * 8
        times = array("q", packed[at:end])
        start = bisect_right(times, after)
        if not money:
            return [(moment, 1, 0) for moment in times[start:]]
        amounts = array("q", packed[end + start * 8 :])
        return list(zip(times[start:], repeat(1), amounts, strict=False))
    at, end = begin, begin + n_hours * 4
    hours = array("I", packed[at:end])
    start = _first_hour(hours, after)
    moments = [hour * HOUR_MS + (HOUR_MS - 1) for hour in hours[start:]]
    counts = array("I", packed[end + start * 4 : end + n_hours * 4])
    at, end = end + n_hours * 4, end + n_hours * 12
    of_each = array("q", packed[at + start * 8 : end]) if money else repeat(0)
    return list(zip(moments, counts, of_each, strict=False))


def newest(packed: bytes, now_ms: int, window_ms: int, touches: int) -> list[tuple[int, int]]:
    """Return (moment, touches) of the newest entries in a window, up to so many touches.

    The newest come first. A condition such as "at least three" needs no more of them.
    """
    after = now_ms - window_ms
    _, last_ms, evicted_ms, _, _, flags, n_hours, n_exact = HEAD.unpack_from(packed)
    begin = BEHIND_DAYS if flags & DAYS else HEAD.size
    exact_wanted = window_ms <= EXACT_WINDOW_MS and evicted_ms <= after
    if not exact_wanted:
        last_ms += HOUR_MS - 1 - last_ms % HOUR_MS
    if last_ms <= after:
        return []
    if touches == 1:
        return [(last_ms, 1)]
    if exact_wanted:
        end = begin + n_hours * (16 if flags & MONEY else 8) + n_exact * 8
        n_read = min(touches, n_exact)
        times = array("q", packed[end - n_read * 8 : end])
        return [(moment, 1) for moment in reversed(times[bisect_right(times, after) :])]
    entries = []
    first_hour = (after + 1) // HOUR_MS
    to_counts = n_hours * 4
    for at in range(begin + to_counts - 4, begin - 4, -4):
        (hour,) = _read_u32(packed, at)
        if hour < first_hour:
            break
        (count,) = _read_u32(packed, at + to_counts)
        entries.append((hour * HOUR_MS + (HOUR_MS - 1), count))
        touches -= count
        if touches <= 0:
            break
    return entries


def _first_hour(hours: array[int], after_ms: int) -> int:
    """Return the index of the first hour that ends after a moment."""
    return bisect_left(hours, (after_ms + 1) // HOUR_MS)


def exact_from(packed: bytes) -> int:
    """Return the time (ms) from which exact times are complete.

    A short window that begins at or after it uses them.
    """
    evicted_ms: int = HEAD.unpack_from(packed)[2]
    return evicted_ms


def hour_end(at_ms: int) -> int:
    """Return the last millisecond of the hour of a moment."""
    return _end_of(at_ms // HOUR_MS)


def _end_of(hour: int) -> int:
    return hour * HOUR_MS + HOUR_MS - 1


def hourly(packed: bytes, since_ms: int) -> Iterable[tuple[int, int]]:
    """Yield (hour since 1970, count) of the buckets that start at or after `since_ms`."""
    flags, n_hours, _ = HEAD.unpack_from(packed)[5:]
    begin = BEHIND_DAYS if flags & DAYS else HEAD.size
    both = array("I", packed[begin : begin + 8 * n_hours])
    start = bisect_left(both, -(-since_ms // HOUR_MS), 0, n_hours)
    return zip(both[start:n_hours], both[n_hours + start :], strict=True)


def micros(amount: str) -> int:
    """Convert an amount in decimal text to micros."""
    return int(Decimal(amount) * MICROS)


def amount_text(amount: int) -> str:
    """Convert micros to decimal text without trailing zeros."""
    whole, rest = divmod(abs(amount), MICROS)
    sign = "-" if amount < 0 else ""
    return f"{sign}{whole}.{rest:06d}".rstrip("0").rstrip(".")
