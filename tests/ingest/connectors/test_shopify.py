"""Shopify's webhooks: signature and events."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest
from shopify_app import ShopifyApp

from ingest.connector import Context
from ingest.connectors.shopify.connector import (
    EVENT_ID,
    TRIGGERED_AT,
    WEBHOOK_ID,
    Shopify,
    ShopifyOptions,
)
from ingest.connectors.shopify.contract import ShopifyContract, signed, topic_of
from ingest.testing.values import RECEIVED_MS
from schemas.rejection import Rejection
from schemas.touchpoint import Touchpoint

PAYLOADS = ShopifyContract.payloads
CUSTOMER = ("shopify", "6940095564")
EMAIL = ("email", "hanako@example.com")
PHONE = ("phone", "+819012345678")
CART = ("anonymous_id", "Z2NwLWFzaWE6MDFIQjY1")
ORDER = ("anonymous_id", "shopify-order-820982911946154500")


def connector(*secrets: str) -> Shopify:
    return Shopify(ShopifyOptions(client_secret=secrets or ("s",)))


def one(value: Any, topic: str, **headers: str) -> Any:
    request = signed(json.dumps(value).encode(), topic=topic, **headers)
    (result,) = connector().parse(request, Context("shop", RECEIVED_MS))
    return result


def sample(topic: str, **changes: Any) -> Any:
    return one({**PAYLOADS[topic.replace("/", "__")], **changes}, topic)


def kinds(touch: Touchpoint) -> set[tuple[str, str]]:
    return {(i.kind, i.value) for i in touch.identifiers}


class TestShopify(ShopifyContract):
    pass


# The signature


def test_shopifys_own_library_agrees():
    theirs = ShopifyApp("client-id", "s", "old")
    ours = connector("s", "old")
    for value in (*PAYLOADS.values(), {"name": "日本"}):
        for secret in ("s", "old", "foreign"):
            request = signed(json.dumps(value, ensure_ascii=False).encode(), secret)
            for body in (request.body, request.body + b" "):
                verdict = theirs.verify_webhook_req(
                    {
                        "method": "POST",
                        "headers": dict(request.headers),
                        "url": request.url,
                        "body": body.decode(),
                    }
                )
                assert verdict.ok == ours.verify(request._replace(body=body), RECEIVED_MS)


# The map


@pytest.mark.parametrize(
    ("topic", "channel", "kind", "direction"),
    [
        ("carts/create", "commerce", "cart_created", "inbound"),
        ("carts/update", "commerce", "cart_updated", "inbound"),
        ("checkouts/create", "commerce", "checkout_started", "inbound"),
        ("checkouts/update", "commerce", "checkout_updated", "inbound"),
        ("orders/create", "commerce", "order_placed", "inbound"),
        ("orders/paid", "commerce", "order_completed", "inbound"),
        ("orders/cancelled", "commerce", "order_cancelled", "inbound"),
        ("orders/fulfilled", "commerce", "order_fulfilled", "outbound"),
        ("refunds/create", "commerce", "order_refunded", "outbound"),
        ("customers/create", "commerce", "customer_created", "inbound"),
        ("customers/update", "commerce", "customer_updated", "inbound"),
        ("customers/delete", "commerce", "customer_deleted", "inbound"),
        ("customers/merge", "commerce", "customers_merged", "inbound"),
        ("customers/redact", "commerce", "erasure_requested", "inbound"),
        ("customers/data_request", "commerce", "data_requested", "inbound"),
        ("customers_email_marketing_consent/update", "email", "email_unsubscribed", "inbound"),
        ("customers_marketing_consent/update", "phone", "sms_subscribed", "inbound"),
    ],
)
def test_topics_have_their_types(topic: str, channel: str, kind: str, direction: str):
    touch = sample(topic)
    assert (touch.channel, touch.type, touch.direction) == (channel, kind, direction)


def test_fields_of_a_paid_order():
    touch = sample("orders/paid")
    assert touch.event_id == "orders/paid:820982911946154500"
    assert touch.occurred_at == datetime(2026, 11, 20, 4, 0, 1, 877_041, tzinfo=UTC)
    assert (touch.value.amount, touch.value.currency) == (Decimal(12500), "JPY")
    assert kinds(touch) == {CUSTOMER, EMAIL, PHONE, CART, ORDER}
    assert touch.subject == "#1001"
    assert touch.traits == {
        "first_name": "Hanako",
        "last_name": "Yamada",
        "tags": "vip, newsletter",
    }
    assert (touch.campaign.name, touch.campaign.source, touch.campaign.medium) == (
        "autumn sale",
        "line",
        "social",
    )
    assert touch.properties["line_items"][0]["sku"] == "BOOTS-42"
    assert touch.properties["tags"] == "gift"
    assert touch.properties["shop_domain"] == "boots.myshopify.com"


def test_what_opens_a_cart_or_an_order_is_not_kept():
    for name in PAYLOADS:
        kept = json.dumps(sample(topic_of(name)).properties)
        assert "b490a9220cd14d7344024f4874f640a6" not in kept
        assert "authenticate?key" not in kept


def test_one_purchase_is_one_order():
    orders = [touch for name in PAYLOADS if (touch := sample(topic_of(name))).type.startswith("or")]
    assert [touch.type for touch in orders].count("order_completed") == 1
    paid_again = sample("orders/paid", total_price="13000")
    assert paid_again.event_id == sample("orders/paid").event_id


def test_an_order_of_the_test_gateway_is_none():
    assert sample("orders/paid", test=True).type == "shopify_orders_paid"


def test_a_refund_is_what_was_given_back_to_the_customer_of_the_order():
    touch = sample("refunds/create")
    assert (touch.value.amount, touch.value.currency) == (Decimal("11500.5"), "JPY")
    assert kinds(touch) == {ORDER}
    assert touch.event_id == "refunds/create:509562969"
    assert sample("refunds/create", transactions=[]).value is None
    unreadable = [{"kind": "refund", "status": "success", "amount": "a lot"}]
    assert sample("refunds/create", transactions=unreadable).value is None


def test_a_cart_and_its_checkout_are_one_visitor():
    assert kinds(sample("carts/create")) == {CART}
    assert kinds(sample("checkouts/create")) == {CART}
    touch = sample("checkouts/update")
    assert kinds(touch) == {CUSTOMER, EMAIL, PHONE, CART}
    assert touch.url == "https://shop.example.com/1/checkouts/ac/b490/recover?key=abcdefg"


def test_the_two_ids_of_a_merge_are_one_customer():
    assert kinds(sample("customers/merge")) == {CUSTOMER, ("shopify", "6940095565")}
    assert sample("customers/merge", status="failed").reason == "no_identifier"


def test_an_order_without_customer_names_nobody():
    refused = sample("orders/paid", customer=None, email="", phone=None, cart_token=None)
    assert refused.reason == "no_identifier"


@pytest.mark.parametrize(
    ("state", "kind", "consent"),
    [
        ("subscribed", "email_subscribed", {"marketing": True}),
        ("unsubscribed", "email_unsubscribed", {"marketing": False}),
        ("pending", "shopify_customers_email_marketing_consent_update", {}),
        ("not_subscribed", "shopify_customers_email_marketing_consent_update", {}),
        ("redacted", "shopify_customers_email_marketing_consent_update", {}),
        (None, "shopify_customers_email_marketing_consent_update", {}),
    ],
)
def test_decisions_about_email(state: str | None, kind: str, consent: dict[str, bool]):
    topic = "customers_email_marketing_consent/update"
    touch = sample(topic, email_marketing_consent={"state": state})
    assert (touch.type, touch.channel, touch.consent) == (kind, "email", consent)
    assert kinds(touch) == {CUSTOMER, EMAIL}


def test_decisions_about_sms_have_a_purpose_of_their_own():
    topic = "customers_marketing_consent/update"
    assert sample(topic).consent == {"sms_marketing": True}
    assert kinds(sample(topic)) == {CUSTOMER, PHONE}
    stop = sample(topic, sms_marketing_consent={"state": "unsubscribed"})
    assert (stop.type, stop.consent) == ("sms_unsubscribed", {"sms_marketing": False})


def test_a_state_that_is_repeated_is_no_decision():
    assert sample("customers/create").consent == {"marketing": True}
    assert sample("customers/update").consent == {}
    assert sample("orders/paid").consent == {}


@pytest.mark.parametrize(
    ("topic", "body"),
    [
        ("app/uninstalled", {"id": 1, "email": "owner@example.com", "phone": "+81312345678"}),
        ("shop/update", {"id": 1, "email": "owner@example.com", "customer_email": "o@example.com"}),
        ("shop/redact", {"shop_id": 1, "shop_domain": "boots.myshopify.com"}),
        ("products/update", {"id": 1, "title": "Boots"}),
        ("locations/update", {"id": 1, "phone": "+81312345678"}),
    ],
)
def test_what_tells_of_the_shop_names_no_customer(topic: str, body: dict[str, Any]):
    refused = one(body, topic)
    assert isinstance(refused, Rejection)
    assert refused.reason == "no_identifier"


def test_a_topic_of_tomorrow_is_kept_under_its_name():
    touch = one({"id": 5, "customer_id": 7, "order_id": 9}, "subscription_contracts/pause")
    assert touch.type == "shopify_subscription_contracts_pause"
    assert kinds(touch) == {("shopify", "7"), ("anonymous_id", "shopify-order-9")}


def test_tags_name_their_customer_in_another_way():
    body = {"customerId": "gid://shopify/Customer/6940095564", "tags": ["vip"]}
    touch = one(body, "customer.tags_added")
    assert (touch.type, kinds(touch)) == ("shopify_customer_tags_added", {CUSTOMER})


def test_a_redelivery_is_the_same_event():
    body = PAYLOADS["customers__update"]
    first = one(body, "customers/update")
    assert one(body, "customers/update", **{WEBHOOK_ID: "other"}).event_id == first.event_id
    assert one(body, "customers/update", **{EVENT_ID: "other"}).event_id != first.event_id
    another = one({**body, "id": 1}, "customers/update")
    assert another.event_id != first.event_id, "one action may change several customers"
    old = one(body, "customers/update", **{EVENT_ID: ""})
    assert "b54557e4-bdd9-4b37-8a5f-bf7d70bcd043" in old.event_id
    bare = {EVENT_ID: "", WEBHOOK_ID: ""}
    assert one(body, "customers/update", **bare) == one(body, "customers/update", **bare)


def test_without_the_time_of_the_event_it_is_that_of_the_change():
    touch = one(PAYLOADS["orders__paid"], "orders/paid", **{TRIGGERED_AT: ""})
    assert touch.occurred_at == datetime(2026, 11, 20, 4, 0, 5, tzinfo=UTC)


# Bad data


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"customer": "hanako"}, "customer"),
        ({"customer": {"id": []}}, "customer.id"),
        ({"email": 5}, "email"),
        ({"id": {}}, "id"),
        ({"total_price": "a lot"}, "total_price"),
        ({"currency": "yen!"}, "currency"),
        ({"name": 5}, "name"),
        ({"cart_token": 5}, "cart_token"),
    ],
    ids=str,
)
def test_a_wrong_field_is_named(change: dict[str, Any], named: str):
    refused = sample("orders/paid", **change)
    assert isinstance(refused, Rejection)
    assert refused.detail.startswith(f"{named}: ")


@pytest.mark.parametrize("topic", ["", "//", "t" * 200])
def test_a_request_needs_a_topic(topic: str):
    refused = one(PAYLOADS["orders__paid"], topic)
    assert isinstance(refused, Rejection)
    assert refused.detail.startswith("X-Shopify-Topic: ")


@pytest.mark.parametrize("landing", ["http://[", "/?utm_campaign=", "x" * 9000, "/?" + "&" * 2000])
def test_a_strange_landing_page_costs_no_order(landing: str):
    assert sample("orders/paid", landing_site=landing).campaign is None
