"""Segment: fields that only help cost no event; what other languages write for "not set"."""

from __future__ import annotations

from typing import Any

import pytest

from ingest.connector import Context
from ingest.connectors.segment.contract import SegmentContract
from ingest.intake.accept import Accepted, occurred
from ingest.testing.values import RECEIVED_MS, accepted
from schemas.rejection import Rejection
from schemas.times import MINUTE_MS, rfc3339
from schemas.touchpoint import Touchpoint

CONTRACT = SegmentContract()
STATED = "2025-11-30T20:00:00.000Z"
CALL = {"type": "track", "event": "A", "userId": "u", "messageId": "m", "timestamp": STATED}
UNUSABLE_TIMES = (
    "0001-01-01T00:00:00Z", "0001-01-01T00:00:00.000Z", "1969-12-31T23:59:59Z",
    "2101-01-01T00:00:00Z", "9999-12-31T23:59:59Z", "1970-01-01T00:00:00Z", "", None, 0,
    1795161600, 1795161600000, True, "soon", "2026-13-45T00:00:00Z", [], {}, ["x"], {"a": 1},
)  # fmt: skip


def touch(event: dict[str, Any], received_ms: int = RECEIVED_MS, **batch: Any) -> Touchpoint:
    connector = CONTRACT.make("k")
    request = CONTRACT.signed(CONTRACT.encode({"batch": [event], **batch}), "k", "batch")
    (result,) = connector.parse(request, Context("source", received_ms))
    assert isinstance(result, Touchpoint), result
    assert isinstance(accepted(result), Accepted)
    return result


def at(one: Touchpoint) -> str:
    return rfc3339(occurred(one, RECEIVED_MS))


@pytest.mark.parametrize("unusable", UNUSABLE_TIMES, ids=str)
def test_a_sent_at_that_cannot_be_one_corrects_nothing(unusable: object) -> None:
    assert at(touch(CALL, sentAt=unusable)) == STATED
    assert at(touch({**CALL, "sentAt": unusable})) == STATED


def test_the_events_own_counts_where_the_batchs_cannot() -> None:
    sent = "2026-11-20T09:00:00Z"
    event = {**CALL, "timestamp": "2026-11-20T08:30:00Z", "sentAt": sent}
    assert at(touch(event, sentAt="0001-01-01T00:00:00Z")) == "2026-11-20T07:30:00.000Z"


@pytest.mark.parametrize("unset", ["0001-01-01T00:00:00Z", "0001-01-01T00:00:00", "", None])
def test_a_time_that_is_not_set_is_that_of_receipt(unset: object) -> None:
    assert at(touch({**CALL, "timestamp": unset})) == rfc3339(RECEIVED_MS)
    assert at(touch({**CALL, "timestamp": unset, "originalTimestamp": STATED})) == STATED


@pytest.mark.parametrize("wrong", [5, "text", ["x"], True], ids=str)
@pytest.mark.parametrize(
    "path",
    [
        "originalTimestamp", "receivedAt", "context", "context.traits", "context.page",
        "context.page.url", "context.campaign", "context.campaign.name", "context.device",
        "context.device.id", "context.library", "context.ip", "context.userAgent", "integrations",
        "name", "category", "groupId", "channel", "version",
    ],
)  # fmt: skip
def test_a_helper_of_a_wrong_type_costs_nothing(path: str, wrong: object) -> None:
    value: Any = wrong
    name, *rest = path.split(".")
    for inner in reversed(rest):
        value = {inner: value}
    found = touch({**CALL, name: value})
    assert (found.event_id, at(found)) == ("m", STATED)
    if name == "context":
        assert touch(CALL, context=value).event_id == "m"


@pytest.mark.parametrize(
    "path", ["properties", "traits", "context", "context.traits", "integrations", "context.page"]
)
def test_the_empty_array_of_php_is_an_empty_object(path: str) -> None:
    value: Any = []
    name, *rest = path.split(".")
    for inner in reversed(rest):
        value = {inner: value}
    assert touch({**CALL, name: value}).properties == touch(CALL).properties
    assert touch({"type": "identify", "userId": "u", name: value}).traits == {}


def test_without_id_and_time_the_same_content_is_another_event_after_a_minute() -> None:
    call = {"type": "track", "event": "A", "userId": "u"}
    begun = RECEIVED_MS - RECEIVED_MS % MINUTE_MS
    first, again, later = (
        touch(call, begun + wait).event_id for wait in (0, MINUTE_MS - 1, MINUTE_MS)
    )
    assert first == again != later
    timed = {**call, "timestamp": STATED}
    assert touch(timed, begun).event_id == touch(timed, begun + 10 * MINUTE_MS).event_id


class TestMerge:
    @staticmethod
    def pairs(**merge: Any) -> list[tuple[str, str]]:
        found = touch({"type": "merge", "messageId": "m", **merge})
        assert (found.channel, found.type) == ("web", "aliased")
        return [(one.kind, one.value) for one in found.identifiers]

    def test_its_identifiers_are_those_of_one_person(self) -> None:
        merged = [
            {"type": "email", "value": "aoi@example.com"},
            {"type": "mobile", "value": "+81-90-1234-5678"},
        ]
        people = [("email", "aoi@example.com"), ("phone", "+81-90-1234-5678")]
        assert self.pairs(mergeProperties=merged) == people
        assert self.pairs(userId="u", mergeProperties=merged) == [("customer_id", "u"), *people]
        assert self.pairs(
            mergeProperties=[{"type": "anonymous_id", "value": "a"}, {"type": "userId", "value": 7}]
        ) == [("anonymous_id", "a"), ("customer_id", "7")]
        assert self.pairs(
            mergeProperties=[{"type": "loyaltyId", "value": "L"}, {"type": "Device", "value": "d"}]
        ) == [("loyalty_id", "L"), ("device_id", "d")]

    @pytest.mark.parametrize(
        "merged",
        [
            None,
            [],
            {},
            "x",
            ["x"],
            [{"type": "email"}],
            [{"value": "x"}],
            [{"type": 5, "value": 1}],
        ],
    )
    def test_one_without_identifiers_is_refused(self, merged: object) -> None:
        connector = CONTRACT.make("k")
        call = {"userId": "u", "messageId": "m", "mergeProperties": merged}
        request = CONTRACT.signed(CONTRACT.encode(call), "k", "merge")
        (refused,) = connector.parse(request, Context("source", RECEIVED_MS))
        assert isinstance(refused, Rejection)
        assert refused.detail.startswith("mergeProperties")
