"""Adding touches to a packed feature (`schemas.features`): a function of the set of touches."""

from __future__ import annotations

from array import array
from bisect import bisect_left, bisect_right

from schemas.features import EXACT_WINDOW_MS, HEAD, LONGEST_WINDOW_MS
from schemas.times import DAY_MS, HOUR_MS

#: Exact times are kept this long behind the last touch: the window, and a day because a touch may
#: be that far in the future.
_EXACT_KEPT_MS = EXACT_WINDOW_MS + DAY_MS
_BUCKETS_KEPT_HOURS = (LONGEST_WINDOW_MS + DAY_MS) // HOUR_MS
_MOST_EXACT = 256
_NEVER = -(2**62)
_LARGEST = 2**63 - 1
_EMPTY = HEAD.pack(2**62, _NEVER, _NEVER, 0, 0, False, 0, 0)

#: A touch: when it occurred (ms, >= 0), its amount in micros (0 in a feature without amounts).
Touch = tuple[int, int]


def with_touches(packed: bytes | None, touches: list[Touch], *, money: bool) -> bytes:
    """The packed feature with these touches, at least one; None begins one. Sorts `touches`.

    All touches of a batch at once: to take the packed form apart costs more than to add to it.
    """
    if len(touches) > 1:
        touches.sort()
    if packed is None:
        packed = _EMPTY
    first_ms, last_ms, spilled_ms, count, total, _, n, _ = HEAD.unpack_from(packed)
    end = HEAD.size + 8 * n
    hours = array("I", packed[HEAD.size : end])
    longs = array("q", packed[end:])
    amounts = longs[:n] if money else None
    times = longs[n : n + (len(longs) - n) // 2] if money else longs
    of_times = longs[n + len(times) :] if money else None

    oldest, newest = touches[0][0], touches[-1][0]
    in_order = oldest > last_ms
    first_ms, last_ms = min(first_ms, oldest), max(last_ms, newest)
    _count(hours, amounts, touches, last_ms)
    times.extend([at_ms for at_ms, _ in touches])
    if of_times is not None:
        total = _bounded(total + sum([amount for _, amount in touches]))
        of_times.extend([amount for _, amount in touches])
    if not in_order:
        times, of_times = _sorted(times, of_times)
    gone = max(bisect_right(times, last_ms - _EXACT_KEPT_MS), len(times) - _MOST_EXACT)
    if gone > 0:
        spilled_ms = max(spilled_ms, times[gone - 1])
        del times[:gone]
        if of_times is not None:
            del of_times[:gone]
    head = HEAD.pack(
        first_ms, last_ms, spilled_ms, count + len(touches), total,
        money, len(hours) // 2, len(times),
    )  # fmt: skip
    if amounts is None or of_times is None:
        return b"".join((head, hours, times))
    return b"".join((head, hours, amounts, times, of_times))


def _count(
    hours: array[int], amounts: array[int] | None, touches: list[Touch], last_ms: int
) -> None:
    """Count touches by the hour. `hours` holds the hours, then as many counts."""
    n = len(hours) // 2
    for at_ms, amount in touches:
        hour = at_ms // HOUR_MS
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
    gone = bisect_left(hours, last_ms // HOUR_MS - _BUCKETS_KEPT_HOURS, 0, n)
    if gone:
        del hours[n : n + gone], hours[:gone]
        if amounts is not None:
            del amounts[:gone]


def _sorted(times: array[int], of_times: array[int] | None) -> tuple[array[int], array[int] | None]:
    """By time; equal times by amount, so that the bytes do not tell which came first."""
    if of_times is None:
        return array("q", sorted(times)), None
    pairs = sorted(zip(times, of_times, strict=True))
    return array("q", [at_ms for at_ms, _ in pairs]), array("q", [amount for _, amount in pairs])


def _bounded(amount: int) -> int:
    return max(-_LARGEST, min(_LARGEST, amount))
