"""Orders that customers send in a WhatsApp chat, and what became of their payments.

Source:
https://developers.facebook.com/documentation/business-messaging/whatsapp/webhooks/reference/messages/order
and https://developers.facebook.com/documentation/business-messaging/whatsapp/payments (statuses
of the type payment).
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


def total(order: Fields) -> dict[str, Any] | None:
    """Return the sum of an order's items; None if they have no prices in one currency."""
    items = order.objects("product_items")
    currencies = {str(item.get("currency")) for item in items}
    if len(currencies) != 1 or len(items) != len(order.items("product_items")):
        return None
    prices = ((item.get("item_price"), item.get("quantity")) for item in items)
    return _money(
        lambda: sum((_decimal(p) * _decimal(q) for p, q in prices), Decimal(0)), *currencies
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
