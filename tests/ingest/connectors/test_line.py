"""LINE's webhook: signature and events."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest
from linebot.v3.webhook import SignatureValidator

from ingest.connector import Context
from ingest.connectors.line.connector import SIGNATURE, Line, LineOptions
from ingest.connectors.line.contract import LineContract, signed
from ingest.testing.values import RECEIVED_MS
from schemas.rejection import Rejection
from schemas.touchpoint import Touchpoint

PAYLOADS = LineContract.payloads
USER = "U4af4980629aaaaaaaaaaaaaaaaaaaaaa"


def connector(*secrets: str) -> Line:
    return Line(LineOptions(channel_secret=secrets or ("s",)))


def parse(value: Any) -> list[Any]:
    request = signed(json.dumps(value).encode())
    return list(connector().parse(request, Context("line", RECEIVED_MS)))


def one(**event: Any) -> Any:
    given = {"type": "follow", "webhookEventId": "e", "timestamp": 1, "source": {"userId": USER}}
    (result,) = parse({"events": [{**given, **event}]})
    return result


class TestLine(LineContract):
    pass


def test_lines_own_library_agrees():
    theirs = SignatureValidator("s")
    for value in (*PAYLOADS.values(), {"destination": "U", "events": []}):
        request = signed(json.dumps(value, ensure_ascii=False).encode())
        for body in (request.body, request.body + b" "):
            assert theirs.validate(body.decode(), request.headers[SIGNATURE]) == connector().verify(
                request._replace(body=body), RECEIVED_MS
            )


def test_the_verify_button_sends_no_events():
    assert parse({"destination": "U00000000000000000000000000000000", "events": []}) == []


def test_events_have_their_types():
    touches = parse(PAYLOADS["events"])
    assert [touch.type for touch in touches] == [
        "message_received",
        "message_received",
        "account_followed",
        "account_unfollowed",
        "postback_received",
        "line_unsend",
        "line_video_play_complete",
        "line_account_link",
    ]
    assert {(touch.channel, touch.direction) for touch in touches} == {("social", "inbound")}


def test_fields_of_events():
    text, sticker, follow, _, postback, unsend, *_ = parse(PAYLOADS["events"])
    assert text.event_id == "01FZ74A0TDDPYRVKNK77XKC3ZR"
    assert text.occurred_at == datetime(2026, 11, 20, 4, 0, 0, 123_000, tzinfo=UTC)
    assert [(i.kind, i.value) for i in text.identifiers] == [("line", USER)]
    assert text.subject == text.properties["text"] == "在庫はありますか？ (love)"
    assert text.properties["message_id"] == "444573844083572737"
    assert text.properties["message_type"] == "text"
    assert text.properties["is_redelivery"] is False
    assert sticker.properties["is_redelivery"] is True
    assert sticker.properties["group_id"] == "Ca56f94637cccccccccccccccccccccccc"
    assert [(i.kind, i.value) for i in sticker.identifiers] == [("line", USER)], "no group, no bot"
    assert follow.properties["follow"] == {"isUnblocked": True}
    assert postback.properties["postback"]["data"] == "action=reserve&id=7"
    assert unsend.properties["mode"] == "standby"


def test_tokens_that_serve_an_answer_are_not_kept():
    kept = [touch.properties for touch in parse(PAYLOADS["events"])]
    assert not any("replyToken" in properties or "quoteToken" in properties for properties in kept)


def test_a_redelivery_is_the_same_event():
    without_id = {"webhookEventId": None, "type": "message", "message": {"type": "text", "id": "9"}}
    first = one(**without_id, deliveryContext={"isRedelivery": False}, replyToken="a")
    again = one(**without_id, deliveryContext={"isRedelivery": True}, replyToken="b")
    assert first.event_id == again.event_id


def test_a_confirmed_delivery_is_outbound():
    assert one(type="delivery", delivery={"data": "hash"}).direction == "outbound"


def test_a_long_message_is_whole_in_properties_and_short_in_the_subject():
    text = "長い文\n" * 100
    touch = one(type="message", message={"type": "text", "id": "1", "text": text})
    assert touch.properties["text"] == text
    assert touch.subject.startswith("長い文 長い文")
    assert len(touch.subject) == 100


@pytest.mark.parametrize(
    "source", [{"type": "group", "groupId": "C1"}, {"type": "room", "roomId": "R1"}, {}, None]
)
def test_a_group_alone_names_no_customer(source: Any):
    refused = one(source=source)
    assert isinstance(refused, Rejection)
    assert refused.reason == "no_identifier"
    assert refused.detail.startswith("source.userId: ")
    assert refused.event_id == "e"


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"type": None}, "type"),
        ({"type": 5}, "type"),
        ({"source": "U1"}, "source"),
        ({"source": {"userId": []}}, "source.userId"),
        ({"timestamp": "2026-11-20"}, "timestamp"),
        ({"timestamp": 1e30}, "timestamp"),
        ({"message": "hello"}, "message"),
        ({"message": {"text": 5}}, "message.text"),
        ({"webhookEventId": {}}, "webhookEventId"),
        ({"webhookEventId": "x" * 600}, "webhookEventId"),
        ({"deliveryContext": 1}, "deliveryContext"),
    ],
    ids=str,
)
def test_a_wrong_event_is_refused_alone(change: dict[str, Any], named: str):
    good = {"type": "follow", "webhookEventId": "e", "timestamp": 1, "source": {"userId": USER}}
    wrong = {**good, **change}
    before, refused, after = parse({"events": [good, wrong, good]})
    assert isinstance(before, Touchpoint)
    assert isinstance(after, Touchpoint)
    assert isinstance(refused, Rejection)
    assert refused.detail.startswith(f"{named}: ")
    assert json.loads(refused.payload) == wrong
