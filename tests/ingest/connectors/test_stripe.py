"""Stripe's webhooks: signature and events."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest
from stripe import SignatureVerificationError, Webhook, WebhookSignature

from ingest.connector import Context, Request
from ingest.connectors.stripe.connector import SIGNATURE, Stripe, StripeOptions
from ingest.connectors.stripe.contract import NOW, StripeContract, signed, v1
from ingest.testing.values import RECEIVED_MS, posted
from schemas.rejection import Rejection
from schemas.times import DAY_MS
from schemas.touchpoint import Touchpoint

PAYLOADS = StripeContract.payloads
CUSTOMER = ("stripe", "cus_NffrFeUfNV2Hib")
EMAIL = ("email", "hanako@example.com")
PHONE = ("phone", "+819012345678")


def with_header(body: bytes, header: str) -> Request:
    return posted(body, {SIGNATURE: header})


def connector(**options: Any) -> Stripe:
    return Stripe(StripeOptions(**{"signing_secret": "s", **options}))


def parse(event: Any, **options: Any) -> Any:
    request = signed(json.dumps(event).encode())
    (result,) = connector(**options).parse(request, Context("pay", RECEIVED_MS))
    return result


def sample(name: str, options: dict[str, Any] | None = None, **changes: Any) -> Any:
    event = PAYLOADS[name.replace(".", "_")]
    changed = {**event["data"], "object": {**event["data"]["object"], **changes}}
    return parse({**event, "data": changed}, **(options or {}))


def kinds(touch: Touchpoint) -> set[tuple[str, str]]:
    return {(i.kind, i.value) for i in touch.identifiers}


class TestStripe(StripeContract):
    pass


# The signature


def theirs(request: Request) -> bool:
    """The verdict of Stripe's library, without the age, which it takes from the real clock."""
    try:
        return WebhookSignature.verify_header(
            request.body, request.headers[SIGNATURE], "s", tolerance=None
        )
    except SignatureVerificationError:
        return False


def test_stripes_own_library_agrees():
    for value in (*PAYLOADS.values(), {"name": "日本"}):
        request = signed(json.dumps(value, ensure_ascii=False).encode())
        for body in (request.body, request.body + b" "):
            changed = request._replace(body=body)
            assert theirs(changed) == connector().verify(changed, RECEIVED_MS)


def test_what_stripes_own_library_signs_passes():
    header = WebhookSignature.generate_signature_header('{"a": "日本"}', "s", NOW)
    assert connector().verify(with_header('{"a": "日本"}'.encode(), header), RECEIVED_MS)


@pytest.mark.parametrize(
    "header",
    [
        "t={t},v1={good}",
        "t={t},v1={bad},v1={good}",
        "t={t},v1={good},v1={bad},v0={bad}",
        "v1={good},t={t}",
        "t={t},v0={good}",
        "t={t},v1={bad}",
        "t={t}",
        "v1={good}",
        "t=,v1={good}",
        "t={t}0,v1={good}",
        "t={t},v1=",
        "t={t},v1={upper}",
        "",
    ],
)
def test_headers_are_read_as_stripes_own_library_reads_them(header: str):
    good, bad = v1(b"{}", "s"), v1(b"{}", "foreign")
    request = with_header(b"{}", header.format(t=NOW, good=good, bad=bad, upper=good.upper()))
    assert connector().verify(request, RECEIVED_MS) is theirs(request)


