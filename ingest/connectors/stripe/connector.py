"""Stripe's webhooks: payments, checkouts, invoices, customers and subscriptions.

Source: https://docs.stripe.com/api/events (events, their types and objects),
https://docs.stripe.com/webhooks#verify-manually (signature: HMAC-SHA256 over time, dot and raw
body, hex in `Stripe-Signature`) and https://docs.stripe.com/currencies (amounts). See
docs/channels/stripe.md.
"""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from typing import Any, ClassVar, Literal

from ingest.connector import Context, Options, Request, Result, WebhookConnector, secrets
from ingest.kit.fields import (
    Fields,
    Payload,
    derived_id,
    finish,
    id_text,
    identifiers,
    single_event,
    snake_case,
)
from ingest.kit.signing import HEX, MaxAgeDays, RequiredSecrets, is_hmac_of, is_recent, named

SIGNATURE = "stripe-signature"

#: Event -> type, unless it is the order.
TYPES = {
    "charge.succeeded": "payment_succeeded",
    "charge.captured": "payment_succeeded",
    "charge.failed": "payment_failed",
    "charge.refunded": "order_refunded",
    "checkout.session.completed": "checkout_completed",
    "checkout.session.expired": "checkout_expired",
    "invoice.paid": "invoice_paid",
    "invoice.payment_failed": "invoice_payment_failed",
    "customer.created": "customer_created",
    "customer.updated": "customer_updated",
    "customer.deleted": "customer_deleted",
    "customer.subscription.created": "subscription_created",
    "customer.subscription.updated": "subscription_updated",
    "customer.subscription.paused": "subscription_paused",
    "customer.subscription.resumed": "subscription_resumed",
    "customer.subscription.deleted": "subscription_ended",
}
#: Option `order` -> the events that may be one: a purchase has at most one of each group.
ORDERS = {
    "charge": frozenset({"charge.succeeded", "charge.captured"}),
    "checkout": frozenset(
        {"checkout.session.completed", "checkout.session.async_payment_succeeded"}
    ),
    "invoice": frozenset({"invoice.paid"}),
    "none": frozenset[str](),
}
#: Object -> its field with the amount.
_AMOUNTS = {"charge": "amount", "checkout.session": "amount_total", "invoice": "amount_paid"}
#: Currencies whose smallest unit is the currency itself, and those with three decimals. UGX stands
#: among the first in Stripe's list, but a charge of 5 UGX has the amount 500, as one of 5 ISK has.
_NO_DECIMALS = frozenset(
    {
        "bif", "clp", "djf", "gnf", "jpy", "kmf", "krw", "mga",
        "pyg", "rwf", "vnd", "vuv", "xaf", "xof", "xpf",
    }
)  # fmt: skip
_THREE_DECIMALS = frozenset({"bhd", "jod", "kwd", "omr", "tnd"})
_PROMOTIONS = {"opt_in": True, "opt_out": False}
#: Fields that are identifiers, or that give whoever has them access to a payment or an invoice.
_MAPPED = frozenset(
    {
        "customer", "email", "phone", "customer_email", "customer_phone", "customer_details",
        "billing_details", "receipt_email", "client_secret", "url", "receipt_url",
        "hosted_invoice_url", "invoice_pdf",
    }
)  # fmt: skip
_NAMES = {
    "event_id": "id",
    "occurred_at": "created",
    "outcome": "data.object.status",
    "url": "data.object.after_expiration.recovery.url",
    "value.amount": "data.object.amount",
    "value.currency": "data.object.currency",
}
_NOBODY = "data.object.customer: is missing, so the event names no customer"


class StripeOptions(Options):
    """`signing_secret`: the secret of the webhook endpoint (`whsec_…`).

    `order`: the event that is a completed order; "none" if a shop system reports orders already.
    `customer_id_metadata` names the metadata that holds your customer id, if you set one.
    `max_age_days`: the maximum age of a signature.
    """

    signing_secret: RequiredSecrets
    order: Literal["charge", "checkout", "invoice", "none"] = "charge"
    customer_id_metadata: str | None = None
    max_age_days: MaxAgeDays = 3


