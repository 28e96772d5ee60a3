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
from ingest.connectors.stripe.people import own_id, people
from ingest.kit.fields import (
    Fields,
    Payload,
    derived_id,
    finish,
    identifiers,
    single_event,
    snake_case,
)
from ingest.kit.signing import HEX, MaxAgeDays, RequiredSecrets, is_hmac_of, is_recent, named
from schemas.rejection import Rejection

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
#: Fields that give whoever has them access to a payment or an invoice, and those with identifiers.
_SECRET = frozenset({"client_secret", "receipt_url", "hosted_invoice_url", "invoice_pdf"})
_MAPPED = _SECRET | {
    "customer", "email", "phone", "customer_email", "customer_phone", "customer_details",
    "billing_details", "receipt_email", "instructions_email", "url",
}  # fmt: skip
_NAMES = {
    "event_id": "id",
    "occurred_at": "created",
    "outcome": "data.object.status",
    "url": "data.object.after_expiration.recovery.url",
    "value.amount": "data.object.amount",
    "value.currency": "data.object.currency",
}
_NOBODY = "data.object.customer: is missing, so the event names no customer"
_THIN = "object: is a thin event, which names no customer; choose the payload style Snapshot"


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
        if event.get("object") == "v2.core.event":
            return Rejection("no_identifier", _THIN, payload(), read.peek("id"))
        name = read.text("type") or ""
        if not snake_case(name):
            read.wrong("type", "must be text, for instance charge.succeeded")
        thing = read.inside("data").inside("object")
        raw = read.inside("data").object("object")
        previous = read.inside("data").inside("previous_attributes")
        kind, known = self._type(name, raw, event)
        fields = {
            "event_id": _event_id(kind, read, thing, event),
            "channel": "commerce",
            "type": kind,
            "direction": "outbound" if _is_refund(name) else "inbound",
            "identifiers": identifiers(*self._people(thing, previous)),
            "occurred_at": read.moment("created", 1000),
            "traits": _traits(raw, thing),
            "consent": _consent(name, thing),
            "value": _value(name, raw, thing, previous) if known else None,
            "outcome": thing.label("failure_code") or _status(raw, thing),
            "url": thing.inside("after_expiration").inside("recovery").text("url"),
            "properties": {
                **{field: _kept(value) for field, value in raw.items() if field not in _MAPPED},
                **{f"event_{field}": event[field] for field in ("id", "account") if field in read},
            },
        }
        return finish(fields, read.problems, payload, _NAMES, _nobody(name))

    def _type(self, name: str, raw: dict[str, Any], event: dict[str, Any]) -> tuple[str, bool]:
        """Return the type, and whether it is one of ours."""
        other = f"stripe_{snake_case(name)}"
        if event.get("account") and event.get("livemode") is False:
            # An endpoint for connected accounts gets their test events too.
            return other, False
        if name == "charge.refunded" and raw.get("captured") is False:
            # An authorization that was released: there was no order, and no money to give back.
            return other, False
        if name in ORDERS[self._options.order] and _is_paid(raw):
            return "order_completed", True
        if name == "charge.succeeded" and raw.get("captured") is False:
            return "payment_authorized", True
        known = TYPES.get(name)
        return known or other, known is not None

    def _people(self, thing: Fields, previous: Fields) -> list[tuple[str, str | None]]:
        name = self._options.customer_id_metadata
        return [("customer_id", own_id(thing, name) if name else None), *people(thing, previous)]


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


def _status(raw: dict[str, Any], thing: Fields) -> str | None:
    """Return what became of a subscription, a refund or a dispute."""
    known = raw.get("object") in ("subscription", "refund", "dispute")
    return (thing.label("failure_reason") or thing.label("status")) if known else None


def _is_refund(name: str) -> bool:
    return name == "charge.refunded" or name.startswith(("refund.", "charge.refund."))


def _nobody(name: str) -> str:
    """Return the reason why an event is nobody's, with the event that names the customer."""
    return f"{_NOBODY}; charge.refunded names them" if _is_refund(name) else _NOBODY


def _kept(value: Any) -> Any:
    """Return a field without what gives access to a payment or an invoice, however deep."""
    if isinstance(value, dict):
        return {name: _kept(part) for name, part in value.items() if name not in _SECRET}
    return [_kept(part) for part in value] if isinstance(value, list) else value


def _value(name: str, raw: dict[str, Any], thing: Fields, before: Fields) -> dict[str, Any] | None:
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
