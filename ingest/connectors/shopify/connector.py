"""Shopify's webhooks: carts, checkouts, orders, refunds, customers and their decisions.

Source: https://shopify.dev/docs/api/webhooks (topics and their payloads),
…/docs/apps/build/webhooks/delivery-structure (headers) and …/webhooks/verify-deliveries (signature:
HMAC-SHA256 with the app's client secret over the raw body, base64 in `X-Shopify-Hmac-SHA256`).
The signature covers neither the topic nor a time. See docs/channels/shopify.md.
"""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal, InvalidOperation
from functools import partial
from typing import Any, ClassVar

from ingest.connector import Context, Options, Request, Result, WebhookConnector, secrets
from ingest.connectors.shopify.people import CUSTOMERS, PARTS, people
from ingest.kit.fields import (
    Fields,
    Payload,
    derived_id,
    finish,
    identifiers,
    single_event,
    snake_case,
)
from ingest.kit.signing import BASE64, RequiredSecrets, is_hmac_of
from ingest.kit.web import campaign_of
from schemas.times import parse_ms

SIGNATURE = "x-shopify-hmac-sha256"
TOPIC = "x-shopify-topic"
EVENT_ID = "x-shopify-event-id"
WEBHOOK_ID = "x-shopify-webhook-id"
TRIGGERED_AT = "x-shopify-triggered-at"
SHOP_DOMAIN = "x-shopify-shop-domain"

#: Topic -> (type, direction).
TOPICS = {
    "carts/create": ("cart_created", "inbound"),
    "carts/update": ("cart_updated", "inbound"),
    "checkouts/create": ("checkout_started", "inbound"),
    "checkouts/update": ("checkout_updated", "inbound"),
    "orders/create": ("order_placed", "inbound"),
    "orders/paid": ("order_completed", "inbound"),
    "orders/cancelled": ("order_cancelled", "inbound"),
    "orders/fulfilled": ("order_fulfilled", "outbound"),
    "refunds/create": ("order_refunded", "outbound"),
    "customers/create": ("customer_created", "inbound"),
    "customers/update": ("customer_updated", "inbound"),
    "customers/delete": ("customer_deleted", "inbound"),
    "customers/merge": ("customers_merged", "inbound"),
    "customers/redact": ("erasure_requested", "inbound"),
    "customers/data_request": ("data_requested", "inbound"),
}
#: Topic -> (field with the decision, purpose, channel, types of a yes and of a no).
_DECISIONS = {
    "customers_email_marketing_consent/update": (
        "email_marketing_consent", "marketing", "email", "email_subscribed", "email_unsubscribed",
    ),
    "customers_marketing_consent/update": (
        "sms_marketing_consent", "sms_marketing", "phone", "sms_subscribed", "sms_unsubscribed",
    ),
}  # fmt: skip
#: States that a decision has made. "not_subscribed" is where everybody starts, "pending" waits for
#: the customer to confirm, "redacted" and "invalid" say nothing.
_STATES = {"subscribed": True, "unsubscribed": False}
#: Topics that happen once to their object, so its id is the event's, whichever subscription sends.
_ONCE = frozenset(
    {
        "carts/create", "checkouts/create", "orders/create", "orders/paid", "orders/cancelled",
        "refunds/create", "customers/create",
    }
)  # fmt: skip
#: Fields with fields of their own, or that give whoever knows them access to a cart or an order.
_MAPPED = frozenset(
    {
        "email", "email_address", "contact_email", "phone",
        "customer", "default_address", "addresses",
        "abandoned_checkout_url", "order_status_url", "token", "cart_token", "checkout_token",
    }
)  # fmt: skip
_NAMES = {
    "event_id": "X-Shopify-Event-Id",
    "type": "X-Shopify-Topic",
    "subject": "name",
    "url": "abandoned_checkout_url",
    "value.amount": "total_price",
    "value.currency": "currency",
}
_NOBODY = "customer: is missing, so the event names no customer"


class ShopifyOptions(Options):
    """`client_secret`: the app's, or the one in the admin under Notifications → Webhooks."""

    client_secret: RequiredSecrets


class Shopify(WebhookConnector):
    """The webhooks of a Shopify store."""

    name: ClassVar[str] = "shopify"
    doc: ClassVar[str] = "Commerce: carts, checkouts, orders and customers of a Shopify store"
    options: ClassVar[type[Options]] = ShopifyOptions
    reads: ClassVar[tuple[str, ...]] = (
        "content-type", TOPIC, EVENT_ID, WEBHOOK_ID, TRIGGERED_AT, SHOP_DOMAIN,
    )  # fmt: skip

    def __init__(self, options: ShopifyOptions) -> None:
        self._secrets = secrets(options.client_secret)

    def verify(self, request: Request, received_ms: int) -> bool:
        """Return True if a client secret of ours signed the body."""
        shown = request.headers.get(SIGNATURE, "")
        return is_hmac_of(request.body, shown, self._secrets, BASE64)

    def parse(self, request: Request, context: Context) -> Iterator[Result]:
        """Yield the one event of the request; the headers say what it is."""
        yield single_event(request, partial(_touch, Fields(request.headers)))


