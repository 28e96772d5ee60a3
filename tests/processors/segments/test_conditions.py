"""Each condition's meaning, by example."""

from __future__ import annotations

from typing import Any

import pytest

from processors.segments import Definition, Segment, compile_segment, required_features
from schemas.times import DAY_MS, HOUR_MS, MINUTE_MS
from schemas.trail import FeatureKey
from tests.processors.segments.reference import MILLION, Person, Touch, is_member, view_of
from tests.processors.segments.verdict import evaluate

#: 2026-05-28T20:00:00Z.
NOW = 1_779_998_400_000


def compiled(when: dict[str, Any], name: str = "s") -> Segment:
    return compile_segment(Definition.model_validate({"name": name, "when": when}))


def ask(when: dict[str, Any], person: Person, now: int = NOW) -> tuple[bool, int | None]:
    segment = compiled(when)
    return tuple(evaluate(segment, view_of(person, segment.features), now))


def holds(when: dict[str, Any], person: Person, now: int = NOW) -> bool:
    return ask(when, person, now)[0]


@pytest.mark.parametrize(
    ("comparison", "text", "expected"),
    [
        ({"equals": "pro"}, "pro", True),
        ({"equals": "pro"}, "Pro", False),
        ({"equals": 10}, "10", True),
        ({"equals": 10}, "10.0", False),
        ({"equals": True}, "true", True),
        ({"equals": "pro"}, None, False),
        ({"not_equals": "pro"}, "free", True),
        ({"not_equals": "pro"}, "pro", False),
        ({"not_equals": "pro"}, None, False),
        ({"in": ["a", 1]}, "1", True),
        ({"in": ["a", 1]}, None, False),
        ({"contains": "京"}, "東京都", True),
        ({"contains": "京"}, None, False),
        ({"matches": "^[0-9]{3}-"}, "123-4567", True),
        ({"matches": "^[0-9]{3}-"}, "x123-4567", False),
        ({"greater_than": 9}, "10", True),
        ({"greater_than": "9"}, "10", True),
        ({"greater_than": 9}, "9", False),
        ({"greater_than": 9}, "９９", False),
        ({"greater_than": 9}, "1e1", True),
        ({"greater_than": 9}, "NaN", False),
        ({"greater_than": 9}, "Infinity", False),
        ({"greater_than": 9}, "9" * 50, False),
        ({"greater_than": 9007199254740992}, "9007199254740993", True),
        ({"greater_than": 9}, "2026-01-01", False),
        ({"greater_than": "2026-01-01"}, "10", False),
        ({"greater_than": "2026-01-01"}, "2026-01-02", True),
        ({"greater_than": "2026-01-01"}, "2026-01-01T00:00:00+09:00", False),
        ({"less_than": "2026-01-01"}, "2026-01-01T00:00:00+09:00", True),
        ({"less_than": "2026-01-01"}, "2025-12-31t23:59:59z", True),
        ({"less_than": "2026-01-01"}, "2025-13-01", False),
        ({"less_than": 10, "greater_than": 5}, "7", True),
        ({"less_than": 10, "greater_than": 5}, "12", False),
        ({"exists": True}, "", True),
        ({"exists": True}, None, False),
        ({"exists": False}, None, True),
        ({"exists": False}, "", False),
    ],
)
def test_trait(comparison: dict[str, Any], text: str | None, expected: bool):
    person = Person(traits={} if text is None else {"t": text})
    assert ask({"trait": {"name": "t", **comparison}}, person) == (expected, None)


@pytest.mark.parametrize(
    ("consent", "granted", "denied"), [({"marketing": True}, True, False),
    ({"marketing": False}, False, True), ({}, False, False)],
)  # fmt: skip
def test_consent_needs_a_decision(consent: dict[str, bool], granted: bool, denied: bool):
    person = Person(consent=consent)
    assert holds({"consent": {"purpose": "marketing", "is": True}}, person) is granted
    assert holds({"consent": {"purpose": "marketing", "is": False}}, person) is denied


