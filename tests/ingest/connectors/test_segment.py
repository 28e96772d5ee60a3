"""The Segment protocol: SDKs' calls as touchpoints."""

from __future__ import annotations

import base64
import json
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest

from ingest.connector import Context, KeyedConnector, Request
from ingest.connectors.segment.connector import Segment, SegmentOptions
from ingest.connectors.segment.contract import SegmentContract
from ingest.kit.web import COMMERCE
from ingest.testing.values import RECEIVED_MS, URL
from schemas.rejection import Rejection
from schemas.touchpoint import Touchpoint

KEY = "first-secret-5Xw"
PAYLOADS = SegmentContract.payloads


def request(
    body: bytes, path: str = "/v1/batch", headers: dict[str, str] | None = None, query: str = ""
):
    basic = {"authorization": "Basic " + base64.b64encode(f"{KEY}:".encode()).decode()}
    return Request("POST", path, query, URL + path, basic if headers is None else headers, body)


def parse(value: Any, path: str = "/v1/batch", **context: Any) -> list[Any]:
    body = value if isinstance(value, bytes) else json.dumps(value).encode()
    connector = Segment(SegmentOptions(write_key=KEY))
    return list(connector.parse(request(body, path), Context("shop", RECEIVED_MS, **context)))


def one(path: str, **event: Any) -> Any:
    (result,) = parse({"messageId": "m", "userId": "u", **event}, path)
    return result


def track(event: object = "Something Done", **properties: Any) -> Any:
    return one("/v1/track", event=event, properties=properties)


def pairs(touch: Touchpoint) -> list[tuple[str, str]]:
    return [(identifier.kind, identifier.value) for identifier in touch.identifiers]


class TestSegment(SegmentContract):
    pass


# The key


@pytest.mark.parametrize(
    ("headers", "query", "body"),
    [
        ({"authorization": "Basic " + base64.b64encode(f"{KEY}:".encode()).decode()}, "", b""),
        ({"authorization": "basic " + base64.b64encode(KEY.encode()).decode()}, "", b"{"),
        ({}, f"x=1&writeKey={KEY}", b""),
        ({}, "", json.dumps({"batch": [], "writeKey": KEY}).encode()),
        ({}, "", b'{"event": "half \\ud83d of an emoji", "writeKey": "' + KEY.encode() + b'"}'),
    ],
    ids=["basic", "basic without colon", "query", "body", "body with half an emoji"],
)
def test_the_write_key_is_found(headers: dict[str, str], query: str, body: bytes):
    connector = Segment(SegmentOptions(write_key=KEY))
    asked = request(body, headers=headers, query=query)
    assert isinstance(connector, KeyedConnector)
    assert Segment.key(asked) == KEY.encode()
    assert connector.keys() == (KEY.encode(),)
    assert connector.verify(asked, RECEIVED_MS)


@pytest.mark.parametrize(
    "body", [b"", b"{}", b"[]", b'{"writeKey": 5}', b'{"writeKey": ""}', b"[" * 100_000, b"\xff"]
)
def test_without_a_key_there_is_none(body: bytes):
    assert Segment.key(request(body, headers={"authorization": "Basic !!"})) is None
    assert Segment.key(request(body, headers={"authorization": "Basic Og=="})) is None


# The map


