"""Tests on touches: their number, their sum, their age. They read the packed features of trails."""

from __future__ import annotations

from collections.abc import Callable

from processors.segments.definition import Count, Recency, Sum
from processors.segments.profile_view import ProfileView
from processors.segments.truth import NEVER, Test
from schemas.features import (
    EXACT_WINDOW_MS,
    Entry,
    entries_in_window,
    exact_from,
    hour_end,
    newest,
    read_totals,
)
from schemas.trail import FeatureKey, FilterSpec, feature_key, feature_name

_NAMES_REMEMBERED = 10_000
_FIRST, _LAST, _TOUCHES, _AMOUNT = range(4)
_Collect = Callable[[ProfileView], list[bytes]]


def feature_of(spec: FilterSpec, currency: str = "") -> FeatureKey:
    """Return the feature that answers a filter.

    The filter must not be a generic one that leaves channel or type open.
    """
    return FeatureKey(spec.channel, spec.type, currency, spec.source, spec.campaign, spec.direction)


class _Fits(dict[str, bool]):
    """Feature name -> True if it is one per (channel, type) that a generic filter covers.

    Types come from outside, so the cache is bounded.
    """

    def __init__(self, spec: FilterSpec, currency: str) -> None:
        self._spec = spec
        self._currency = currency

    def __missing__(self, name: str) -> bool:
        key = feature_key(name)
        fits = (
            self._spec.channel in ("", key.channel)
            and self._spec.type in ("", key.type)
            and key.currency == self._currency
            and not (key.source or key.campaign or key.direction)
        )
        if len(self) >= _NAMES_REMEMBERED:
            self.clear()
        self[name] = fits
        return fits


def _collector(spec: FilterSpec, currency: str) -> _Collect:
    """Return a function that finds the packed features which hold each matching touch once."""
    if not spec.generic or (spec.channel and spec.type):
        wanted = feature_name(feature_of(spec, currency))

        def one(view: ProfileView) -> list[bytes]:
            return [trail[wanted] for trail in view.features if wanted in trail]

        return one
    fits = _Fits(spec, currency)

    def several(view: ProfileView) -> list[bytes]:
        return [packed for trail in view.features for name, packed in trail.items() if fits[name]]

    return several


def recency_test(recency: Recency, first: bool) -> Test:
    """Return a test: the last, or the first, matching touch lies within the windows."""
    collect = _collector(recency.filter, "")
    newer, older = recency.within, recency.not_within
    column, choose = (_FIRST, min) if first else (_LAST, max)

    def test(view: ProfileView, now_ms: int) -> tuple[bool, int]:
        moments = [read_totals(packed)[column] for packed in collect(view)]
        if not moments:
            return False, NEVER
        moment = choose(moments)
        begins = now_ms if older is None else _leaves(moment, older)
        ends = NEVER if newer is None else _leaves(moment, newer)
        return _between(now_ms, begins, ends)

    return test


def _leaves(moment_ms: int, window_ms: int) -> int:
    """Return the time at which a touch leaves a window: long windows work by the hour."""
    exact = window_ms <= EXACT_WINDOW_MS
    return (moment_ms if exact else hour_end(moment_ms)) + window_ms


def _between(now_ms: int, begins: int, ends: int) -> tuple[bool, int]:
    """Return the result of a condition that holds from `begins` until `ends`, exclusive."""
    if now_ms >= ends or begins >= ends:
        return False, NEVER
    return (False, begins) if now_ms < begins else (True, ends)


def count_test(count: Count) -> Test:
    """Return a test: the number of matching touches is within the bounds."""
    collect = _collector(count.filter, "")
    low = count.at_least or 0
    high = NEVER if count.at_most is None else count.at_most
    window = count.within
    if window is None:
        return _of_all_time(collect, _TOUCHES, low, high)
    # The newest `depth` touches tell when there are fewer than `low`, and when no more than `high`.
    too_many = None if count.at_most is None else count.at_most + 1
    depth = max(low, too_many or 0)
    short = window <= EXACT_WINDOW_MS

    def test(view: ProfileView, now_ms: int) -> tuple[bool, int]:
        entries: list[tuple[int, int]] = []
        until = NEVER
        for packed in collect(view):
            inside = newest(packed, now_ms, window, depth)
            if inside:
                entries += inside
                if short:
                    until = min(until, _turns_exact(packed, now_ms, window))
        entries.sort(reverse=True)
        enough = _reached(entries, low)
        begins = now_ms
        if too_many is not None and (at := _reached(entries, too_many)) is not None:
            begins = at + window
        ends = now_ms if enough is None else enough + window
        holds, changes = _between(now_ms, begins, ends if low else NEVER)
        return holds, min(until, changes)

    return test


def _reached(entries: list[tuple[int, int]], touches: int) -> int | None:
    """Return the moment of the entry, newest first, with which so many touches are reached."""
    for moment, n in entries:
        touches -= n
        if touches <= 0:
            return moment
    return None


def sum_test(condition: Sum) -> Test:
    """Return a test: the sum of the matching touches' amounts is within the bounds."""
    collect = _collector(condition.filter, condition.currency)
    low = -NEVER if condition.at_least is None else condition.at_least
    high = NEVER if condition.at_most is None else condition.at_most
    window = condition.within
    if window is None:
        return _of_all_time(collect, _AMOUNT, low, high)
    short = window <= EXACT_WINDOW_MS

    def test(view: ProfileView, now_ms: int) -> tuple[bool, int]:
        entries: list[Entry] = []
        until = NEVER
        for packed in collect(view):
            inside = entries_in_window(packed, now_ms, window)
            if inside:
                entries += inside
                if short:
                    until = min(until, _turns_exact(packed, now_ms, window))
        entries.sort()
        total = sum([amount for _, _, amount in entries])
        return low <= total <= high, min(until, _changes(entries, total, low, high) + window)

    return test


def _of_all_time(collect: _Collect, column: int, low: int, high: int) -> Test:
    def test(view: ProfileView, now_ms: int) -> tuple[bool, int]:
        total = sum([read_totals(packed)[column] for packed in collect(view)])
        return low <= total <= high, NEVER

    return test


def _turns_exact(packed: bytes, now_ms: int, window: int) -> int:
    """Return the time at which a short window changes from hours to exact times."""
    since = exact_from(packed)
    return since + window if since > now_ms - window else NEVER


def _changes(entries: list[Entry], total: int, low: int, high: int) -> int:
    """Return the moment of the entry whose leaving moves the total into or out of the bounds."""
    holds = low <= total <= high
    last = len(entries) - 1
    for i, (moment, _, amount) in enumerate(entries):
        total -= amount
        if i < last and entries[i + 1][0] == moment:
            continue  # they leave together
        if (low <= total <= high) != holds:
            return moment
    return NEVER
