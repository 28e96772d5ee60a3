"""The people of WhatsApp's events: phone numbers, and the ids by which a business knows its users.

Source:
https://developers.facebook.com/documentation/business-messaging/whatsapp/business-scoped-user-ids
(customers who hide their number; parent ids of linked businesses) and
https://developers.facebook.com/documentation/business-messaging/whatsapp/webhooks/reference/messages/system
(customers who change their number).
"""

from __future__ import annotations

from typing import Any, NamedTuple

from ingest.connectors.meta.account import Account
from ingest.kit.fields import Fields, identifiers

Pair = tuple[str, str | None]


class Names(NamedTuple):
    """The fields that name one person of an event, the first that is there counts."""

    numbers: tuple[str, ...]
    users: tuple[str, ...]
    parents: tuple[str, ...]


SENDER = Names(
    ("from", "wa_id"), ("from_user_id", "user_id"), ("from_parent_user_id", "parent_user_id")
)
RECEIVER = Names(
    ("recipient_id", "to"),
    ("recipient_user_id", "to_user_id"),
    ("recipient_parent_user_id", "parent_recipient_user_id", "to_parent_user_id"),
)
#: Member of a group that received a message: `recipient_id` is the group.
PARTICIPANT = Names(
    ("recipient_participant_id", "participant_recipient_id"),
    ("recipient_participant_user_id", "recipient_user_id"),
    ("recipient_participant_parent_user_id",),
)
_NAMES = (SENDER, RECEIVER, PARTICIPANT)
#: Fields that are identifiers, or that have fields of their own in a touchpoint.
MAPPED = frozenset(name for names in _NAMES for kind in names for name in kind) | {
    "timestamp",
    "text",
}
#: Fields of a system message, all of the customer whose number or id has changed.
_CHANGED_NUMBERS = ("wa_id", "new_wa_id", "customer")
_CHANGED_USERS = ("user_id", "previous_user_id", "parent_user_id", "previous_parent_user_id")


class Change(NamedTuple):
    """One event of a change, with what stands beside it.

    `contacts`: the profiles of the people in the change. `number`: the company's own.
    """

    event: Fields
    contacts: list[Fields]
    account: Account
    field: str
    number: str

    def is_ours(self) -> bool:
        """Return True if the company's number sent this message, or made this call."""
        return bool(self.number) and digits(self.event.peek("from")) == self.number


def digits(number: str | None) -> str:
    """Return a number without plus, spaces and punctuation."""
    return "".join(filter(str.isdigit, number or ""))


def person(change: Change, names: Names, *more: Pair) -> dict[str, Any]:
    """Return the identifiers and the name of the customer whom these fields of an event name.

    The contact of the change that is the same person adds what the event leaves out. `more`: other
    identifiers of theirs. The company's own number is never a customer.
    """
    event, contact = change.event, _contact(change)
    number = _first(event, names.numbers) or contact.id("wa_id")
    pairs = (
        _number(number),
        ("whatsapp", _first(event, names.users) or contact.id("user_id")),
        ("whatsapp", _first(event, names.parents) or contact.id("parent_user_id")),
        *more,
    )
    own = bool(change.number) and digits(number) == change.number
    name = contact.inside("profile").peek("name")
    return {
        "identifiers": [] if own else identifiers(*dict.fromkeys(pairs)),
        "traits": {"name": name} if name else {},
    }


def changed(system: Fields) -> list[Pair]:
    """Return the old and the new number and ids of a customer who changed theirs.

    WhatsApp says that they are one person: the touches of the old number stay with them. If the
    network gives that number to somebody else later, a split takes it away.
    """
    numbers = (_number(system.id(name)) for name in _CHANGED_NUMBERS)
    return [*numbers, *(("whatsapp", system.id(name)) for name in _CHANGED_USERS)]


def described(text: str | None, known: Fields) -> Fields:
    """Return a person as contacts describe them, of a field with either a number or a user id."""
    name = "wa_id" if _number(text)[1] else "user_id"
    return Fields({name: text, **dict(known.values())})


def _contact(change: Change) -> Fields:
    """Return the contact of this customer; of several the one with the same number or id."""
    event = change.event
    theirs = {event.peek(name) for names in _NAMES for kind in names for name in kind} - {None}
    same = [one for one in change.contacts if {one.peek("wa_id"), one.peek("user_id")} & theirs]
    found = same or (change.contacts if len(change.contacts) == 1 else [Fields({})])
    return found[0]


def _first(event: Fields, names: tuple[str, ...]) -> str | None:
    return next((event.id(name) for name in names if name in event), None)


def _number(text: str | None) -> Pair:
    """Return a phone number, which WhatsApp writes without its plus."""
    number = (text or "").removeprefix("+")
    return "phone", f"+{number}" if number.isdigit() else None
