"""A touchpoint becomes a record: identifiers, times, limits."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest.connector import original, touchpoint
from ingest.intake.accept import Accepted, SourcePolicy, accept, occurred
from schemas.identifiers import identifier_id
from schemas.rejection import Rejection
from schemas.times import DAY_MS, MINUTE_MS, from_ms, rfc3339
from schemas.touchpoint import Touchpoint

NOW = 1_790_000_000_000
SHOP = SourcePolicy("shop", region="JP", currency="JPY")


def touch(**fields: Any) -> Touchpoint:
    made = touchpoint(
        {
            "event_id": "e1",
            "channel": "web",
            "type": "page_viewed",
            "identifiers": [{"kind": "customer_id", "value": "c1"}],
            **fields,
        },
        b"original",
    )
    assert isinstance(made, Touchpoint), made
    return made


def row(source: SourcePolicy = SHOP, **fields: Any) -> dict[str, Any]:
    made = accept(touch(**fields), source, NOW, b"payload")
    assert isinstance(made, Accepted), made
    decoded: dict[str, Any] = msgspec.json.decode(made.value)
    return decoded


def refusal(source: SourcePolicy = SHOP, **fields: Any) -> Rejection:
    made = accept(touch(**fields), source, NOW, b"payload")
    assert isinstance(made, Rejection), made
    return made


class TestIdentifiers:
    def test_the_strongest_leads_and_keys_the_record(self) -> None:
        made = accept(
            touch(
                identifiers=[
                    {"kind": "anonymous_id", "value": "a"},
                    {"kind": "phone", "value": "０９０-1234-5678"},
                    {"kind": "email", "value": "A@Example.com"},
                ]
            ),
            SHOP,
            NOW,
            b"",
        )
        assert isinstance(made, Accepted)
        decoded = msgspec.json.decode(made.value)
        assert (decoded["lead_kind"], decoded["lead_value"]) == ("email", "a@example.com")
        assert decoded["lead_id"] == identifier_id("email", "a@example.com") == made.key.decode()
        assert decoded["identifiers"] == {
            "email": ["a@example.com"],
            "phone": ["+819012345678"],
            "anonymous_id": ["a"],
        }

    def test_what_is_no_identity_is_dropped_and_the_event_kept(self) -> None:
        given = [
            {"kind": "customer_id", "value": "null"},
            {"kind": "email", "value": "nonsense"},
            {"kind": "anonymous_id", "value": "a"},
        ]
        assert row(identifiers=given)["identifiers"] == {"anonymous_id": ["a"]}

    @pytest.mark.parametrize("value", ["", "guest", "０", "000-000", "[object Object]", " NULL "])
    def test_with_none_left_it_is_refused(self, value: str) -> None:
        refused = refusal(identifiers=[{"kind": "customer_id", "value": value}])
        assert (refused.reason, refused.payload) == ("no_identifier", b"payload")
        assert refused.event_id == "e1"

    def test_a_payload_is_only_made_when_it_is_needed(self) -> None:
        def never() -> bytes:
            raise AssertionError

        assert isinstance(accept(touch(), SHOP, NOW, never), Accepted)
        refused = accept(touch(identifiers=[]), SHOP, NOW, lambda: b"made")
        assert isinstance(refused, Rejection)
        assert refused.payload == b"made"


class TestTimes:
    def test_without_a_time_it_is_that_of_receipt(self) -> None:
        assert row()["occurred_at"] == row()["received_at"] == rfc3339(NOW)

    def test_other_zones_become_utc(self) -> None:
        tokyo = datetime(2026, 9, 1, 9, 0, 0, 123_456, timezone(timedelta(hours=9)))
        assert row(occurred_at=tokyo)["occurred_at"] == "2026-09-01T00:00:00.123Z"

    @pytest.mark.parametrize(
        ("off_ms", "corrected"),
        [
            (5 * MINUTE_MS, False),
            (-5 * MINUTE_MS, False),
            (5 * MINUTE_MS + 1, True),
            (-5 * MINUTE_MS - 1, True),
        ],
    )
    def test_a_clock_off_by_more_than_five_minutes_is_corrected(
        self, off_ms: int, corrected: bool
    ) -> None:
        sent, happened = NOW + off_ms, NOW + off_ms - 10_000
        made = touch(occurred_at=from_ms(happened), sent_at=from_ms(sent))
        assert occurred(made, NOW) == (NOW - 10_000 if corrected else happened)

    @given(st.integers(0, 10 * DAY_MS), st.integers(-400 * DAY_MS, 400 * DAY_MS))
    def test_of_a_wrong_clock_only_the_distance_counts(self, before: int, off: int) -> None:
        sent = NOW + off
        made = touch(occurred_at=from_ms(sent - before), sent_at=from_ms(sent))
        wrong = abs(off) > 5 * MINUTE_MS
        assert occurred(made, NOW) == (NOW - before if wrong else sent - before)

    @pytest.mark.parametrize(
        ("moment", "taken"),
        [
            (from_ms(NOW + DAY_MS), True),
            (from_ms(NOW + DAY_MS + 1), False),
            (datetime(1970, 1, 1, tzinfo=UTC), True),
            (datetime(1969, 12, 31, 23, 59, 59, 999_000, tzinfo=UTC), False),
            (datetime(2101, 1, 1, tzinfo=UTC), False),
            (datetime(9999, 12, 31, tzinfo=UTC), False),
            (datetime(1, 1, 1, tzinfo=timezone(timedelta(hours=14))), False),
        ],
    )
    def test_the_past_is_kept_the_far_future_is_not(self, moment: datetime, taken: bool) -> None:
        made = accept(touch(occurred_at=moment), SHOP, NOW, b"")
        assert isinstance(made, Accepted) == taken
        if isinstance(made, Rejection):
            assert made.reason == "invalid_time"


class TestTheSource:
    def test_its_currency_stands_in(self) -> None:
        assert row(value={"amount": 1})["value_currency"] == "JPY"
        assert row(value={"amount": 1, "currency": "usd"})["value_currency"] == "USD"

    def test_its_channel_replaces_web_only(self) -> None:
        till = SourcePolicy("till", channel="store")
        assert row(till)["channel"] == "store"
        assert row(till, channel="commerce")["channel"] == "commerce"

    @pytest.mark.parametrize(
        ("amount", "text"),
        [(12, "12"), (0.1, "0.1"), ("19.9900000", "19.99"), ("-3", "-3"), (1e11, "100000000000")],
    )
    def test_amounts_are_exact(self, amount: Any, text: str) -> None:
        assert row(value={"amount": amount})["value_amount"] == text


class TestLimits:
    def test_an_event_over_the_limit_is_refused(self) -> None:
        made = touch(properties={"x": "y" * 300_000})
        refused = accept(made, SHOP, NOW, b"p" * 300_000)
        assert isinstance(refused, Rejection)
        assert (refused.reason, refused.payload) == ("too_large", b"p" * 300_000)

    def test_the_size_is_that_of_the_event_not_of_its_row(self) -> None:
        quotes = touch(properties={"x": '"' * 100_000})
        made = accept(quotes, SHOP, NOW, b"p" * 200_000)
        assert isinstance(made, Accepted)
        assert len(made.value) > 256 * 1024
        assert refusal(properties={"x": '"' * 300_000}).reason == "too_large"

    @pytest.mark.parametrize(
        "fields",
        [
            {"traits": {"x": "\udfff"}},
            {"properties": {"\ud83d": 1}},
            {"properties": {"o": object()}},
        ],
    )
    def test_what_json_cannot_carry_is_refused(self, fields: dict[str, Any]) -> None:
        assert refusal(**fields).reason == "invalid"

    def test_traits_stay_text_or_become_json(self) -> None:
        traits = {"a": "text", "b": None, "c": 1.5, "d": True, "e": {"x": ["y"]}}
        assert row(traits=traits)["traits"] == {
            "a": "text", "b": None, "c": "1.5", "d": "true", "e": '{"x":["y"]}',
        }  # fmt: skip


def test_a_touchpoint_remembers_the_bytes_it_was_read_from() -> None:
    assert original(touch()) == b"original"
    bare = Touchpoint(event_id="e", channel="web", type="x", identifiers=())
    assert msgspec.json.decode(original(bare))["event_id"] == "e"
    assert touch() == touch()


class TestHelpers:
    """Fields that only help cost nothing; ids that lost a character refuse."""

    @pytest.mark.parametrize(
        "unusable",
        ["0001-01-01T00:00:00Z", "1969-12-31T23:59:59Z", "2200-01-01T00:00:00Z",
         "1970-01-01T00:00:00Z", "", "soon", 5, 1.5, True, [], {}, None],
        ids=str,
    )  # fmt: skip
    def test_a_time_of_sending_that_cannot_be_one_corrects_nothing(self, unusable: object) -> None:
        stated = rfc3339(NOW - 3 * DAY_MS)
        assert row(occurred_at=stated, sent_at=unusable)["occurred_at"] == stated

    def test_a_clock_that_is_years_behind_is_still_corrected(self) -> None:
        """A device without a battery begins in 1970; both its times are from there."""
        sent, at = "1970-01-01T01:00:00Z", "1970-01-01T00:30:00Z"
        corrected = rfc3339(NOW - 30 * MINUTE_MS)
        assert row(occurred_at=at, sent_at=sent)["occurred_at"] == corrected

    def test_a_correction_into_the_future_is_refused_as_before(self) -> None:
        sent = rfc3339(NOW - 3 * DAY_MS)
        refused = refusal(occurred_at=rfc3339(NOW - DAY_MS), sent_at=sent)
        assert refused.reason == "invalid_time"

    @pytest.mark.parametrize("name", ["properties", "traits", "consent", "campaign"])
    def test_the_empty_array_of_php_is_an_empty_object(self, name: str) -> None:
        assert row(**{name: []}) == row(**{name: {}})

    @pytest.mark.parametrize(
        "fields",
        [
            {"event_id": "e\ufffd"},
            {"identifiers": [{"kind": "customer_id", "value": "c\ufffd"}]},
            {
                "identifiers": [
                    {"kind": "customer_id", "value": "c"},
                    {"kind": "anonymous_id", "value": "\ufffd"},
                ]
            },
        ],
        ids=str,
    )
    def test_an_id_that_has_lost_a_character_refuses_the_event(self, fields: Any) -> None:
        refused = refusal(**fields)
        assert refused.reason == "invalid"
        assert "has lost a character" in refused.detail

    def test_elsewhere_a_lost_character_costs_nothing(self) -> None:
        found = row(subject="\ufffd", properties={"x\ufffd": "\ufffd"}, traits={"n": "\ufffd"})
        assert found["subject"] == "\ufffd"