def test_a_purchase():
    (touch,) = parse(PAYLOADS["track"], "/v1/track")
    assert (touch.channel, touch.type, touch.direction) == (
        "commerce",
        "order_completed",
        "inbound",
    )
    assert touch.event_id == "ajs-next-f8ca1e4de5024d9430b3928bd8ac6b96"
    assert touch.value is not None
    assert (touch.value.amount, touch.value.currency) == (Decimal("5000.5"), "JPY")
    assert touch.occurred_at == datetime(2026, 11, 20, 4, 5, 7, 123_000, tzinfo=UTC)
    assert touch.sent_at == datetime(2026, 11, 20, 4, 5, 8, tzinfo=UTC)
    assert touch.campaign is not None
    assert touch.campaign.model_dump() == {
        "name": "秋のセール", "source": "newsletter", "medium": "email",
        "term": "boots", "content": "header",
    }  # fmt: skip
    assert touch.consent == {"Advertising": True, "Analytics": False}
    assert touch.traits == {"email": "Hanako@Example.com", "plan": "silver"}
    assert touch.url == "https://shop.example.com/checkout"
    assert touch.properties["order_id"] == "A-1001"
    assert touch.properties["library"] == "analytics.js"
    assert sorted(pairs(touch)) == [
        ("anonymous_id", "23adfd82-aa0f-45a7-a756-24f2a7a4c895"),
        ("customer_id", "C-42"),
        ("device_id", "B5372DB0-C21E-11E4-8DFC-AA07A5B093DB"),
        ("email", "Hanako@Example.com"),
    ]


def test_an_identify_gives_traits_and_identifiers():
    (touch,) = parse(PAYLOADS["identify"], "/v1/i")
    assert (touch.channel, touch.type) == ("web", "identified")
    assert touch.traits["plan"] == "gold", "traits win over context.traits"
    assert touch.traits["newsletter"] is True
    assert touch.traits["nickname"] is None, "null unsets"
    assert sorted(pairs(touch)) == [
        ("anonymous_id", "23adfd82-aa0f-45a7-a756-24f2a7a4c895"),
        ("customer_id", "42"),
        ("email", "hanako@example.com"),
        ("phone", "+81 3-1234-5678"),
    ]


def test_a_page_and_a_screen():
    (page,) = parse(PAYLOADS["page"], "/v1/page")
    (screen,) = parse(PAYLOADS["screen"], "/v1/s")
    assert (page.channel, page.type, page.subject) == ("web", "page_viewed", "ブーツ一覧")
    assert page.url == "https://shop.example.com/boots?q=boots"
    assert page.properties["path"] == "/boots"
    assert page.properties["referrer"] == "https://search.example.com/"
    assert page.properties["category"] == "Catalogue"
    assert (screen.channel, screen.type, screen.subject) == ("web", "screen_viewed", "Cart")
    assert screen.occurred_at == datetime(2026, 11, 19, 18, 58, tzinfo=UTC), "originalTimestamp"


def test_a_group_keeps_the_company_apart_from_the_customer():
    (touch,) = parse(PAYLOADS["group"], "/v1/group")
    assert (touch.channel, touch.type) == ("web", "group_joined")
    assert touch.properties["groupId"] == "acme"
    assert touch.properties["traits"]["email"] == "office@acme.example"
    assert touch.traits == {"role": "buyer"}
    assert pairs(touch) == [("customer_id", "C-42")]


def test_an_alias_joins_both_ids():
    (touch,) = parse(PAYLOADS["alias"], "/v1/a")
    assert (touch.channel, touch.type) == ("web", "aliased")
    assert pairs(touch) == [
        ("customer_id", "C-42"),
        ("anonymous_id", "23adfd82-aa0f-45a7-a756-24f2a7a4c895"),
    ]


def test_a_batch_with_all_calls():
    touches = parse(PAYLOADS["batch"])
    assert [(touch.channel, touch.type) for touch in touches] == [
        ("web", "identified"),
        ("web", "product_viewed"),
        ("web", "page_viewed"),
        ("web", "screen_viewed"),
        ("web", "group_joined"),
        ("web", "aliased"),
    ]
    assert {touch.sent_at for touch in touches} == {datetime(2026, 11, 20, 3, 0, 6, tzinfo=UTC)}
    assert all(touch.properties["library"] == "analytics-python" for touch in touches)


def test_the_batch_sent_at_comes_before_that_of_the_event():
    event = {"type": "track", "userId": "u", "event": "e", "sentAt": "2026-11-20T00:00:00Z"}
    (own,) = parse({"batch": [event]})
    (outer,) = parse({"batch": [event], "sentAt": "2026-11-20T01:00:00Z"})
    assert own.sent_at == datetime(2026, 11, 20, tzinfo=UTC)
    assert outer.sent_at == datetime(2026, 11, 20, 1, tzinfo=UTC)


