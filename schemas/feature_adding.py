"""Adding touches to a packed feature (`schemas.features`): a function of the set of touches."""

from __future__ import annotations

from array import array
from bisect import bisect_left, bisect_right
from typing import NamedTuple

from schemas.features import BEHIND_DAYS, DAYS, EXACT_WINDOW_MS, HEAD, LONGEST_WINDOW_MS, MONEY
from schemas.times import DAY_MS, HOUR_MS

#: Exact times are stored this long behind the last touch: the window, plus a day because a touch
#: may lie that far in the future.
_EXACT_KEPT_MS = EXACT_WINDOW_MS + DAY_MS
_BUCKETS_KEPT_DAYS = (LONGEST_WINDOW_MS + DAY_MS) // DAY_MS
_MOST_EXACT = 256
#: The limit exceeds the hours of 31 days: a profile with touches around the clock (a kiosk, a test)
#: has a row of bounded size, and a window of a month still works by the hour.
_MOST_HOURS = 31 * 24
_NEVER = -(2**62)
_LARGEST = 2**63 - 1
_EMPTY = HEAD.pack(2**62, _NEVER, _NEVER, 0, 0, False, 0, 0)

#: A touch: when it occurred (ms, >= 0), its amount in micros (0 in a feature without amounts).
Touch = tuple[int, int]


def add_touches(packed: bytes | None, touches: list[Touch], *, money: bool) -> bytes:
    """Return the packed feature with these touches, at least one, added. Sorts `touches`.

    None as `packed` begins a new feature. All touches of a batch are added at once, because
    unpacking costs more than adding.
    """
    if len(touches) > 1:
        touches.sort()
    head, first_day, hours, amounts, times, of_times = _unpacked(packed or _EMPTY, money)
    first_ms, last_ms, evicted_ms, count, total = head

    oldest, newest = touches[0][0], touches[-1][0]
    in_order = oldest > last_ms
    first_ms, last_ms = min(first_ms, oldest), max(last_ms, newest)
    _count(hours, amounts, touches, first_day)
    first_day = _bound(hours, amounts, last_ms, first_day)
    times.extend([at_ms for at_ms, _ in touches])
    if of_times is not None:
        total = _bounded(total + sum([amount for _, amount in touches]))
        of_times.extend([amount for _, amount in touches])
    if not in_order:
        times, of_times = _sorted(times, of_times)
    evicted_ms = _evict(times, of_times, last_ms, evicted_ms)
    head = (first_ms, last_ms, evicted_ms, count + len(touches), total)
    return _packed(_Feature(head, first_day, hours, amounts, times, of_times))


def merge_features(one: bytes | None, other: bytes, *, money: bool) -> bytes:
    """Return the packed feature of the touches of both features, which must have none in common."""
    if one is None:
        return other
    both = _unpacked(one, money), _unpacked(other, money)
    first_day = max([part.first_day for part in both])
    buckets: dict[int, list[int]] = {}
    for part in both:
        n = len(part.hours) // 2
        for i, hour in enumerate(part.hours[:n]):
            counted = buckets.setdefault(
                hour if hour >= first_day * 24 else _last_hour(hour), [0, 0]
            )
            counted[0] += part.hours[n + i]
            if part.amounts is not None:
                counted[1] = _bounded(counted[1] + part.amounts[i])
    in_order = sorted(buckets)
    hours = array("I", [*in_order, *(buckets[hour][0] for hour in in_order)])
    amounts = array("q", [buckets[hour][1] for hour in in_order]) if money else None
    (
        (a_first, a_last, a_evicted, a_count, a_total),
        (b_first, b_last, b_evicted, b_count, b_total),
    ) = (part.head for part in both)
    last_ms = max(a_last, b_last)
    first_day = _bound(hours, amounts, last_ms, first_day)
    times, of_times = both[0].times + both[1].times, None
    if both[0].of_times is not None and both[1].of_times is not None:
        of_times = both[0].of_times + both[1].of_times
    times, of_times = _sorted(times, of_times)
    evicted_ms = _evict(times, of_times, last_ms, max(a_evicted, b_evicted))
    total = _bounded(a_total + b_total)
    head = (min(a_first, b_first), last_ms, evicted_ms, a_count + b_count, total)
    return _packed(_Feature(head, first_day, hours, amounts, times, of_times))


class _Feature(NamedTuple):
    """An unpacked feature.

    `head`: first, last, evicted (ms), count, amount. `hours` holds the hours, then as many counts;
    `amounts` and `of_times` belong to features with money.
    """

    head: tuple[int, int, int, int, int]
    first_day: int
    hours: array[int]
    amounts: array[int] | None
    times: array[int]
    of_times: array[int] | None


