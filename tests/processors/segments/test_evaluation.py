"""Compiled segments agree with the slow reference, now and at every later moment."""

from __future__ import annotations

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from processors.segments import Definition, Segment, compile_segment
from schemas.times import DAY_MS, HOUR_MS
from tests.processors.segments.reference import (
    Person,
    is_member,
    moments,
    next_change,
    view_of,
)
from tests.processors.segments.strategies import (
    NOW,
    crowds,
    leaves,
    people,
    steady_leaves,
    timed_leaves,
    trees,
)
from tests.processors.segments.verdict import evaluate

nows = st.one_of(
    st.just(NOW), st.integers(NOW, NOW + 3 * HOUR_MS), st.integers(NOW, NOW + 3 * DAY_MS)
)


def compiled(when: dict[str, Any]) -> Segment:
    return compile_segment(Definition.model_validate({"name": "s", "when": when}))


@given(trees(leaves), people, nows)
def test_membership_is_what_the_reference_says(when: dict[str, Any], person: Person, now: int):
    segment = compiled(when)
    verdict = evaluate(segment, view_of(person, segment.features), now)
    assert verdict.is_member == is_member(when, person, now)


@settings(max_examples=300)
@given(crowds(), nows)
def test_many_touches_leave_a_window_one_after_the_other(
    crowd: tuple[dict[str, Any], Person], now: int
):
    when, person = crowd
    segment = compiled(when)
    view = view_of(person, segment.features)
    verdict = evaluate(segment, view, now)
    assert verdict == (is_member(when, person, now), next_change(when, person, now))
    while verdict.next_ms is not None:
        now = verdict.next_ms
        verdict = evaluate(segment, view, now)
        assert verdict == (is_member(when, person, now), next_change(when, person, now))


@given(trees(timed_leaves), people, nows)
def test_the_answer_stands_until_next_ms(when: dict[str, Any], person: Person, now: int):
    segment = compiled(when)
    verdict = evaluate(segment, view_of(person, segment.features), now)
    end = verdict.next_ms
    assert end is None or end > now
    for moment in moments(when, person, now):
        if end is None or moment < end:
            assert is_member(when, person, moment) == verdict.is_member


@given(timed_leaves, people, nows)
def test_next_ms_of_one_condition_is_the_very_moment(
    when: dict[str, Any], person: Person, now: int
):
    segment = compiled(when)
    verdict = evaluate(segment, view_of(person, segment.features), now)
    assert verdict.next_ms == next_change(when, person, now)


@given(trees(timed_leaves), people, nows)
def test_asking_again_at_next_ms_finds_every_change(when: dict[str, Any], person: Person, now: int):
    segment = compiled(when)
    view = view_of(person, segment.features)
    found = []
    verdict = evaluate(segment, view, now)
    while verdict.next_ms is not None:
        moment = verdict.next_ms
        later = evaluate(segment, view, moment)
        if later.is_member != verdict.is_member:
            found.append(moment)
        verdict = later
    expected = []
    change = next_change(when, person, now)
    while change is not None:
        expected.append(change)
        change = next_change(when, person, change)
    assert found == expected


@given(trees(steady_leaves), people, nows)
def test_next_ms_of_a_combination_is_the_very_moment(
    when: dict[str, Any], person: Person, now: int
):
    segment = compiled(when)
    verdict = evaluate(segment, view_of(person, segment.features), now)
    assert verdict.next_ms == next_change(when, person, now)
