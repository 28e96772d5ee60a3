"""Tools that connectors of web and app analytics share: names of events, money, campaigns."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from ingest.connector import Reply
from ingest.kit.fields import label, snake_case
from schemas.event_types import COMMERCE_TYPES, EVENT_TYPES

#: Beyond the known types: the rest of Segment's e-commerce events about cart, checkout and order.
COMMERCE = COMMERCE_TYPES | {
    "product_removed", "wishlist_product_added_to_cart", "cart_shared",
    "checkout_step_viewed", "checkout_step_completed", "payment_info_entered",
    "order_updated",
    "coupon_entered", "coupon_applied", "coupon_denied", "coupon_removed",
}  # fmt: skip
TYPE_LENGTH = 128
#: The answer to an event in the address of a picture: a transparent GIF of one pixel.
GIF = Reply(
    200,
    b"GIF89a\x01\x00\x01\x00\x80\x00\x00\x00\x00\x00\xff\xff\xff!\xf9\x04\x01\x00\x00\x00\x00,"
    b"\x00\x00\x00\x00\x01\x00\x01\x00\x00\x02\x01D\x00;",
    "image/gif",
)
#: Headers of that answer: a picture from a cache is an event that is not heard of.
UNCACHED = {"Cache-Control": "no-cache, no-store, must-revalidate"}
_URL_SAFE = str.maketrans("+/ ", "-_-")
_UTM = {
    "utm_campaign": "name",
    "utm_source": "source",
    "utm_medium": "medium",
    "utm_term": "term",
    "utm_content": "content",
}


def base64_of(text: str) -> bytes:
    """Return the bytes in base64 or base64url, padded or not; nothing if it is invalid.

    In a query a plus sign may have become a space.
    """
    bare = text.strip().rstrip("=").translate(_URL_SAFE)
    try:
        return base64.b64decode(bare + "=" * (-len(bare) % 4), altchars=b"-_", validate=True)
    except ValueError:
        return b""


def own_type(provider: str, name: str) -> str:
    """Return the type of an event that the company named: a known one, or `<provider>_<name>`."""
    kind = snake_case(name)
    known = kind in EVENT_TYPES or kind in COMMERCE
    return kind if known else f"{provider}_{kind}"[:TYPE_LENGTH]


def channel_of(kind: str) -> str:
    """Return the channel of a type of event: web, if nothing else is known of it."""
    if kind in COMMERCE:
        return "commerce"
    known = EVENT_TYPES.get(kind)
    return known.channel if known is not None else "web"


def value_of(
    given: Mapping[str, Any], commerce: bool, problems: list[str], where: str
) -> dict[str, Any] | None:
    """Return the money: revenue, else total, else value; `where` is their path, for `problems`.

    On events that are not commerce, `total` and `value` may mean anything ("value": "red"); there
    they are money only if they are numbers.
    """
    currency = given.get("currency") or None
    for name in ("revenue", "total", "value"):
        amount = given.get(name)
        if amount is None or amount == "":
            continue
        if is_amount(amount):
            if commerce or name == "revenue" or is_currency(currency):
                return {"amount": amount, "currency": currency}
            return {"amount": amount}
        if commerce or name == "revenue":
            problems.append(f"{where}{name}: must be a number below 1e12")
            return None
    return None


def is_amount(amount: object) -> bool:
    """Return True if it is a number that can be an amount, or a text of one."""
    if isinstance(amount, bool) or not isinstance(amount, int | float | str):
        return False
    try:
        return abs(float(amount)) < 1e12
    except (ValueError, OverflowError):
        return False


def is_currency(currency: object) -> bool:
    """Return True if it looks like a code of ISO 4217."""
    return (
        isinstance(currency, str)
        and len(currency) == 3
        and currency.isascii()
        and currency.isalpha()
    )


def campaign_of(url: str | None) -> dict[str, str] | None:
    """Return the campaign in the UTM parameters of a page's address; of two values the first."""
    if url is None or "utm_" not in url:
        return None
    try:
        query = parse_qsl(urlsplit(url).query, max_num_fields=1000)
    except ValueError:
        return None
    return {_UTM[name]: label(value) for name, value in reversed(query) if name in _UTM} or None
