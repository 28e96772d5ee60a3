"""The customer of a Stripe event, wherever its object names them.

A charge names its customer itself, a dispute in its evidence, a refund by the address to which the
instructions went, a failed payment in the payment method of its error, and any object in what is
expanded within it.
"""

from __future__ import annotations

from collections.abc import Iterator

from ingest.kit.fields import Fields, id_text

#: Objects within the object of an event that are of the same customer.
_PARTS = (
    "charge", "latest_charge", "payment_intent", "setup_intent", "payment_method", "source",
    "default_payment_method", "last_payment_error", "last_setup_error",
    "invoice", "subscription", "parent", "subscription_details", "refund", "dispute",
    "account_holder",
)  # fmt: skip
#: Kinds of objects whose people are the company's own.
_OF_THE_COMPANY = frozenset({"account", "person", "payout", "topup", "transfer", "application_fee"})
#: Most objects within each other that are looked through.
_DEPTH = 3

Found = list[tuple[str, str | None]]


def people(thing: Fields, previous: Fields) -> Found:
    """Return the customer's identifiers; `previous` are fields as they were before the event."""
    if thing.peek("object") in _OF_THE_COMPANY:
        return []
    found = [one for place in _places(thing) for one in _customer(place)]
    if not any(value for _, value in found):
        # A payment method that was detached names no customer any more.
        found.append(("stripe", previous.peek("customer")))
    return found


def own_id(thing: Fields, name: str) -> str | None:
    """Return the customer's id with the company: the first entry of that name in metadata."""
    for place in _places(thing):
        for owner in (place, *(customer for _, customer in place.parts("customer"))):
            if found := id_text(owner.object("metadata").get(name)):
                return found
    return None


def _places(thing: Fields, depth: int = _DEPTH) -> Iterator[Fields]:
    """Yield the object, and those within it."""
    yield thing
    if depth:
        parts = [part for _, part in thing.parts(*_PARTS)]
        # A payment intent of API versions before 2022-11-15 lists its charges.
        for _, charges in thing.parts("charges"):
            parts += [Fields(charge) for charge in charges.objects("data")]
        for part in parts:
            yield from _places(part, depth - 1)


def _customer(thing: Fields) -> Found:
    """Return what one object says of the customer."""
    if thing.peek("object") == "customer":
        return _expanded(thing)
    customers = [customer for _, customer in thing.parts("customer")]
    found = [one for customer in customers for one in _expanded(customer)]
    if not customers:
        found.append(("stripe", thing.text("customer")))
    found += [("stripe", thing.peek(name)) for name in ("customer_account", "related_customer")]
    details = [thing.inside(name) for name in ("customer_details", "billing_details")]
    for contact in (*details, *(part for _, part in thing.parts("owner", "provided_details"))):
        found += [("email", contact.text("email")), ("phone", contact.text("phone"))]
    return [
        *found,
        ("email", thing.text("customer_email")),
        ("email", thing.text("receipt_email")),
        ("email", thing.peek("instructions_email")),
        *(("email", part.peek("customer_email_address")) for _, part in thing.parts("evidence")),
        ("phone", thing.text("customer_phone")),
    ]


def _expanded(customer: Fields) -> Found:
    return [
        ("stripe", customer.id("id")),
        ("email", customer.text("email")),
        ("phone", customer.text("phone")),
    ]
