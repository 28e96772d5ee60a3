"""The customer and the order that a Shopify event tells of, wherever its body names them.

A topic has a body of its own, and one and the same number stands in different places: of an edit
in `order_edit.order_id`, of a return in `order.id`, of a refund in `order_id`, in newer topics as
`gid://shopify/Order/123`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from ingest.kit.fields import Fields

#: First words of the topics whose body is a customer, and names of objects that have one's
#: contacts. (A shop and its locations have them too, and those are the company's own.)
CUSTOMERS = frozenset(
    {"customers", "customers_email_marketing_consent", "customers_marketing_consent"}
)
_WITH_CONTACT = frozenset(
    {"orders", "checkouts", "draft_orders", "fulfillments",
     "order", "checkout", "draft_order", "fulfillment"}
)  # fmt: skip
#: Objects in a body that may name the order or its customer.
PARTS = (
    "order", "order_edit", "draft_order", "checkout", "return", "refund", "dispute",
    "order_transaction", "tender_transaction", "transaction",
    "fulfillment", "fulfillment_event", "fulfillment_order", "original_fulfillment_order",
    "submitted_fulfillment_order", "replacement_fulfillment_order", "moved_fulfillment_order",
    "reverse_delivery", "reverse_fulfillment_order", "payment_terms", "payment_schedule",
    "subscription_contract", "subscription_billing_attempt", "company_contact",
    "customer_payment_method",
)  # fmt: skip
#: Most objects within each other that are looked through.
_DEPTH = 3
_ORDER_IDS = (
    "order_id", "admin_graphql_api_order_id", "orderId",
    "origin_order_id", "admin_graphql_api_origin_order_id",
)  # fmt: skip
_CUSTOMER_IDS = (
    "customer_id", "admin_graphql_api_customer_id", "customer_admin_graphql_api_id", "customerId",
)  # fmt: skip
_OWN_IDS = ("id", "admin_graphql_api_id")
#: Topics that bring an order in full. One without a customer was bought by nobody who is known.
_WHOLE_ORDERS = frozenset(
    {
        "orders/create", "orders/updated", "orders/paid", "orders/cancelled",
        "orders/fulfilled", "orders/partially_fulfilled",
    }
)  # fmt: skip
_GID = re.compile(r"gid://shopify/(\w+)/([^/?]+)(?:\?.*)?", re.DOTALL)

Found = list[tuple[str, str | None]]


def people(topic: str, read: Fields) -> Found:
    """Return the customer's identifiers: their own first, then those of the cart and the order.

    Of a refund or an edit Shopify names only the order, of a cart only the token. Both were, or
    will be, seen with the customer: they follow that person, as a browser's anonymous id does.
    """
    family = topic.partition("/")[0]
    places = list(_places(family, read))
    found = [one for name, place in places for one in _customer(name, place)]
    if topic == "customers/merge" and read.peek("status") == "completed":
        found += [
            ("shopify", _number(read, "Customer", f"admin_graphql_api_customer_{which}_id"))
            for which in ("kept", "deleted")
        ]
    cart = read.text("token" if family == "carts" else "cart_token")
    found.append(("anonymous_id", cart.partition("?")[0] if cart else None))
    order = _order(family, places)
    if order and (topic not in _WHOLE_ORDERS or any(value for _, value in found)):
        found.append(("anonymous_id", f"shopify-order-{order}"))
    return found


def _places(name: str, read: Fields, depth: int = _DEPTH) -> Iterator[tuple[str, Fields]]:
    """Yield the body, by its topic's first word, and the objects in it, by their names."""
    yield name, read
    if depth:
        for part in read.parts(*PARTS):
            yield from _places(*part, depth - 1)


def _customer(name: str, read: Fields) -> Found:
    """Return what one object says of the customer."""
    customer = read.inside("customer")
    found: Found = [
        ("shopify", _number(customer, "Customer", *_OWN_IDS)),
        ("shopify", _number(read, "Customer", *_CUSTOMER_IDS)),
        ("email", customer.text("email")),
        ("phone", customer.text("phone")),
    ]
    if name in CUSTOMERS:
        found += [
            ("shopify", _number(read, "Customer", *_OWN_IDS)),
            ("email", read.text("email_address")),
        ]
    if name in CUSTOMERS or name in _WITH_CONTACT:
        found += [
            ("email", read.text("email")),
            ("email", None if read.peek("email") else read.text("contact_email")),
            ("phone", read.text("phone")),
        ]
    return found


def _order(family: str, places: list[tuple[str, Fields]]) -> str | None:
    """Return the number of the order."""
    for name, place in places:
        own = _OWN_IDS if name == "order" else ()
        if number := _number(place, "Order", *own, *_ORDER_IDS):
            return number
    return _number(places[0][1], "Order", *_OWN_IDS) if family == "orders" else None


def _number(read: Fields, kind: str, *names: str) -> str | None:
    """Return the first id that is there; of `gid://shopify/Customer/123` the number.

    An id that names another kind of thing is none.
    """
    for name in names:
        found = read.id(name)
        gid = _GID.fullmatch(found) if found else None
        if gid is None:
            number = None if found and found.startswith("gid:") else found
        else:
            number = gid[2] if gid[1] == kind else None
        if number:
            return number
    return None