def test_identifier_exists_unless_said_otherwise():
    person = Person(identifiers=["email"])
    assert holds({"identifier": {"kind": "email"}}, person)
    assert not holds({"identifier": {"kind": "email", "exists": False}}, person)
    assert holds({"identifier": {"kind": "line", "exists": False}}, person)


def test_a_short_window_is_exact():
    person = Person([Touch(NOW)])
    when = {"count": {"at_least": 1, "within": "2d"}}
    assert ask(when, person) == (True, NOW + 2 * DAY_MS)
    assert ask(when, person, NOW + 2 * DAY_MS - 1) == (True, NOW + 2 * DAY_MS)
    assert ask(when, person, NOW + 2 * DAY_MS) == (False, None)


def test_in_a_long_window_an_hour_leaves_when_all_of_it_is_older():
    person = Person([Touch(NOW + 1)])
    for when in (
        {"count": {"at_least": 1, "within": "7d"}},
        {"last_touch": {"within": "7d"}},
        {"first_touch": {"within": "7d"}},
    ):
        end = NOW + HOUR_MS - 1 + 7 * DAY_MS
        assert ask(when, person, end - 1) == (True, end)
        assert ask(when, person, end) == (False, None)


def test_absence_is_a_count_of_at_most_zero_and_not_a_last_touch():
    nobody, buyer = Person(), Person([Touch(NOW - 40 * DAY_MS, type="order_completed")])
    dormant = {"last_touch": {"type": "order_completed", "not_within": "30d"}}
    absent = {"count": {"type": "order_completed", "at_most": 0, "within": "30d"}}
    assert ask(dormant, nobody) == (False, None)
    assert ask(absent, nobody) == (True, None)
    assert ask(dormant, buyer) == (True, None)
    assert ask(absent, buyer) == (True, None)


def test_at_least_ends_when_the_kth_newest_leaves():
    person = Person([Touch(NOW - hours * HOUR_MS, trail=hours % 2) for hours in range(10)])
    when = {"count": {"at_least": 3, "within": "1d"}}
    assert ask(when, person) == (True, NOW + 22 * HOUR_MS)


def test_at_most_begins_when_enough_have_left():
    person = Person([Touch(NOW - hours * HOUR_MS) for hours in range(10)])
    when = {"count": {"at_most": 3, "within": "1d"}}
    assert ask(when, person) == (False, NOW + 21 * HOUR_MS)
    assert ask(when, person, NOW + 21 * HOUR_MS) == (True, None)


def test_touches_that_leave_together_may_jump_over_a_range():
    person = Person([Touch(NOW), Touch(NOW), Touch(NOW)])
    when = {"count": {"at_least": 1, "at_most": 2, "within": "1d"}}
    assert ask(when, person) == (False, None)


def test_a_sum_adds_one_currency_and_counts_no_touch_as_zero():
    person = Person(
        [
            Touch(NOW, type="order_completed", micros=60 * MILLION, currency="USD", trail=0),
            Touch(NOW, type="order_completed", micros=50 * MILLION, currency="USD", trail=1),
            Touch(NOW, type="order_completed", micros=99 * MILLION, currency="EUR"),
        ]
    )
    body = {"type": "order_completed", "currency": "usd", "within": "365d"}
    assert holds({"sum": {**body, "at_least": 110}}, person)
    assert not holds({"sum": {**body, "at_least": 110.01}}, person)
    assert holds({"sum": {**body, "at_most": 0}}, Person())


def test_a_sum_changes_in_the_order_of_time_whatever_the_trails():
    orders = [(1, 5, 0), (3, -2, 0), (2, 4, 1)]
    person = Person(
        [
            Touch(NOW - h * HOUR_MS, micros=m * MILLION, currency="JPY", trail=t)
            for h, m, t in orders
        ]
    )
    when = {"sum": {"currency": "JPY", "at_most": 7, "within": "1d"}}
    assert ask(when, person) == (True, NOW + 21 * HOUR_MS)
    assert ask(when, person, NOW + 21 * HOUR_MS) == (False, NOW + 22 * HOUR_MS)
    assert ask(when, person, NOW + 22 * HOUR_MS) == (True, None)


