"""The slow reference of `schemas.feature_adding`: it packs the whole set of touches at once."""

from __future__ import annotations

from array import array
from collections.abc import Iterable

from schemas.features import DAYS, EXACT_WINDOW_MS, HEAD, LONGEST_WINDOW_MS, MONEY
from schemas.times import DAY_MS, HOUR_MS

_MOST_EXACT = 256
_MOST_HOURS = 744
_NEVER = -(2**62)


def feature_of(touches: Iterable[tuple[int, int]], money: bool) -> bytes:
    """The packed feature of touches: (time in ms, amount in micros)."""
    touches = sorted(touches)
    times = [at_ms for at_ms, _ in touches]
    last_ms = times[-1]
    recent = [touch for touch in touches if touch[0] > last_ms - EXACT_WINDOW_MS - DAY_MS]
    exact = recent[-_MOST_EXACT:]
    evicted = touches[: len(touches) - len(exact)]
    first_day, buckets = _buckets(touches, last_ms)
    head = HEAD.pack(
        times[0],
        last_ms,
        evicted[-1][0] if evicted else _NEVER,
        len(touches),
        sum(amount for _, amount in touches) if money else 0,
        (MONEY if money else 0) | (DAYS if first_day else 0),
        len(buckets),
        len(exact),
    )
    parts = [array("I", [first_day] if first_day else [])]
    parts += [array("I", buckets), array("I", [len(amounts) for amounts in buckets.values()])]
    if money:
        parts.append(array("q", [sum(amounts) for amounts in buckets.values()]))
    parts.append(array("q", [at_ms for at_ms, _ in exact]))
    if money:
        parts.append(array("q", [amount for _, amount in exact]))
    return head + b"".join(part.tobytes() for part in parts)


def _buckets(touches: list[tuple[int, int]], last_ms: int) -> tuple[int, dict[int, list[int]]]:
    """The first day with hours (0: all have), and hour -> amounts, in order."""
    oldest_day = (last_ms - LONGEST_WINDOW_MS - DAY_MS) // DAY_MS
    kept = [
        (at_ms // HOUR_MS, amount) for at_ms, amount in touches if at_ms // DAY_MS >= oldest_day
    ]
    hours = sorted({hour for hour, _ in kept})
    first_day = hours[-_MOST_HOURS - 1] // 24 + 1 if len(hours) > _MOST_HOURS else 0
    buckets: dict[int, list[int]] = {}
    for hour, amount in kept:
        day = hour // 24
        buckets.setdefault(hour if day >= first_day else day * 24 + 23, []).append(amount)
    return first_day, dict(sorted(buckets.items()))
