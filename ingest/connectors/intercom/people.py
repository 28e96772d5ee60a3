"""The customer of an Intercom notification: admins, bots and teams are the company."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from ingest.connectors.intercom.topics import JOINING, RATINGS
from ingest.kit.fields import Fields, id_text

#: Intercom's words for a customer, and those for the company.
_PEOPLE = frozenset({"contact", "user", "lead", "visitor"})
_COMPANY = frozenset({"admin", "bot", "team", "operator"})
#: Objects in an item that are the same person as another.
_JOINED = ("contact", "user", "lead", "visitor", "merged_from")

_RATED = ("conversation_rating", "ticket_rating", "rating", "ticket")

Found = list[tuple[str, str | None]]


def person_of(topic: str, item: Fields, message: dict[str, Any]) -> Fields | None:
    """Return the customer: the contact of the event, else the author, else the first contact.

    Of several customers in one conversation only one is used: they are not one person.
    """
    if item.peek("type") in _PEOPLE:
        return item
    return (
        (_rater(item) if topic in RATINGS else None)
        or _named(item, "contact")
        or _in_conversation(item.inside("ticket") if "ticket" in item else item, message)
    )


def _in_conversation(thing: Fields, message: dict[str, Any]) -> Fields | None:
    """Return the customer of a conversation or ticket."""
    if user := _named(thing, "user"):
        return user
    author = Fields(message).inside("author")
    if author.peek("type") in _PEOPLE and author.id("id"):
        return author
    for contact in thing.inside("contacts").objects("contacts"):
        if found := _customer(Fields(contact, "data.item.contacts.", thing.problems)):
            return found
    return None


def _named(thing: Fields, name: str) -> Fields | None:
    return _customer(thing.inside(name)) if name in thing else None


def ratings(item: Fields) -> Iterator[Fields]:
    """Yield the rating of a conversation, and that of a ticket."""
    if "rating" in item and not any(item.parts(*_RATED)):
        yield item
    for name, part in item.parts(*_RATED):
        if name == "ticket":
            yield from ratings(part)
        else:
            yield part


def _rater(item: Fields) -> Fields | None:
    """Return who rated, of several customers in a conversation."""
    for rating in ratings(item):
        for _, contact in rating.parts("contact", "customer"):
            if contact.id("id"):
                return _customer(contact)
    return None


def _customer(person: Fields) -> Fields | None:
    return None if person.peek("type") in _COMPANY else person


def people(topic: str, item: Fields, person: Fields | None, message: dict[str, Any]) -> Found:
    """Return the customer's identifiers, of both ids where Intercom says that they are one."""
    if item.peek("type") == "call":
        return [("intercom", item.id("contact_id")), ("phone", item.text("phone"))]
    if topic == "event.created":
        return _of_event(item)
    if person is None:
        return []
    found = _identifiers(person)
    if topic in JOINING:
        for _, other in item.parts(*_JOINED):
            found += _identifiers(other)
    return [] if _own(item, message) & set(found) else found


def _own(item: Fields, message: dict[str, Any]) -> set[tuple[str, str | None]]:
    """Return the accounts of the company that a conversation or ticket names."""
    thing = item.inside("ticket") if "ticket" in item else item
    own = {("intercom", id_text(dict(thing.values()).get("admin_assignee_id")))}
    for person in (Fields(message).inside("author"), *(a for _, a in thing.parts("assignee"))):
        if person.peek("type") in _COMPANY:
            own |= {("intercom", person.id("id")), ("email", person.text("email"))}
    return {account for account in own if account[1]}


def _identifiers(person: Fields) -> Found:
    """Return their id in Intercom, e-mail and phone; for users also the id that you gave them.

    The external id of a lead is made up by Intercom.
    """
    is_user = (person.peek("role") or person.peek("type")) == "user"
    own = person.id("external_id") or person.id("user_id")
    return [
        ("customer_id", own if is_user else None),
        ("intercom", person.id("id")),
        ("email", person.text("email")),
        ("phone", person.text("phone")),
    ]


def _of_event(item: Fields) -> Found:
    """Return whom a data event names; its `user_id` may be one that Intercom made up for a lead."""
    found: Found = [("intercom", item.id("intercom_user_id")), ("email", item.text("email"))]
    named = any(value for _, value in found)
    return found if named else [("customer_id", item.id("user_id"))]