def test_the_context_of_a_batch_is_that_of_every_event_unless_it_has_its_own():
    event = {"type": "track", "userId": "u", "event": "e"}
    own = {**event, "context": {"ip": "203.0.113.9"}}
    first, second = parse({"batch": [event, own], "context": {"ip": "::1", "userAgent": "x"}})
    assert (first.properties["ip"], second.properties["ip"]) == ("::1", "203.0.113.9")
    assert second.properties["userAgent"] == "x"


def test_the_type_says_the_call_where_the_path_does_not():
    (touch,) = parse(PAYLOADS["alias"] | {"type": "alias"}, "/hooks/shop")
    assert touch.type == "aliased"
    assert len(parse(PAYLOADS["batch"], "/hooks/shop")) == 6
    assert len(parse(PAYLOADS["batch"], "/v1/import")) == 6


@pytest.mark.parametrize(
    ("event", "kind"),
    [
        ("Order Completed", "order_completed"),
        ("ORDER COMPLETED", "order_completed"),
        ("orderCompleted", "order_completed"),
        ("OrderCompleted", "order_completed"),
        ("order_completed", "order_completed"),
        ("order-completed!", "order_completed"),
        ("checkout.stepViewed", "checkout_step_viewed"),
        ("HTTPRequestSent", "http_request_sent"),
        ("iPhone Viewed", "iphone_viewed"),
        ("Step 2 Completed", "step_2_completed"),
        ("商品を閲覧", "商品を閲覧"),
        ("資料 ダウンロード", "資料_ダウンロード"),
        ("Ｏｒｄｅｒ\u3000Completed", "order_completed"),
        ("हिन्दी", "हिन्दी"),
        ("🎉 Party", "party"),
        (" Éclair\u00a0Bought ", "éclair_bought"),
    ],
)
def test_event_names_become_snake_case(event: str, kind: str):
    assert track(event).type == kind


@pytest.mark.parametrize(
    "kind", ["order_refunded", "cart_viewed", "product_added", "checkout_started"]
)
def test_shop_events_are_commerce(kind: str):
    assert kind in COMMERCE
    assert track(kind.replace("_", " ").title()).channel == "commerce"


@pytest.mark.parametrize(
    ("properties", "value"),
    [
        ({"revenue": 10, "total": 12, "value": 14, "currency": "usd"}, ("10", "USD")),
        ({"total": "12.345678", "value": 14, "currency": "EUR"}, ("12.345678", "EUR")),
        ({"value": 14.5}, ("14.5", None)),
        ({"revenue": None, "total": "", "value": -3}, ("-3", None)),
        ({"value": "red"}, None),
        ({"value": {"a": 1}}, None),
        ({"value": 1e15}, None),
        ({"value": 5, "currency": "gold"}, ("5", None)),
        ({}, None),
    ],
)
def test_money_of_any_event(properties: dict[str, Any], value: tuple[str, str | None] | None):
    touch = track("Anything", **properties)
    if value is None:
        assert touch.value is None
    else:
        assert (touch.value.amount, touch.value.currency) == (Decimal(value[0]), value[1])


# Ids and redelivery


def test_an_event_without_message_id_gets_one_of_its_content():
    event = {"type": "track", "userId": "u", "event": "e", "timestamp": "2026-11-20T00:00:00Z"}
    (first,) = parse({"batch": [event], "sentAt": "2026-11-20T00:00:01Z"})
    (again,) = parse({"batch": [dict(reversed(event.items()))], "sentAt": "2026-11-20T00:09:01Z"})
    (later,) = parse({"batch": [{**event, "sentAt": "2026-11-20T00:05:00Z"}]})
    (other,) = parse({"batch": [{**event, "event": "f"}]})
    (by_path,) = parse(
        {name: value for name, value in event.items() if name != "type"}, "/v1/track"
    )
    assert first.event_id == again.event_id == later.event_id == by_path.event_id
    assert first.event_id != other.event_id


