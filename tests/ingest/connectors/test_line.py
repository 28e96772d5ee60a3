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
        "line_member_joined",
        "line_member_joined",
        "line_member_left",
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
    message = {"type": "text", "id": "1", "text": "Hi", "markAsReadToken": "t"}
    assert "markAsReadToken" not in one(type="message", message=message).properties


def test_a_redelivery_is_the_same_event():
    without_id = {"webhookEventId": None, "type": "message", "message": {"type": "text", "id": "9"}}
    first = one(**without_id, deliveryContext={"isRedelivery": False}, replyToken="a")
    again = one(**without_id, deliveryContext={"isRedelivery": True}, replyToken="b")
    assert first.event_id == again.event_id


def test_a_confirmed_delivery_is_outbound():
    assert one(type="delivery", delivery={"data": "hash"}).direction == "outbound"


BOT = "U00000000000000000000000000000000"
OTHERS = [f"U{digit * 32}" for digit in "345"]


def members(kind: str, *users: object, **event: Any) -> list[Any]:
    """What becomes of an event of a group that names its users in a list of their own."""
    listed = {"members": [{"type": "user", "userId": user} for user in users]}
    group = {"type": "group", "groupId": "C2"}
    given = {"type": kind, "webhookEventId": "e", "timestamp": 1, "source": group}
    name = {"memberJoined": "joined", "memberLeft": "left"}[kind]
    return parse({"destination": BOT, "events": [{**given, name: listed, **event}]})


@pytest.mark.parametrize(
    ("kind", "type_"),
    [("memberJoined", "line_member_joined"), ("memberLeft", "line_member_left")],
)
def test_who_came_or_went_is_a_customer_each(kind: str, type_: str):
    found = members(kind, *OTHERS)
    assert [touch.type for touch in found] == [type_] * 3
    assert [[i.value for i in touch.identifiers] for touch in found] == [[one] for one in OTHERS]
    assert [touch.event_id for touch in found] == ["e:1", "e:2", "e:3"]
    assert {touch.properties["group_id"] for touch in found} == {"C2"}
    again = members(kind, *OTHERS, deliveryContext={"isRedelivery": True})
    assert [touch.event_id for touch in again] == ["e:1", "e:2", "e:3"]
    (alone,) = members(kind, OTHERS[0])
    assert alone.event_id == "e"


def test_one_bad_member_costs_no_other():
    first, refused, last = members("memberJoined", OTHERS[0], None, OTHERS[2])
    assert (refused.reason, refused.event_id) == ("no_identifier", "e:2")
    assert (first.event_id, last.event_id) == ("e:1", "e:3")


def test_the_company_s_own_bot_is_never_a_customer():
    joined, refused = members("memberJoined", OTHERS[0], BOT)
    assert isinstance(joined, Touchpoint)
    assert refused.reason == "no_identifier"
    own = {"type": "follow", "timestamp": 1, "source": {"type": "user", "userId": BOT}}
    (refused,) = parse({"destination": BOT, "events": [own]})
    assert refused.reason == "no_identifier"
    mentionees = [{"type": "user", "userId": BOT, "isSelf": True, "index": 0, "length": 4}]
    message = {"type": "text", "id": "1", "text": "@Bot hi", "mention": {"mentionees": mentionees}}
    touch = one(type="message", message=message)
    assert [i.value for i in touch.identifiers] == [USER]


def test_what_is_kept_of_a_member_is_read_again_as_it_was():
    body = {"destination": BOT, "events": [{"type": "memberJoined", "webhookEventId": "e"}]}
    body["events"][0] |= {"joined": {"members": [{"userId": BOT}, {"userId": OTHERS[0]}]}}
    request = signed(json.dumps(body).encode())
    before, after = connector().around(request)
    refused, _ = connector().parse(request, Context("line", RECEIVED_MS))
    assert isinstance(refused, Rejection)
    again = request._replace(body=before + refused.payload + after)
    assert list(connector().parse(again, Context("line", RECEIVED_MS))) == [refused]


@pytest.mark.parametrize(
    ("event", "type_"),
    [
        ({"type": "membership", "membership": {"type": "joined"}}, "line_membership_joined"),
        ({"type": "membership", "membership": {"type": "renewed"}}, "line_membership_renewed"),
        ({"type": "membership", "membership": {"type": "left"}}, "line_membership_left"),
        ({"type": "membership", "membership": 5}, "line_membership"),
        ({"type": "accountLink", "link": {"result": "ok"}}, "line_account_link"),
        ({"type": "accountLink", "link": {"result": "failed"}}, "line_account_link_failed"),
        ({"type": "beacon", "beacon": {"type": "enter", "hwid": "d4"}}, "line_beacon"),
        ({"type": "beacon", "beacon": {"type": "leave", "hwid": "d4"}}, "line_beacon_leave"),
        ({"type": "unsend", "unsend": {"messageId": "1"}}, "line_unsend"),
        ({"type": "unfollow"}, "account_unfollowed"),
        ({"type": "follow", "follow": {"isUnblocked": True}}, "account_followed"),
    ],
    ids=str,
)
def test_what_is_undone_or_failed_has_a_type_of_its_own(event: dict[str, Any], type_: str):
    assert one(**event).type == type_


@pytest.mark.parametrize(
    "event",
    [
        {"type": "activated", "chatControl": {"expireAt": 1}},
        {"type": "deactivated"},
        {"type": "botSuspended"},
        {"type": "botResumed"},
        {"type": "module", "module": {"type": "attached", "botId": BOT, "scopes": []}},
        {"type": "join", "source": {"type": "group", "groupId": "C1"}},
        {"type": "leave", "source": {"type": "group", "groupId": "C1"}},
    ],
    ids=lambda event: event["type"],
)
def test_events_of_the_account_itself_name_no_customer(event: dict[str, Any]):
    assert one(**{"source": None, **event}).reason == "no_identifier"


@pytest.mark.parametrize("wrong", [5, "x", [], {"isRedelivery": "no"}], ids=str)
def test_a_field_that_only_helps_costs_no_event(wrong: object):
    touch = one(deliveryContext=wrong)
    assert touch.type == "account_followed"
    assert "is_redelivery" not in touch.properties


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
        ({"type": "memberJoined", "joined": 5}, "joined"),
        ({"type": "memberJoined", "joined": {"members": "U1"}}, "joined.members"),
        ({"type": "memberLeft", "left": {"members": [5]}}, "left.members"),
        ({"type": "memberLeft", "left": {"members": [{"userId": 5.5}]}}, "left.members.userId"),
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