def test_filters_select_by_every_field():
    touch = Touch(NOW, "social", "message_received", "line", "spring", "inbound")
    fields = ("channel", "type", "source", "campaign", "direction")
    for field in fields:
        same = {field: getattr(touch, field)}
        other = {field: "outbound" if field == "direction" else "other"}
        assert holds({"count": {**same, "at_least": 1}}, Person([touch])), field
        assert not holds({"count": {**other, "at_least": 1}}, Person([touch])), field
    assert holds({"count": {**{f: getattr(touch, f) for f in fields}, "at_least": 1}},
                 Person([touch]))  # fmt: skip


def test_a_touch_counts_once_whatever_other_segments_keep():
    kept = [FeatureKey(direction="inbound"), FeatureKey(type="page_viewed", source="shop")]
    view = view_of(Person([Touch(NOW)]), kept)
    for body in ({}, {"type": "page_viewed"}, {"channel": "web"}, {"source": "shop"}):
        segment = compiled({"count": {**body, "at_most": 1}})
        assert evaluate(segment, view, NOW).is_member


def test_only_filters_beyond_channel_and_type_need_features_of_their_own():
    segments = [
        compiled({"count": {"channel": "web", "type": "page_viewed", "at_least": 1}}),
        compiled({"sum": {"type": "order_completed", "currency": "USD", "at_least": 1}}),
        compiled({"not": {"last_touch": {"direction": "inbound", "within": "30d"}}}),
        compiled({"any": [{"sum": {"campaign": "spring", "currency": "JPY", "at_least": 1}}]}),
    ]
    assert required_features(segments) == {
        FeatureKey(direction="inbound"),
        FeatureKey(currency="JPY", campaign="spring"),
    }
    assert required_features([]) == frozenset()


def test_an_answer_never_outlives_a_busy_hour_that_turns_exact():
    """More touches than are kept exactly: a short window goes by the hour until it is exact."""
    person = Person([Touch(NOW - i * 20_000) for i in range(400)])
    for when in (
        {"count": {"at_least": 300, "within": "2h"}},
        {"count": {"at_most": 300, "within": "2h"}},
        {"count": {"at_most": 100, "within": "30m"}},
        {"not": {"count": {"at_least": 257, "within": "2h"}}},
    ):
        segment = compiled(when)
        view = view_of(person, segment.features)
        verdict = evaluate(segment, view, NOW)
        for now in range(NOW, NOW + 4 * HOUR_MS, MINUTE_MS // 3):
            if verdict.next_ms is not None and now >= verdict.next_ms:
                verdict = evaluate(segment, view, now)
                assert verdict.next_ms is None or verdict.next_ms > now
            assert evaluate(segment, view, now).is_member == verdict.is_member
        assert verdict.is_member == is_member(when, person, NOW + 4 * HOUR_MS)


def test_a_combination_looks_ahead_where_two_changes_cancel_out():
    """One condition takes at a moment what another gives."""
    person = Person([Touch(NOW, type="a"), Touch(NOW, type="b")])
    when = {
        "all": [
            {"count": {"type": "a", "at_least": 1, "within": "1d"}},
            {"count": {"type": "b", "at_most": 0, "within": "1d"}},
        ]
    }
    assert ask(when, person) == (False, None)


def test_a_combination_looks_ahead_where_a_condition_holds_for_a_while():
    person = Person([Touch(NOW - h * HOUR_MS, type=t) for h, t in ((20, "a"), (10, "a"), (4, "b"))])
    once = {"count": {"type": "a", "at_least": 1, "at_most": 1, "within": "1d"}}
    silent = {"count": {"type": "b", "at_most": 0, "within": "1d"}}
    assert ask(once, person) == (False, NOW + 4 * HOUR_MS)
    assert ask(once, person, NOW + 4 * HOUR_MS) == (True, NOW + 14 * HOUR_MS)
    assert ask(silent, person) == (False, NOW + 20 * HOUR_MS)
    assert ask({"all": [once, silent]}, person) == (False, None)
