"""Google Analytics' Measurement Protocol: key, events, ids."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest

from ingest.connector import Context, KeyedConnector, Reply
from ingest.connectors.ga4.connector import Ga4, Ga4Options
from ingest.connectors.ga4.contract import Ga4Contract, request
from ingest.testing.values import RECEIVED_MS
from schemas.rejection import Rejection
from schemas.touchpoint import Touchpoint

PAYLOADS = Ga4Contract.payloads


def parse(value: Any, received_ms: int = RECEIVED_MS) -> list[Any]:
    connector = Ga4(Ga4Options(api_secret="s"))
    body = json.dumps(value).encode()
    return list(connector.parse(request(body), Context("web", received_ms)))


def one(name: Any = "login", params: Any = None, **shared: Any) -> Any:
    event = {"name": name, "params": {} if params is None else params}
    (result,) = parse({"client_id": "1.2", "events": [event], **shared})
    return result


def kinds(touch: Touchpoint) -> list[tuple[str, str]]:
    return [(i.kind, i.value) for i in touch.identifiers]


class TestGa4(Ga4Contract):
    pass


def test_the_api_secret_finds_the_source():
    connector = Ga4(Ga4Options(api_secret=("one", "鍵 &=")))
    assert isinstance(connector, KeyedConnector)
    assert connector.keys() == (b"one", "鍵 &=".encode())
    assert Ga4.key(request(b"", "鍵 &=")) == "鍵 &=".encode()
    assert connector.verify(request(b"", "鍵 &="), RECEIVED_MS)
    assert Ga4.key(request(b"", query="api_secret=a&api_secret=b")) == b"a"
    assert Ga4.key(request(b"", query="API_SECRET=one")) is None


def test_google_answers_204_so_we_do():
    assert Ga4(Ga4Options(api_secret="s")).reply(request(b"")) == Reply(204)


# The map


def test_fields_of_a_purchase():
    (touch,) = parse(PAYLOADS["purchase"])
    assert (touch.channel, touch.type, touch.direction) == (
        "commerce",
        "order_completed",
        "inbound",
    )
    assert touch.event_id == "order:A-1001"
    assert touch.occurred_at == datetime(2026, 11, 20, 4, 5, 7, 123_000, tzinfo=UTC)
    assert (touch.value.amount, touch.value.currency) == (Decimal("12500.5"), "JPY")
    assert kinds(touch) == [("customer_id", "C-42"), ("anonymous_id", "1234567890.1795147507")]
    assert touch.traits == {"tier": "gold", "visits": 7, "nickname": None}
    assert touch.consent == {"ad_user_data": True, "ad_personalization": False}
    assert touch.properties["items"][0]["item_id"] == "boots-9"
    assert touch.properties["session_id"] == "1795147500"


@pytest.mark.parametrize(
    ("name", "types"),
    [
        (
            "shop",
            [
                "product_list_viewed", "product_clicked", "product_viewed", "product_added",
                "cart_viewed", "checkout_started", "checkout_updated", "payment_info_entered",
                "product_removed", "product_added_to_wishlist", "promotion_viewed",
                "promotion_clicked", "order_refunded",
            ],
        ),
        (
            "people",
            [
                "account_created", "logged_in", "lead_generated", "search_performed",
                "content_shared", "content_selected", "group_joined", "tutorial_started",
                "tutorial_completed", "virtual_currency_earned",
            ],
        ),
        (
            "page",
            ["page_viewed", "ga4_campaign_details", "document_downloaded", "seminar_attended"],
        ),
        ("app", ["screen_viewed", "ga4_my_own_event"]),
    ],
)  # fmt: skip
def test_events_have_their_types(name: str, types: list[str]):
    assert [touch.type for touch in parse(PAYLOADS[name])] == types


def test_channels_and_directions():
    shop = {touch.type: touch for touch in parse(PAYLOADS["shop"])}
    assert shop["product_viewed"].channel == "web"
    assert shop["product_added"].channel == "commerce"
    assert shop["order_refunded"].direction == "outbound"
    assert shop["order_refunded"].value.amount == Decimal(500)
    assert parse(PAYLOADS["page"])[3].channel == "event"


def test_a_value_without_a_currency_is_money_only_in_commerce():
    people = {touch.type: touch for touch in parse(PAYLOADS["people"])}
    assert people["virtual_currency_earned"].value is None
    assert people["virtual_currency_earned"].properties["value"] == 5
    assert people["lead_generated"].value.amount == Decimal(300)
    assert one("purchase", {"value": 5}).value.currency is None


def test_where_it_happened_and_which_campaign_led_there():
    page, campaign, download, _ = parse(PAYLOADS["page"])
    assert page.url.startswith("https://shop.example.com/boots?")
    assert page.subject == "ブーツ一覧"
    assert page.campaign.model_dump(exclude_none=True) == {
        "name": "秋", "source": "newsletter", "medium": "email",
    }  # fmt: skip
    assert campaign.campaign.model_dump() == {
        "name": "Summer_fun", "source": "google", "medium": "cpc",
        "term": "summer+travel", "content": "logolink",
    }  # fmt: skip
    assert download.subject == "white-paper.pdf"
    assert page.properties["user_location"] == {"city": "Tokyo", "country_id": "JP"}
    assert one("share", {"source": "x", "content": "y"}).campaign is None


def test_an_events_own_time_stands_before_that_of_the_request():
    page, campaign, *_ = parse(PAYLOADS["page"])
    assert page.occurred_at == datetime(2026, 11, 20, 4, 5, 7, 123_000, tzinfo=UTC)
    assert campaign.occurred_at == datetime(2026, 11, 20, 4, 3, 20, tzinfo=UTC)
    assert one().occurred_at is None


def test_apps_and_the_older_no_to_personal_ads():
    screen, own = parse(PAYLOADS["app"])
    assert kinds(screen) == [("device_id", "0123456789abcdef0123456789abcdef")]
    assert screen.subject == "店舗一覧"
    assert screen.consent == {"ad_personalization": False}
    assert own.event_id == "own-1"
    granted = {"ad_personalization": "GRANTED"}
    assert one(non_personalized_ads=True, consent=granted).consent == {"ad_personalization": True}
    assert one(non_personalized_ads=False).consent == {}


# Event ids


def test_the_same_content_with_a_time_is_the_same_event():
    at = {"timestamp_micros": "1795147507123000"}
    assert one(**at).event_id == one(**at).event_id
    assert one(**at).event_id != one(timestamp_micros="1795147507123001").event_id
    assert one(**at).event_id != one(**at, client_id="3.4").event_id
    assert one(**at).event_id != one(**at, user_id="u").event_id
    assert one(**at).event_id != one("sign_up", **at).event_id
    assert one(**at).event_id != one(params={"method": "x"}, **at).event_id


def test_content_without_a_time_is_the_same_event_within_a_minute():
    request = {"client_id": "1.2", "events": [{"name": "login"}]}
    minute = RECEIVED_MS // 60_000 * 60_000
    ids = [parse(request, minute + ms)[0].event_id for ms in (0, 59_999, 60_000)]
    assert ids[0] == ids[1] != ids[2]


def test_a_purchase_is_named_by_its_transaction():
    first = one(
        "purchase", {"transaction_id": 7, "value": 1}, timestamp_micros=1_795_147_507_000_000
    )
    assert first.event_id == one("purchase", {"transaction_id": "7"}).event_id == "order:7"
    refund = one("refund", {"transaction_id": "7", "value": 1})
    assert refund.event_id != one("refund", {"transaction_id": "7", "value": 2}).event_id


# Bad data


@pytest.mark.parametrize(
    ("shared", "named"),
    [
        ({"timestamp_micros": "yesterday"}, "timestamp_micros"),
        ({"timestamp_micros": -1}, "timestamp_micros"),
        ({"timestamp_micros": 10**20}, "timestamp_micros"),
        ({"consent": {"ad_user_data": "granted"}}, "consent.ad_user_data"),
        ({"consent": "GRANTED"}, "consent"),
        ({"non_personalized_ads": "true"}, "non_personalized_ads"),
        ({"client_id": []}, "client_id"),
    ],
    ids=str,
)
def test_a_wrong_field_of_the_request_is_named(shared: dict[str, Any], named: str):
    refused = one(**shared)
    assert isinstance(refused, Rejection)
    assert refused.detail.startswith(f"{named}: ")


@pytest.mark.parametrize(
    ("name", "params", "named"),
    [
        (None, {}, "name"),
        ("...", {}, "name"),
        (5, {}, "name"),
        ("login", [1], "params"),
        ("purchase", {"value": "a lot"}, "params.value"),
        ("purchase", {"value": 5, "currency": "yen!"}, "params.currency"),
    ],
)
def test_a_wrong_field_of_an_event_is_named(name: Any, params: Any, named: str):
    refused = one(name, params)
    assert isinstance(refused, Rejection)
    assert refused.detail.startswith(f"{named}: ")


@pytest.mark.parametrize(
    "shared",
    [
        {"user_properties": 5},
        {"user_properties": []},
        {"user_properties": {"tier": "gold", "score": {"value": 5}}},
        {"user_location": "x"},
        {"device": 5},
    ],
    ids=str,
)
def test_a_field_that_only_helps_costs_no_event(shared: dict[str, Any]):
    touch = one("page_view", {"page_location": 5, "page_title": {}, "campaign": []}, **shared)
    assert isinstance(touch, Touchpoint)
    assert touch.traits == ({"score": 5} if "score" in str(shared) else {})
    assert (touch.url, touch.subject, touch.campaign) == (None, None, None)


def test_parameters_that_are_an_empty_array_of_php_are_none():
    touch = one("login", [])
    assert isinstance(touch, Touchpoint)
    assert touch.properties == {}


def test_of_a_request_the_good_events_are_taken():
    first, second = parse({"client_id": "1.2", "events": [{"name": "login"}, {}]})
    assert isinstance(first, Touchpoint)
    assert isinstance(second, Rejection)
    assert parse({"client_id": "1.2", "events": []}) == []


def test_a_request_of_nobody_is_told():
    refused = one(client_id=None)
    assert refused.reason == "no_identifier"
