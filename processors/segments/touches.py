"""Tests on touches: how many, how much, how long ago. They read the packed features of trails."""

from __future__ import annotations

from collections.abc import Callable
from operator import itemgetter

from processors.profile_view import ProfileView
from processors.segments.definition import Count, Recency, Sum
from processors.segments.truth import NEVER, Test
from schemas.features import (
    EXACT_WINDOW_MS,
    Entry,
    exact_from,
    hour_end,
    totals,
    within,
)
from schemas.trail import FeatureKey, FilterSpec, feature_key, feature_name

_NAMES_REMEMBERED = 10_000
_FIRST, _LAST, _TOUCHES, _AMOUNT = range(4)
_Collect = Callable[[ProfileView], list[bytes]]


def feature_of(spec: FilterSpec, currency: str = "") -> FeatureKey:
    """The feature that answers a filter; of a generic one that leaves channel or type open, all
    features per (channel, type) that fit do, and this key stands for none.
    """
    return FeatureKey(spec.channel, spec.type, currency, spec.source, spec.campaign, spec.direction)


class _Fits(dict[str, bool]):
    """Feature name -> whether it is one per (channel, type) that a generic filter covers.

    Types come from outside, so what is remembered is bounded.
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
    """Finds the packed features that together hold each matching touch of a profile once."""
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
    """Whether the last, or the first, matching touch lies where the windows say."""
    collect = _collector(recency.filter, "")
    newer, older = recency.within, recency.not_within
    column, choose = (_FIRST, min) if first else (_LAST, max)

    def test(view: ProfileView, now_ms: int) -> tuple[bool, int]:
        moments = [totals(packed)[column] for packed in collect(view)]
        if not moments:
            return False, NEVER
        moment = choose(moments)
        begins = _leaves(moment, older) if older is not None else now_ms
        ends = _leaves(moment, newer) if newer is not None else NEVER
        if now_ms < begins:
            return False, begins
        return now_ms < ends, ends if now_ms < ends else NEVER

    return test


def _leaves(moment_ms: int, window_ms: int) -> int:
    """When a touch is no longer within a window: long ones go by the hour."""
    exact = window_ms <= EXACT_WINDOW_MS
    return (moment_ms if exact else hour_end(moment_ms)) + window_ms


def amount_test(condition: Count | Sum) -> Test:
    """Whether number or sum of the matching touches is within the bounds."""
    money = isinstance(condition, Sum)
    collect = _collector(condition.filter, condition.currency if isinstance(condition, Sum) else "")
    low = -NEVER if condition.at_least is None else condition.at_least
    high = NEVER if condition.at_most is None else condition.at_most
    window = condition.within
    if window is None:
        column = _AMOUNT if money else _TOUCHES

        def of_all_time(view: ProfileView, now_ms: int) -> tuple[bool, int]:
            total = sum([totals(packed)[column] for packed in collect(view)])
            return low <= total <= high, NEVER

        return of_all_time
    return _windowed(collect, money, low, high, window)


def _windowed(collect: _Collect, money: bool, low: int, high: int, window: int) -> Test:
    measure = itemgetter(2 if money else 1)  # of an Entry: amount, or touches

    def test(view: ProfileView, now_ms: int) -> tuple[bool, int]:
        entries: list[Entry] = []
        parts = 0
        until = NEVER
        for packed in collect(view):
            inside = within(packed, now_ms, window)
            if inside:
                entries += inside
                parts += 1
                until = min(until, _turns_exact(packed, now_ms, window))
        total = sum(map(measure, entries))
        holds = low <= total <= high
        if parts > 1:
            entries.sort()
        return holds, min(until, _changes(entries, measure, total, low, high) + window)

    return test


def _turns_exact(packed: bytes, now_ms: int, window: int) -> int:
    """When a short window that still goes by the hour begins to go by exact times."""
    since = exact_from(packed)
    return since + window if now_ms - window < since and window <= EXACT_WINDOW_MS else NEVER


def _changes(
    entries: list[Entry], measure: Callable[[Entry], int], total: int, low: int, high: int
) -> int:
    """The entry, by its time, whose leaving changes whether the total is within the bounds."""
    holds = low <= total <= high
    last = len(entries) - 1
    for i, entry in enumerate(entries):
        total -= measure(entry)
        if i < last and entries[i + 1].at_ms == entry.at_ms:
            continue  # they leave together
        if (low <= total <= high) != holds:
            return entry.at_ms
    return NEVER