def _unpacked(packed: bytes, money: bool) -> _Feature:
    *head, flags, n, _ = HEAD.unpack_from(packed)
    first_day, begin = 0, HEAD.size
    if flags & DAYS:
        begin = BEHIND_DAYS
        first_day = int.from_bytes(packed[HEAD.size : begin], "little")
    end = begin + 8 * n
    hours = array("I", packed[begin:end])
    longs = array("q", packed[end:])
    if not money:
        return _Feature(tuple(head), first_day, hours, None, longs, None)
    exact = n + (len(longs) - n) // 2
    return _Feature(tuple(head), first_day, hours, longs[:n], longs[n:exact], longs[exact:])


def _packed(feature: _Feature) -> bytes:
    head, first_day, hours, amounts, times, of_times = feature
    flags = (0 if amounts is None else MONEY) | (DAYS if first_day else 0)
    packed = HEAD.pack(*head, flags, len(hours) // 2, len(times))
    if first_day:
        packed += first_day.to_bytes(4, "little")
    if amounts is None or of_times is None:
        return b"".join((packed, hours, times))
    return b"".join((packed, hours, amounts, times, of_times))


def _evict(times: array[int], of_times: array[int] | None, last_ms: int, evicted_ms: int) -> int:
    """Drop the exact times that are no longer stored; return the new `evicted`."""
    gone = max(bisect_right(times, last_ms - _EXACT_KEPT_MS), len(times) - _MOST_EXACT)
    if gone <= 0:
        return evicted_ms
    evicted_ms = max(evicted_ms, times[gone - 1])
    del times[:gone]
    if of_times is not None:
        del of_times[:gone]
    return evicted_ms


def _count(
    hours: array[int], amounts: array[int] | None, touches: list[Touch], first_day: int
) -> None:
    """Count touches by the hour, before `first_day` by the day."""
    n = len(hours) // 2
    for at_ms, amount in touches:
        hour = at_ms // HOUR_MS
        if hour < first_day * 24:
            hour = _last_hour(hour)
        i = n - 1
        if i < 0 or hours[i] != hour:
            i = bisect_left(hours, hour, 0, n)
            if i == n or hours[i] != hour:
                hours.insert(i, hour)
                n += 1
                hours.insert(n + i, 0)
                if amounts is not None:
                    amounts.insert(i, 0)
        hours[n + i] += 1
        if amounts is not None:
            amounts[i] = _bounded(amounts[i] + amount)


def _bound(hours: array[int], amounts: array[int] | None, last_ms: int, first_day: int) -> int:
    """Drop days that are too old and merge surplus hours into days; return the new `first_day`."""
    n = len(hours) // 2
    oldest_day = last_ms // DAY_MS - _BUCKETS_KEPT_DAYS
    gone = bisect_left(hours, oldest_day * 24, 0, n)
    if gone:
        del hours[n : n + gone], hours[:gone]
        n -= gone
        if amounts is not None:
            del amounts[:gone]
    if n > _MOST_HOURS:
        first_day = _by_the_day(hours, amounts, first_day)
    # If no merged day is left, the bytes must not show that there was one.
    return first_day if first_day > oldest_day else 0


def _by_the_day(hours: array[int], amounts: array[int] | None, first_day: int) -> int:
    """Merge the hours of each day, except the newest hours; return the first hour of these.

    The newest hours are a function of the set of touches, and later touches only add newer ones. So
    the time of merging makes no difference.
    """
    n = len(hours) // 2
    begin = bisect_left(hours, first_day * 24, 0, n)
    if n - begin <= _MOST_HOURS:
        return first_day
    first_day = hours[n - _MOST_HOURS - 1] // 24 + 1
    end = bisect_left(hours, first_day * 24, 0, n)
    days: dict[int, list[int]] = {}
    for i in range(begin, end):
        day = days.setdefault(_last_hour(hours[i]), [0, 0])
        day[0] += hours[n + i]
        if amounts is not None:
            day[1] = _bounded(day[1] + amounts[i])
    hours[n + begin : n + end] = array("I", [count for count, _ in days.values()])
    hours[begin:end] = array("I", days)
    if amounts is not None:
        amounts[begin:end] = array("q", [amount for _, amount in days.values()])
    return first_day


def _last_hour(hour: int) -> int:
    """Return the last hour of an hour's day; it represents the whole day."""
    return hour - hour % 24 + 23


def _sorted(times: array[int], of_times: array[int] | None) -> tuple[array[int], array[int] | None]:
    """Sort by time, then by amount, so that the bytes do not depend on the order of arrival."""
    if of_times is None:
        return array("q", sorted(times)), None
    pairs = sorted(zip(times, of_times, strict=True))
    return array("q", [at_ms for at_ms, _ in pairs]), array("q", [amount for _, amount in pairs])


def _bounded(amount: int) -> int:
    return max(-_LARGEST, min(_LARGEST, amount))