class Stripe(WebhookConnector):
    """A webhook endpoint of Stripe, with snapshot events."""

    name: ClassVar[str] = "stripe"
    doc: ClassVar[str] = "Commerce: payments, checkouts, invoices and subscriptions of Stripe"
    options: ClassVar[type[Options]] = StripeOptions

    def __init__(self, options: StripeOptions) -> None:
        self._secrets = secrets(options.signing_secret)
        self._options = options

    def verify(self, request: Request, received_ms: int) -> bool:
        """Return True if one of the signatures shown is by a secret of ours, and not too old."""
        header = request.headers.get(SIGNATURE, "")
        time = next(iter(named(header, "t")), "")
        if not is_recent(time, received_ms, self._options.max_age_days):
            return False
        signed = time.encode() + b"." + request.body
        shown = named(header, "v1")
        return any([is_hmac_of(signed, one, self._secrets, HEX) for one in shown])

    def parse(self, request: Request, context: Context) -> Iterator[Result]:
        """Yield the one event of the request."""
        yield single_event(request, self._event)

    def _event(self, event: dict[str, Any], payload: Payload) -> Result:
        read = Fields(event)
        name = read.text("type") or ""
        if not snake_case(name):
            read.wrong("type", "must be text, for instance charge.succeeded")
        thing = read.inside("data").inside("object")
        raw = read.inside("data").object("object")
        kind, known = self._type(name, raw)
        fields = {
            "event_id": _event_id(kind, read, thing, event),
            "channel": "commerce",
            "type": kind,
            "direction": "outbound" if kind == "order_refunded" else "inbound",
            "identifiers": identifiers(
                ("customer_id", self._own_id(thing)), *_customer(raw, thing)
            ),
            "occurred_at": read.moment("created", 1000),
            "traits": _traits(raw, thing),
            "consent": _consent(name, thing),
            "value": _value(name, raw, thing, read) if known else None,
            "outcome": thing.label("failure_code") or _status(name, thing),
            "url": thing.inside("after_expiration").inside("recovery").text("url"),
            "properties": {
                **{field: value for field, value in raw.items() if field not in _MAPPED},
                **{f"event_{field}": event[field] for field in ("id", "account") if field in read},
            },
        }
        return finish(fields, read.problems, payload, _NAMES, _NOBODY)

    def _type(self, name: str, raw: dict[str, Any]) -> tuple[str, bool]:
        """Return the type, and whether it is one of ours."""
        if name in ORDERS[self._options.order] and _is_paid(raw):
            return "order_completed", True
        if name == "charge.succeeded" and raw.get("captured") is False:
            return "payment_authorized", True
        known = TYPES.get(name)
        return known or f"stripe_{snake_case(name)}", known is not None

    def _own_id(self, thing: Fields) -> str | None:
        name = self._options.customer_id_metadata
        return id_text(thing.object("metadata").get(name)) if name else None


def _event_id(kind: str, read: Fields, thing: Fields, event: dict[str, Any]) -> str:
    """Return Stripe's id of the event; for an order that of what was paid, which is paid once."""
    told, paid = read.id("id"), thing.id("id")
    if kind == "order_completed" and paid:
        return f"order:{paid}"
    return told or derived_id(event, frozenset({"pending_webhooks"}))


def _is_paid(raw: dict[str, Any]) -> bool:
    """Return True if this charge, checkout session or invoice brought in money."""
    match raw.get("object"):
        case "charge":
            return raw.get("captured") is not False
        case "checkout.session":
            return raw.get("payment_status") == "paid"
        case "invoice":
            return raw.get("amount_paid") != 0
        case _:
            return False


def _customer(raw: dict[str, Any], thing: Fields) -> list[tuple[str, str | None]]:
    """Return the customer's identifiers. (An account's e-mail address is the company's own.)"""
    if raw.get("object") == "customer":
        return [
            ("stripe", thing.id("id")),
            ("email", thing.text("email")),
            ("phone", thing.text("phone")),
        ]
    expanded = isinstance(raw.get("customer"), dict)
    found = [("stripe", thing.inside("customer").id("id") if expanded else thing.text("customer"))]
    for part in ("customer_details", "billing_details"):
        details = thing.inside(part)
        found += [("email", details.text("email")), ("phone", details.text("phone"))]
    return [
        *found,
        ("email", thing.text("customer_email")),
        ("email", thing.text("receipt_email")),
        ("phone", thing.text("customer_phone")),
    ]


def _traits(raw: dict[str, Any], thing: Fields) -> dict[str, str]:
    """Return the customer's name if they gave it as theirs (a card may be somebody else's)."""
    of_customer = raw.get("object") == "customer"
    name = (thing if of_customer else thing.inside("customer_details")).peek("name")
    return {"name": name} if name else {}


def _consent(name: str, thing: Fields) -> dict[str, bool] | None:
    """Return the customer's decision about promotions at the checkout."""
    if name != "checkout.session.completed":
        return None
    decision = _PROMOTIONS.get(thing.inside("consent").peek("promotions") or "")
    return None if decision is None else {"marketing": decision}


def _status(name: str, thing: Fields) -> str | None:
    return thing.label("status") if name.startswith("customer.subscription.") else None


def _value(name: str, raw: dict[str, Any], thing: Fields, event: Fields) -> dict[str, Any] | None:
    """Return the amount in the currency's major unit."""
    field = _AMOUNTS.get(str(raw.get("object")), "")
    if name == "charge.refunded":
        field = "amount_refunded"
    elif field == "amount" and raw.get("amount_captured"):
        field = "amount_captured"
    if field not in thing:
        return None
    amount = _units(thing, field)
    if name == "charge.refunded":
        # The total that was refunded up to now; each of several refunds counts what it adds.
        before = event.inside("data").inside("previous_attributes")
        amount -= _units(before, field) if field in before else 0
    currency = thing.text("currency")
    return {"amount": _major(amount, currency or ""), "currency": currency}


def _units(thing: Fields, field: str) -> int:
    """Return a number of the currency's smallest unit; 0 if it is none, which is recorded."""
    number = thing.id(field) or ""
    if number.removeprefix("-").isdecimal() and number.isascii() and len(number) < 20:
        return int(number)
    thing.wrong(field, "must be a whole number of the currency's smallest unit")
    return 0


def _major(amount: int, currency: str) -> Decimal:
    code = currency.lower()
    places = 0 if code in _NO_DECIMALS else 3 if code in _THREE_DECIMALS else 2
    return Decimal(amount).scaleb(-places)