def _touch(headers: Fields, body: dict[str, Any], payload: Payload) -> Result:
    topic = headers.peek(TOPIC) or ""
    read = Fields(body)
    if not snake_case(topic):
        read.wrong("X-Shopify-Topic", "must be there, for instance orders/paid")
    kind, direction = TOPICS.get(topic, ("", "inbound"))
    if not kind or _is_test(body):
        # An order by the test gateway is none: it gets no type that a report or a segment counts.
        kind = f"shopify_{snake_case(topic)}"
    triggered = _triggered(headers)
    fields = {
        "event_id": _event_id(topic, headers, read, body),
        "channel": "commerce",
        "type": kind,
        "direction": direction,
        "identifiers": identifiers(*people(topic, read)),
        "occurred_at": triggered or _changed(read),
        "traits": _traits(topic, read),
        "campaign": campaign_of(read.peek("landing_site")),
        "value": _refunded(body) if topic == "refunds/create" else _total(topic, body),
        "subject": read.text("name") if topic.startswith("orders/") else None,
        "url": read.text("abandoned_checkout_url"),
        "properties": {
            **_kept(body),
            **({"shop_domain": shop} if (shop := headers.peek(SHOP_DOMAIN)) else {}),
        },
        **_decision(topic, read),
    }
    when = "X-Shopify-Triggered-At" if triggered else "updated_at"
    return finish(fields, read.problems, payload, {**_NAMES, "occurred_at": when}, _NOBODY)


def _triggered(headers: Fields) -> str | None:
    """Return the time in the header, which is not signed: one that is none costs no event."""
    shown = headers.peek(TRIGGERED_AT)
    try:
        return shown if shown and parse_ms(shown) else None
    except (ValueError, OverflowError):
        return None


def _changed(read: Fields) -> str | None:
    """Return the time of the change in the body."""
    own = read.text("updated_at") or read.text("created_at") or read.text("occurredAt")
    edit = read.inside("order_edit")
    return own or edit.text("committed_at") or edit.text("created_at")


def _kept(values: dict[str, Any]) -> dict[str, Any]:
    """Return the fields that are kept as properties, of the objects in the body too."""
    return {
        name: _kept(value) if name in PARTS and isinstance(value, dict) else value
        for name, value in values.items()
        if name not in _MAPPED
    }


def _event_id(topic: str, headers: Fields, read: Fields, body: dict[str, Any]) -> str:
    thing = (
        read.id("id")
        or read.peek("token")
        or read.inside("order_edit").id("id")
        or read.peek("admin_graphql_api_id")
        or ""
    )
    if topic in _ONCE and thing:
        return f"{topic}:{thing}"
    # One action in the store has one event id for all that it changes, so alone it is not unique.
    event = headers.peek(EVENT_ID) or headers.peek(WEBHOOK_ID)
    return f"{topic}:{thing}:{event}" if event else derived_id({"topic": topic, "body": body})


def _traits(topic: str, read: Fields) -> dict[str, str]:
    """Return the names and tags of the customer; those of an order are its own."""
    of_customer = topic.partition("/")[0] in CUSTOMERS and "customer" not in read
    customer = read if of_customer else read.inside("customer")
    named = {name: customer.peek(name) for name in ("first_name", "last_name", "tags")}
    return {name: value for name, value in named.items() if value}


def _total(topic: str, body: dict[str, Any]) -> dict[str, Any] | None:
    """Return the total of an order or a checkout, in the currency of the shop."""
    amount = body.get("total_price")
    if topic not in TOPICS or amount is None:
        return None
    return {"amount": amount, "currency": body.get("currency")}


def _refunds(body: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the transactions of a refund that gave money back."""
    transactions = body.get("transactions")
    return [
        part
        for part in (transactions if isinstance(transactions, list) else ())
        if isinstance(part, dict)
        and (part.get("kind"), part.get("status")) == ("refund", "success")
    ]


def _refunded(body: dict[str, Any]) -> dict[str, Any] | None:
    """Return the refunded amount: the sum of the refund's transactions that succeeded."""
    parts = _refunds(body)
    currencies = {str(part.get("currency")) for part in parts}
    if len(currencies) != 1:
        return None
    try:
        total = sum((Decimal(str(part.get("amount"))) for part in parts), Decimal(0))
    except (InvalidOperation, ValueError):
        return None
    return {"amount": total, "currency": parts[0].get("currency")}


def _is_test(body: dict[str, Any]) -> bool:
    """Return True for an order by the test gateway, and for its refund."""
    parts = _refunds(body)
    return body.get("test") is True or (
        bool(parts) and all(part.get("test") is True for part in parts)
    )


def _decision(topic: str, read: Fields) -> dict[str, Any]:
    """Return the decision about marketing, with the type and the channel that it gives the event.

    Other changes of a customer repeat the state that Shopify holds; taken as decisions, they would
    undo one that the customer made elsewhere.
    """
    if topic == "customers/create":
        states = {purpose: _state(read, field) for field, purpose, *_ in _DECISIONS.values()}
        return {"consent": {p: state for p, state in states.items() if state is not None}}
    if topic not in _DECISIONS:
        return {}
    field, purpose, channel, yes, no = _DECISIONS[topic]
    state = _state(read, field)
    if state is None:
        return {"channel": channel}
    return {"channel": channel, "type": yes if state else no, "consent": {purpose: state}}


def _state(read: Fields, field: str) -> bool | None:
    return _STATES.get((read.inside(field).peek("state") or "").lower())