def test_a_signature_may_be_three_days_old():
    for age_ms, valid in (
        (0, True),
        (3 * DAY_MS, True),
        (3 * DAY_MS + 1000, False),
        (-4 * DAY_MS, False),
    ):
        request = signed(b"{}", time=(RECEIVED_MS - age_ms) // 1000)
        assert connector().verify(request, RECEIVED_MS) is valid
    assert not connector(max_age_days=0.005).verify(signed(b"{}", time=NOW - 600), RECEIVED_MS)


@pytest.mark.parametrize("time", ["now", "-5", "１７９５", "1" * 40, "1795147200.5", " 1"])
def test_a_strange_time_is_refused(time: str):
    assert not connector().verify(signed(b"{}", time=time), RECEIVED_MS)


def test_the_fixtures_are_events_to_stripes_own_library():
    for value in PAYLOADS.values():
        body = json.dumps(value).encode()
        event = Webhook.construct_event(body, signed(body).headers[SIGNATURE], "s", tolerance=0)
        assert (event.id, event.type) == (value["id"], value["type"])


# The map


@pytest.mark.parametrize(
    ("name", "kind", "direction", "outcome"),
    [
        ("charge.succeeded", "order_completed", "inbound", None),
        ("charge.captured", "order_completed", "inbound", None),
        ("charge.failed", "payment_failed", "inbound", "card_declined"),
        ("charge.refunded", "order_refunded", "outbound", None),
        ("checkout.session.completed", "checkout_completed", "inbound", None),
        ("checkout.session.expired", "checkout_expired", "inbound", None),
        ("invoice.paid", "invoice_paid", "inbound", None),
        ("invoice.payment_failed", "invoice_payment_failed", "inbound", None),
        ("customer.created", "customer_created", "inbound", None),
        ("customer.updated", "customer_updated", "inbound", None),
        ("customer.deleted", "customer_deleted", "inbound", None),
        ("customer.subscription.created", "subscription_created", "inbound", "trialing"),
        ("customer.subscription.updated", "subscription_updated", "inbound", "active"),
        ("customer.subscription.deleted", "subscription_ended", "inbound", "canceled"),
        (
            "customer.subscription.trial_will_end",
            "stripe_customer_subscription_trial_will_end",
            "inbound",
            "active",
        ),
        ("payment_method.attached", "stripe_payment_method_attached", "inbound", None),
    ],
)
def test_events_have_their_types(name: str, kind: str, direction: str, outcome: str | None):
    touch = sample(name)
    assert (touch.channel, touch.type, touch.direction, touch.outcome) == (
        "commerce",
        kind,
        direction,
        outcome,
    )


def test_fields_of_a_charge():
    touch = sample("charge.succeeded")
    assert touch.event_id == "order:ch_3MmlLrLkdIwHu7ix0snN0B15"
    assert touch.occurred_at == datetime(2026, 11, 20, 4, 0, 1, tzinfo=UTC)
    assert kinds(touch) == {CUSTOMER, EMAIL}
    assert (touch.value.amount, touch.value.currency) == (Decimal(12500), "JPY")
    assert touch.properties["payment_intent"] == "pi_3MmlLrLkdIwHu7ix0"
    assert touch.traits == {}, "the name on a card may be somebody else's"


def test_who_the_customer_is():
    assert kinds(sample("checkout.session.completed")) == {CUSTOMER, EMAIL, PHONE}
    assert sample("checkout.session.completed").traits == {"name": "山田花子"}
    assert kinds(sample("invoice.paid")) == {CUSTOMER, EMAIL}
    assert kinds(sample("customer.created")) == {CUSTOMER, EMAIL, PHONE}
    assert kinds(sample("customer.subscription.created")) == {CUSTOMER}
    expanded = {"id": "cus_NffrFeUfNV2Hib", "object": "customer", "email": EMAIL[1]}
    assert kinds(sample("customer.subscription.created", customer=expanded)) == {CUSTOMER, EMAIL}
    guest = sample("charge.succeeded", customer=None, receipt_email="guest@example.com")
    assert kinds(guest) == {EMAIL, ("email", "guest@example.com")}


def test_metadata_are_the_customer_only_if_told_so():
    options = {"customer_id_metadata": "customer"}
    assert ("customer_id", "C-42") in kinds(sample("charge.succeeded", options))
    assert ("customer_id", "C-42") not in kinds(sample("charge.succeeded"))


def test_what_opens_a_payment_is_not_kept():
    kept = json.dumps([sample(name).properties for name in PAYLOADS])
    assert "secret" not in kept


# Orders


@pytest.mark.parametrize(
    ("order", "event"),
    [
        ("charge", "charge.succeeded"),
        ("checkout", "checkout.session.completed"),
        ("invoice", "invoice.paid"),
        ("none", None),
    ],
)
def test_one_purchase_is_one_order(order: str, event: str | None):
    told = ("charge.succeeded", "checkout.session.completed", "invoice.paid")
    types = {name: sample(name, {"order": order}).type for name in told}
    assert [name for name in told if types[name] == "order_completed"] == ([event] if event else [])


def test_a_charge_is_an_order_once_it_is_captured():
    held = sample("charge.succeeded", captured=False, amount_captured=0)
    assert (held.type, held.value.amount) == ("payment_authorized", Decimal(12500))
    taken = sample("charge.captured", id="ch_3MmlLrLkdIwHu7ix0snN0B15")
    assert (taken.type, taken.value.amount) == ("order_completed", Decimal(10000))
    assert taken.event_id == sample("charge.succeeded").event_id != held.event_id


def test_a_checkout_is_an_order_once_it_is_paid():
    options = {"order": "checkout"}
    waiting = sample("checkout.session.completed", options, payment_status="unpaid")
    assert waiting.type == "checkout_completed"
    event = {
        **PAYLOADS["checkout_session_completed"],
        "type": "checkout.session.async_payment_succeeded",
    }
    assert parse(event, **options).type == "order_completed"
    assert parse(event).type == "stripe_checkout_session_async_payment_succeeded"


def test_an_invoice_over_nothing_is_no_order():
    assert sample("invoice.paid", {"order": "invoice"}, amount_paid=0).type == "invoice_paid"


def test_of_several_refunds_each_brings_what_it_adds():
    assert sample("charge.refunded").value.amount == Decimal(3000)
    event = PAYLOADS["charge_refunded"]
    first = parse({**event, "data": {"object": event["data"]["object"]}})
    assert first.value.amount == Decimal(5000)


@pytest.mark.parametrize(
    ("currency", "units", "amount"),
    [
        ("usd", 1099, "10.99"),
        ("usd", 5, "0.05"),
        ("jpy", 1099, "1099"),
        ("krw", 0, "0"),
        ("kwd", 5120, "5.12"),
        ("BHD", 1, "0.001"),
        ("isk", 500, "5"),
        ("ugx", 500, "5"),
        ("huf", 1045, "10.45"),
    ],
)
def test_amounts_are_in_the_major_unit(currency: str, units: int, amount: str):
    touch = sample("charge.succeeded", currency=currency, amount=units, amount_captured=units)
    assert (touch.value.amount, touch.value.currency) == (Decimal(amount), currency.upper())


# Consent


@pytest.mark.parametrize(
    ("consent", "decision"),
    [
        ({"promotions": "opt_in"}, {"marketing": True}),
        ({"promotions": "opt_out"}, {"marketing": False}),
        ({"promotions": None}, {}),
        (None, {}),
    ],
)
def test_what_was_ticked_at_the_checkout_is_consent(consent: Any, decision: dict[str, bool]):
    assert sample("checkout.session.completed", consent=consent).consent == decision
    assert sample("checkout.session.expired", consent=consent).consent == {}


# The customer, wherever the object names them

GUEST = ("email", "guest@example.com")
DETAILS = {"billing_details": {"email": GUEST[1], "phone": None}}


def told(kind: str, thing: dict[str, Any], options: dict[str, Any] | None = None, **event: Any):
    data = {"object": thing, **event.pop("data", {})}
    return parse(
        {"id": "evt_1", "object": "event", "created": NOW, "type": kind, "data": data, **event},
        **(options or {}),
    )


@pytest.mark.parametrize(
    ("kind", "thing"),
    [
        ("refund.created", {"instructions_email": GUEST[1]}),
        ("refund.updated", {"charge": {"object": "charge", **DETAILS}}),
        ("refund.failed", {"payment_intent": {"receipt_email": GUEST[1]}}),
        ("charge.refund.updated", {"charge": {"receipt_email": GUEST[1]}}),
        ("refund.created", {"payment_intent": {"latest_charge": DETAILS}}),
        ("charge.dispute.created", {"evidence": {"customer_email_address": GUEST[1]}}),
        ("charge.dispute.closed", {"charge": {"object": "charge", **DETAILS}}),
        ("payment_intent.succeeded", {"customer": None, "charges": {"data": [DETAILS]}}),
        (
            "payment_intent.payment_failed",
            {"customer": None, "last_payment_error": {"payment_method": DETAILS}},
        ),
        ("setup_intent.setup_failed", {"last_setup_error": {"payment_method": DETAILS}}),
        ("source.chargeable", {"object": "source", "owner": {"email": GUEST[1]}}),
        ("identity.verification_session.verified", {"provided_details": {"email": GUEST[1]}}),
        ("invoice_payment.paid", {"invoice": {"customer_email": GUEST[1]}}),
    ],
)
def test_the_email_is_found_wherever_the_object_has_it(kind: str, thing: dict[str, Any]):
    assert kinds(told(kind, {"id": "x_1", **thing})) == {GUEST}


@pytest.mark.parametrize(
    ("kind", "thing"),
    [
        ("refund.created", {"charge": {"customer": CUSTOMER[1]}}),
        ("charge.dispute.created", {"payment_intent": {"customer": {"id": CUSTOMER[1]}}}),
        ("customer.discount.created", {"customer": CUSTOMER[1]}),
        ("invoice.created", {"customer": None, "customer_account": CUSTOMER[1]}),
        ("identity.verification_session.created", {"related_customer": CUSTOMER[1]}),
        ("financial_connections.account.created", {"account_holder": {"customer": CUSTOMER[1]}}),
    ],
)
def test_the_customer_is_found_wherever_the_object_names_them(kind: str, thing: dict[str, Any]):
    assert kinds(told(kind, {"id": "x_1", **thing})) == {CUSTOMER}


def test_a_payment_method_that_was_detached_names_whose_it_was():
    detached = {"id": "pm_1", "object": "payment_method", "customer": None}
    touch = told(
        "payment_method.detached",
        detached,
        data={"previous_attributes": {"customer": CUSTOMER[1]}},
    )
    assert kinds(touch) == {CUSTOMER}


@pytest.mark.parametrize("place", ["metadata", "customer", "charge", "subscription_details"])
def test_your_id_of_the_customer_may_be_in_the_metadata_of_what_is_expanded(place: str):
    metadata = {"customer": "C-42"}
    thing = {"id": "re_1", place: metadata if place == "metadata" else {"metadata": metadata}}
    touch = told("refund.created", thing, {"customer_id_metadata": "customer"})
    assert ("customer_id", "C-42") in kinds(touch)


def test_what_opens_a_payment_is_not_kept_of_what_is_expanded():
    secret = {"client_secret": "open-1", "charges": {"data": [{"receipt_url": "open-2"}]}}
    thing = {"id": "re_1", "instructions_email": GUEST[1], "payment_intent": secret}
    assert "open-" not in json.dumps(told("refund.created", thing).properties)


@pytest.mark.parametrize(
    ("kind", "thing"),
    [
        ("topup.created", {"object": "topup", "source": {"owner": {"email": GUEST[1]}}}),
        ("person.updated", {"object": "person", "email": GUEST[1], "phone": PHONE[1]}),
        ("account.updated", {"object": "account", "customer_email": GUEST[1]}),
    ],
)
def test_the_people_of_the_company_are_no_customers(kind: str, thing: dict[str, Any]):
    assert told(kind, thing).reason == "no_identifier"


# Refunds and disputes


def test_a_refund_counts_once_whichever_events_tell_of_it():
    charge = PAYLOADS["charge_refunded"]["data"]["object"]
    refund = {
        "id": "re_1", "object": "refund", "amount": 5000, "currency": "jpy",
        "status": "succeeded", "charge": charge,
    }  # fmt: skip
    touches = [
        sample("charge.refunded"),
        *(
            told(kind, refund, id=f"evt_{kind}")
            for kind in ("refund.created", "refund.updated", "charge.refund.updated")
        ),
    ]
    assert [touch.type for touch in touches] == [
        "order_refunded",
        "stripe_refund_created",
        "stripe_refund_updated",
        "stripe_charge_refund_updated",
    ]
    assert [touch.value is None for touch in touches] == [False, True, True, True]
    assert {touch.direction for touch in touches} == {"outbound"}
    assert all(CUSTOMER in kinds(touch) for touch in touches)


def test_what_became_of_a_refund_and_a_dispute_is_the_outcome():
    refund = {"id": "re_1", "object": "refund", "instructions_email": GUEST[1]}
    failed = {**refund, "status": "failed", "failure_reason": "expired_or_canceled_card"}
    assert told("refund.failed", failed).outcome == "expired_or_canceled_card"
    assert told("refund.created", {**refund, "status": "pending"}).outcome == "pending"
    evidence = {"customer_email_address": GUEST[1]}
    lost = {"id": "dp_1", "object": "dispute", "status": "lost", "evidence": evidence}
    touch = told("charge.dispute.closed", lost)
    assert (touch.type, touch.outcome) == ("stripe_charge_dispute_closed", "lost")


@pytest.mark.parametrize("kind", ["refund.created", "refund.failed", "charge.refund.updated"])
def test_of_a_refund_of_nobody_the_reason_names_the_event_to_subscribe_to(kind: str):
    refused = told(kind, {"id": "re_1", "object": "refund", "charge": "ch_1"})
    assert (refused.reason, "charge.refunded" in refused.detail) == ("no_identifier", True)


def test_an_authorization_that_is_released_is_no_refund():
    released = sample("charge.refunded", captured=False, amount_captured=0)
    assert (released.type, released.value) == ("stripe_charge_refunded", None)


# Test mode and thin events


def test_a_test_at_an_endpoint_of_connected_accounts_is_no_order():
    event = {**PAYLOADS["charge_succeeded"], "account": "acct_1"}
    assert parse({**event, "livemode": True}).type == "order_completed"
    assert parse({**event, "livemode": False}).type == "stripe_charge_succeeded"
    assert parse({**event, "livemode": False}).value is None


def test_a_thin_event_says_what_to_choose():
    refused = parse(
        {
            "id": "evt_65", "object": "v2.core.event", "created": "2026-11-20T04:00:00.000Z",
            "type": "v1.charge.refunded", "livemode": True,
            "related_object": {"id": "ch_1", "type": "charge", "url": "/v1/charges/ch_1"},
        }
    )  # fmt: skip
    assert (refused.reason, refused.event_id) == ("no_identifier", "evt_65")
    assert "Snapshot" in refused.detail


# Bad data


@pytest.mark.parametrize(
    ("kind", "thing"),
    [
        ("account.updated", {"id": "acct_1", "object": "account", "email": "owner@example.com"}),
        ("payout.paid", {"id": "po_1", "object": "payout", "amount": 5}),
        ("product.updated", {"id": "prod_1", "object": "product"}),
        ("charge.dispute.created", {"id": "dp_1", "object": "dispute", "charge": "ch_1"}),
    ],
)
def test_what_tells_of_the_account_names_no_customer(kind: str, thing: dict[str, Any]):
    refused = parse({"id": "evt_1", "created": NOW, "type": kind, "data": {"object": thing}})
    assert isinstance(refused, Rejection)
    assert (refused.reason, refused.event_id) == ("no_identifier", "evt_1")


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"amount_captured": "a lot"}, "data.object.amount_captured"),
        ({"amount_captured": 1.5}, "data.object.amount_captured"),
        ({"amount_captured": 10**18}, "data.object.amount"),
        ({"currency": "yen!"}, "data.object.currency"),
        ({"customer": 5}, "data.object.customer"),
        ({"customer": {"id": []}}, "data.object.customer.id"),
        ({"billing_details": 5}, "data.object.billing_details"),
        ({"receipt_email": {}}, "data.object.receipt_email"),
        ({"metadata": ["x"]}, "data.object.metadata"),
    ],
    ids=str,
)
def test_a_wrong_field_is_named(change: dict[str, Any], named: str):
    refused = sample("charge.succeeded", {"customer_id_metadata": "customer"}, **change)
    assert isinstance(refused, Rejection)
    assert refused.detail.startswith(f"{named}: ")


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"type": None}, "type"),
        ({"type": "..."}, "type"),
        ({"created": "2026-11-20"}, "created"),
        ({"id": []}, "id"),
        ({"data": 5}, "data"),
        ({"data": {"object": "ch_1"}}, "data.object"),
    ],
    ids=str,
)
def test_a_wrong_event_is_refused(change: dict[str, Any], named: str):
    refused = parse({**PAYLOADS["charge_succeeded"], **change})
    assert isinstance(refused, Rejection)
    assert refused.detail.startswith(f"{named}: ")
