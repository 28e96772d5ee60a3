"""Shopify's webhooks: signature and events."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
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
from ingest.connectors.shopify.people import PARTS
from ingest.testing.values import RECEIVED_MS, accepted
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
    nobody = {"customer": None, "email": "", "contact_email": "", "phone": None, "cart_token": None}
    refused = sample("orders/paid", **nobody)
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


# The order and the customer, wherever the body names them

ORDER_GID = "gid://shopify/Order/9"
FOLLOWED = ("anonymous_id", "shopify-order-9")
BUYER = ("shopify", "7")


@pytest.mark.parametrize(
    ("topic", "body"),
    [
        ("orders/edited", {"order_edit": {"id": 1, "order_id": 9, "app_id": None}}),
        ("orders/delete", {"id": 9}),
        ("orders/risk_assessment_changed", {"provider_id": 1, "order_id": 9}),
        ("orders/shopify_protect_eligibility_changed", {"order_id": 9}),
        ("returns/request", {"id": 1, "order": {"id": 9, "admin_graphql_api_id": ORDER_GID}}),
        ("returns/approve", {"id": 1, "order": {"admin_graphql_api_id": ORDER_GID}}),
        ("returns/update", {"admin_graphql_api_id": "gid://shopify/Return/1", "order_id": 9}),
        ("reverse_deliveries/attach_deliverable", {"id": 1, "return": {"order": {"id": 9}}}),
        ("refunds/create", {"id": 1, "order_id": 9, "transactions": []}),
        ("refunds/create", {"id": 1, "admin_graphql_api_order_id": ORDER_GID}),
        ("fulfillments/create", {"id": 1, "order_id": 9, "destination": {"phone": "+8131234567"}}),
        ("fulfillment_events/create", {"id": 1, "fulfillment_id": 2, "order_id": 9}),
        ("fulfillment_orders/split", {"fulfillment_order": {"id": 1, "order_id": 9}}),
        ("fulfillment_orders/cancelled", {"fulfillment_order": {"orderId": ORDER_GID}}),
        ("disputes/create", {"id": 1, "order_id": 9, "type": "chargeback"}),
        ("order_transactions/create", {"id": 1, "order_id": 9, "kind": "refund"}),
        ("tender_transactions/create", {"id": 1, "order_id": 9}),
        ("payment_terms/create", {"id": 1, "order_id": 9}),
        ("subscription_billing_attempts/success", {"id": 1, "order_id": 9}),
        ("subscription_billing_attempts/success", {"admin_graphql_api_order_id": ORDER_GID}),
    ],
)
def test_what_tells_of_an_order_follows_it(topic: str, body: dict[str, Any]):
    assert kinds(one(body, topic)) == {FOLLOWED}


@pytest.mark.parametrize(
    ("topic", "body"),
    [
        ("customers/disable", {"id": 7}),
        ("customers/update", {"admin_graphql_api_id": "gid://shopify/Customer/7"}),
        ("customers/purchasing_summary", {"customerId": "gid://shopify/Customer/7"}),
        ("customers_email_marketing_consent/update", {"customer_id": 7}),
        ("customer.joined_segment", {"customerId": "gid://shopify/Customer/7", "segmentId": "g"}),
        ("customer.tags_removed", {"customerId": "gid://shopify/Customer/7", "tags": []}),
        ("customer_payment_methods/create", {"token": "t", "customer_id": 7}),
        (
            "customer_payment_methods/revoke",
            {"admin_graphql_api_customer_id": "gid://shopify/Customer/7"},
        ),
        ("company_contacts/create", {"customer_admin_graphql_api_id": "gid://shopify/Customer/7"}),
        (
            "company_contact_roles/assign",
            {"company_contact": {"customer_admin_graphql_api_id": "gid://shopify/Customer/7"}},
        ),
        ("subscription_contracts/create", {"id": 1, "customer_id": 7}),
        ("draft_orders/create", {"id": 1, "customer": {"id": 7}, "order_id": None}),
        ("returns/request", {"id": 1, "order": {"customer": {"id": 7}}}),
    ],
)
def test_what_tells_of_a_customer_names_them(topic: str, body: dict[str, Any]):
    assert kinds(one(body, topic)) == {BUYER}


def test_a_subscription_belongs_to_its_customer_and_to_its_first_order():
    body = {"id": 1, "customer_id": 7, "admin_graphql_api_origin_order_id": ORDER_GID}
    assert kinds(one(body, "subscription_contracts/update")) == {BUYER, FOLLOWED}


def test_the_buyer_of_an_order_within_another_object_is_the_customer():
    order = {"id": 9, "email": EMAIL[1], "token": "opens-it", "customer": {"id": 7}}
    touch = one({"id": 1, "order": order}, "returns/request")
    assert kinds(touch) == {BUYER, EMAIL, FOLLOWED}
    assert "opens-it" not in json.dumps(touch.properties)


def test_the_contact_of_an_order_stands_in_for_its_email():
    changes = {"customer": None, "cart_token": None, "phone": None, "email": None}
    assert kinds(sample("orders/paid", **changes)) == {EMAIL, ORDER}


def test_an_id_of_another_thing_is_no_customer_and_no_order():
    body = {"customerId": "gid://shopify/Company/7", "orderId": "gid://shopify/DraftOrder/9"}
    assert one(body, "customer.tags_added").reason == "no_identifier"


@given(
    topic=st.sampled_from(["returns/close", "disputes/update", "fulfillments/update"]),
    place=st.lists(st.sampled_from([part for part in PARTS if part != "order"]), max_size=3),
    name=st.sampled_from(["order_id", "orderId", "admin_graphql_api_order_id"]),
    number=st.integers(1, 2**63),
    gid=st.booleans(),
)
def test_the_number_of_an_order_is_found_wherever_it_stands(
    topic: str, place: list[str], name: str, number: int, gid: bool
):
    body: dict[str, Any] = {name: f"gid://shopify/Order/{number}" if gid else number}
    for part in place:
        body = {part: body}
    assert kinds(one(body, topic)) == {("anonymous_id", f"shopify-order-{number}")}


def test_an_edited_order_is_no_new_one():
    edits = [
        one({"order_edit": {"id": number, "order_id": 9}}, "orders/edited") for number in (1, 2)
    ]
    assert {touch.type for touch in edits} == {"shopify_orders_edited"}
    assert [touch.value for touch in edits] == [None, None]
    assert len({touch.event_id for touch in edits}) == 2


def test_two_returns_changed_in_one_action_are_two_events():
    gids = [f"gid://shopify/Return/{number}" for number in (1, 2)]
    touches = [one({"admin_graphql_api_id": gid, "order_id": 9}, "returns/update") for gid in gids]
    assert len({touch.event_id for touch in touches}) == 2


def test_an_edit_happened_when_it_was_committed():
    body = {"order_edit": {"id": 1, "order_id": 9, "committed_at": "2026-11-20T13:00:00+09:00"}}
    touch = one(body, "orders/edited", **{TRIGGERED_AT: ""})
    assert touch.occurred_at == datetime(2026, 11, 20, 4, 0, tzinfo=UTC)


@pytest.mark.parametrize("time", ["yesterday", "1795147200", "2026-11-20 25:00"])
def test_a_header_that_is_no_time_costs_no_event(time: str):
    touch = one(PAYLOADS["orders__paid"], "orders/paid", **{TRIGGERED_AT: time})
    assert touch.occurred_at == datetime(2026, 11, 20, 4, 0, 5, tzinfo=UTC)


def test_the_refund_of_an_order_by_the_test_gateway_is_none():
    transactions = [{**part, "test": True} for part in PAYLOADS["refunds__create"]["transactions"]]
    assert sample("refunds/create", transactions=transactions).type == "shopify_refunds_create"
    transactions[0]["test"] = False
    assert sample("refunds/create", transactions=transactions).type == "order_refunded"


def test_what_is_given_back_in_several_currencies_has_no_sum():
    parts = [
        {"kind": "refund", "status": "success", "amount": "5", "currency": currency}
        for currency in ("JPY", "USD")
    ]
    assert sample("refunds/create", transactions=parts).value is None


@pytest.mark.parametrize("topic", ["customers/redact", "customers/data_request"])
def test_a_number_that_cannot_be_costs_the_customer_nothing_else(topic: str):
    customer = {"id": 7, "email": EMAIL[1], "phone": "555-625-1199"}
    verdict = accepted(sample(topic, customer=customer), None)
    assert json.loads(verdict.value)["identifiers"] == {
        "shopify": ["7"], "email": [EMAIL[1]],
    }  # fmt: skip


@pytest.mark.parametrize(
    ("state", "decision"),
    [
        ("SUBSCRIBED", {"sms_marketing": True}),
        ("UNSUBSCRIBED", {"sms_marketing": False}),
        *((state, {}) for state in ("PENDING", "INVALID", "REDACTED", "NOT_SUBSCRIBED")),
    ],
)
def test_a_state_may_be_written_as_in_graphql(state: str, decision: dict[str, bool]):
    topic = "customers_marketing_consent/update"
    for written in (state, state.lower()):
        assert sample(topic, sms_marketing_consent={"state": written}).consent == decision


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