@pytest.mark.parametrize(
    ("given", "shown"), [(7, "7"), (7.0, "7"), ("007", "007"), (2**63, str(2**63)), (-1, "-1")]
)
def test_ids_that_are_numbers_become_text(given: object, shown: str):
    assert ("customer_id", shown) in pairs(one("/v1/track", event="e", userId=given))


# Bad data


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"userId": {"id": 1}}, "userId"),
        ({"userId": True}, "userId"),
        ({"userId": 1e300}, "userId"),
        ({"userId": 10**30}, "userId"),
        ({"anonymousId": ["x"]}, "anonymousId"),
        ({"messageId": {}}, "messageId"),
        ({"timestamp": 1795147200}, "timestamp"),
        ({"timestamp": "yesterday"}, "timestamp"),
        ({"event": 5}, "event"),
        ({"event": "!!!"}, "event"),
        ({"event": None}, "event"),
        ({"event": "x" * 200}, "event"),
        ({"properties": "text"}, "properties"),
        ({"traits": "text"}, "traits"),
        ({"context": {"consent": {"categoryPreferences": {"Ads": "yes"}}}}, "consent.Ads"),
        ({"properties": {"revenue": "a lot"}}, "properties.revenue"),
        ({"event": "Order Completed", "properties": {"value": "a lot"}}, "properties.value"),
        ({"event": "Order Completed", "properties": {"total": []}}, "properties.total"),
        (
            {"event": "Order Completed", "properties": {"revenue": 1, "currency": "gold"}},
            "properties.currency",
        ),
    ],
    ids=str,
)
def test_a_wrong_event_is_refused_alone_with_its_bytes(change: dict[str, Any], named: str):
    good = {"type": "track", "messageId": "m", "userId": "u", "event": "e"}
    wrong = {**good, **change}
    before, refused, after = parse({"batch": [good, wrong, {**good, "messageId": "n"}]})
    assert isinstance(before, Touchpoint)
    assert isinstance(after, Touchpoint)
    assert isinstance(refused, Rejection)
    assert refused.reason == "invalid"
    assert refused.detail.startswith(f"{named}: ")
    assert json.loads(refused.payload) == wrong
    if "messageId" not in change:
        assert refused.event_id == "m"


@pytest.mark.parametrize(
    "event", [5, "track", None, [], {}, {"type": "batch"}, {"type": ["track"]}]
)
def test_what_is_no_event_is_refused_alone(event: object):
    (refused,) = parse({"batch": [event]})
    assert isinstance(refused, Rejection)
    assert json.loads(refused.payload) == event


def test_a_detail_is_short_however_long_the_names_of_fields_are():
    refused = one("/v1/t", event="e", context={"consent": {"categoryPreferences": {"x" * 9999: 1}}})
    assert isinstance(refused, Rejection)
    assert len(refused.detail) <= 500


def test_a_call_of_nobody_is_refused():
    (refused,) = parse({"event": "e", "messageId": "m", "userId": "", "anonymousId": None}, "/v1/t")
    assert (refused.reason, refused.event_id) == ("no_identifier", "m")
    assert refused.detail.startswith("userId: ")
    assert isinstance(one("/v1/track", event="e", userId=None, anonymousId="a"), Touchpoint)


def test_an_empty_batch_is_fine():
    assert parse({"batch": []}) == []


def test_too_many_events_are_refused_whole():
    body = json.dumps({"batch": [{}, {}, {}]}).encode()
    (refused,) = parse(body, max_events=2)
    assert (refused.reason, refused.payload) == ("too_many", body)


def test_half_of_an_emoji_costs_only_itself():
    (touch,) = parse(b'{"userId": "u", "event": "e", "properties": {"a": "x\\ud83d"}}', "/v1/track")
    assert touch.properties["a"] == "x\ufffd"
