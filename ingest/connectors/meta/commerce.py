"""Orders that customers send in a chat, and what became of their payments.

Source:
https://developers.facebook.com/documentation/business-messaging/whatsapp/webhooks/reference/messages/order
and https://developers.facebook.com/documentation/business-messaging/whatsapp/payments (statuses
of the type payment); of Messenger
https://developers.facebook.com/documentation/business-messaging/messenger-platform/webhooks/webhook-events/send_cart
"""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import Any

from ingest.kit.fields import Fields, snake_case
from schemas.touchpoint import AMOUNT_LIMIT

#: Status of a payment -> type, if it decides about the order.
PAYMENTS = {"captured": "order_completed"}
_CURRENCY_LENGTH = 3


def ordered(order: Fields, items: str, price: str) -> dict[str, Any]:
    """Return the fields of an order: its value is the sum of its items.

    `items` and `price` are the names of the list and of a price in it. Without prices in one
    currency it has no value.
    """
    return {"channel": "commerce", "type": "order_placed", "value": _total(order, items, price)}


def _total(order: Fields, name: str, price: str) -> dict[str, Any] | None:
    items = order.objects(name)
    currencies = {str(item.get("currency")) for item in items}
    if len(currencies) != 1 or len(items) != len(order.items(name)):
        return None
    parts = [(item.get(price), item.get("quantity")) for item in items]
    return _money(
        lambda: sum((_decimal(one) * _decimal(count) for one, count in parts), Decimal(0)),
        *currencies,
    )


def payment(status: Fields) -> dict[str, Any]:
    """Return the fields of a payment's status: the order is paid once the payment is captured."""
    name = status.text("status") or ""
    paid = status.aside("payment")
    amount = paid.aside("amount")
    transaction = paid.aside("transaction")
    currency = paid.peek("currency") or amount.peek("currency") or ""
    cents, offset = (dict(amount.values()).get(field, 1) for field in ("value", "offset"))
    return {
        "channel": "commerce",
        "type": PAYMENTS.get(name) or f"meta_payment_{snake_case(name)}",
        "direction": "inbound",
        "outcome": transaction.label("status"),
        "value": _money(lambda: _decimal(cents) / _decimal(offset), currency),
        "order_id": paid.label("reference_id"),
    }


def attempt(status: Fields) -> str:
    """Return a suffix of the event id that tells attempts to pay for one order apart."""
    name = status.text("status") or ""
    transaction = status.aside("payment").aside("transaction").id("id")
    return f"{name}:{transaction}" if transaction and name not in PAYMENTS else name


def _decimal(value: object) -> Decimal:
    return Decimal(str(value))


def _money(amount: Callable[[], Decimal], currency: str) -> dict[str, Any] | None:
    try:
        found = amount()
    except ArithmeticError:
        return None
    known = len(currency) == _CURRENCY_LENGTH and found.is_finite() and abs(found) < AMOUNT_LIMIT
    return {"amount": found, "currency": currency} if known else None
