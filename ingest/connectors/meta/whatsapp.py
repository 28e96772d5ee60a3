"""Changes of a WhatsApp business account: messages, what became of ours, preferences, calls.

Source: https://developers.facebook.com/documentation/business-messaging/whatsapp/webhooks/reference
with a page for each field, and …/whatsapp/business-scoped-user-ids (customers who hide their
number).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from ingest.connectors.meta.account import Account
from ingest.kit.fields import (
    Fields,
    derived_id,
    id_text,
    identifiers,
    snake_case,
    subject,
)

#: Lists of a change's value that hold events.
_LISTS = ("messages", "statuses", "message_echoes", "user_preferences", "calls")
#: Status of a message of ours -> (type, direction).
STATUSES = {
    "sent": ("message_sent", "outbound"),
    "delivered": ("message_delivered", "outbound"),
    "read": ("message_read", "inbound"),
    "played": ("message_played", "inbound"),
    "failed": ("message_failed", "outbound"),
}
#: Kind of a message -> type, for messages that are not texts written by the customer.
MESSAGES = {
    "button": "postback_received",
    "interactive": "postback_received",
    "system": "meta_system",
    "request_welcome": "meta_request_welcome",
}
#: End of a call -> (type, outcome).
CALL_ENDS = {
    "COMPLETED": ("call_completed", "answered"),
    "FAILED": ("call_missed", "failed"),
}
_PREFERENCES = {"stop": False, "resume": True}
#: Fields that are identifiers, or that have fields of their own.
_MAPPED = frozenset(
    {
        "from", "to", "from_user_id", "to_user_id", "recipient_id", "recipient_user_id", "wa_id",
        "user_id", "timestamp", "text",
    }
)  # fmt: skip


def parts(change: object) -> Iterator[object]:
    """Yield a change once for each event of its value; one without such lists as it is."""
    value = change.get("value") if isinstance(change, dict) else None
    lists = [name for name in _LISTS if isinstance(value, dict) and name in value]
    if not (isinstance(change, dict) and isinstance(value, dict) and lists):
        yield change
        return
    head = {name: content for name, content in value.items() if name not in _LISTS}
    for name in lists:
        events = value[name]
        for event in events if isinstance(events, list) else [events]:
            yield {**change, "value": {**head, name: [event]}}


def fields(read: Fields, account: Account) -> dict[str, Any]:
    """Return the fields of one event's touchpoint."""
    field = read.text("field") or ""
    if not snake_case(field):
        read.wrong("field", "must be text, for instance messages")
    value = read.inside("value")
    name = next((name for name in _LISTS if name in value), None)
    if name is None:
        # About the account itself: templates, quality, limits.
        return _nobodys(field, value, account)
    raw = next(iter(value.items(name)), None)
    if not isinstance(raw, dict):
        value.wrong(name, "must be a list of objects")
        raw = {}
    event = Fields(raw, f"entry.changes.value.{name}.", read.problems)
    found = _READERS[name](event, account)
    text = _text(event)
    contact = _contact(value, event)
    who = contact.inside("profile").peek("name")
    metadata = value.inside("metadata")
    return {
        "event_id": derived_id({**raw, "account": account.id}),
        "direction": "inbound",
        "occurred_at": event.instant("timestamp") or account.time,
        "traits": {"name": who} if who else {},
        "subject": subject(text),
        **found,
        "identifiers": identifiers(*_customer(event, contact, found.get("direction"))),
        "properties": {
            **{key: content for key, content in raw.items() if key not in _MAPPED},
            "account_id": account.id,
            "phone_number_id": metadata.id("phone_number_id"),
            **({"text": text} if text else {}),
        },
    }


def _nobodys(field: str, value: Fields, account: Account) -> dict[str, Any]:
    return {
        "event_id": derived_id({**dict(value.values()), "field": field, "account": account.id}),
        "type": f"meta_{snake_case(field)}",
        "identifiers": [],
        "occurred_at": account.time,
    }


def _contact(value: Fields, event: Fields) -> Fields:
    """Return the contact of this customer in the change; of several the one with the same id."""
    contacts = value.objects("contacts")
    theirs = [event.peek(name) for name in ("from", "wa_id", "recipient_id", "to")]
    same = [one for one in contacts if "wa_id" in one and one["wa_id"] in theirs]
    found = same or (contacts if len(contacts) == 1 else [{}])
    return Fields(found[0], "entry.changes.value.contacts.", value.problems)


def _customer(event: Fields, contact: Fields, direction: object) -> list[tuple[str, str | None]]:
    """Return the customer's phone number, and the id by which WhatsApp knows them at this company.

    Numbers come without their plus. Customers with a user name may hide theirs.
    """
    ours = direction == "outbound" or "recipient_id" in event or "recipient_user_id" in event
    if not ours:
        number, user = _first(event, "from", "wa_id"), _first(event, "from_user_id", "user_id")
    elif event.peek("recipient_type") == "group":
        # `recipient_id` is the group.
        number, user = event.id("recipient_participant_id"), event.id("recipient_user_id")
    else:
        number, user = (
            _first(event, "recipient_id", "to"),
            _first(event, "recipient_user_id", "to_user_id"),
        )
    return [("phone", _number(number)), ("whatsapp", user or contact.id("user_id"))]


def _first(event: Fields, *names: str) -> str | None:
    return next((event.id(name) for name in names if name in event), None)


def _number(digits: str | None) -> str | None:
    if digits is None or not digits.removeprefix("+").isdigit():
        return None
    return f"+{digits.removeprefix('+')}"


def _message(event: Fields, account: Account) -> dict[str, Any]:
    name = event.text("type") or ""
    kind = MESSAGES.get(name, "message_received")
    if name == "reaction":
        kind = "message_reacted" if "emoji" in event.inside("reaction") else "message_unreacted"
    return {**_identified(event), "type": kind}


def _text(event: Fields) -> str | None:
    """Return the text that was written, or the label of the button that was pressed."""
    interactive = event.inside("interactive")
    texts = (
        event.inside("text").text("body"),
        event.inside("button").text("text"),
        interactive.inside("button_reply").text("title"),
        interactive.inside("list_reply").text("title"),
        *(event.inside(name).text("caption") for name in ("image", "video", "document")),
    )
    return next(filter(None, texts), None)


def _echo(event: Fields, account: Account) -> dict[str, Any]:
    """Return the fields of a message that the company wrote on its phone."""
    return {**_message(event, account), "type": "message_sent", "direction": "outbound"}


def _status(event: Fields, account: Account) -> dict[str, Any]:
    status = event.text("status") or ""
    thing = "call" if event.peek("type") == "call" else "message"
    kind, direction = STATUSES.get(status) or (f"meta_{thing}_{snake_case(status)}", "outbound")
    error = next(iter(event.objects("errors")), {})
    return {
        **_identified(event, status),
        "type": kind,
        "direction": direction,
        "outcome": id_text(error.get("code")),
    }


def _identified(event: Fields, suffix: str = "") -> dict[str, str]:
    """Return WhatsApp's id of the message, with the status as its suffix, as event id."""
    message = event.id("id")
    if message is None:
        event.wrong("id", "must be text")
        return {}
    return {"event_id": f"{message}:{suffix}" if suffix else message}


def _preference(event: Fields, account: Account) -> dict[str, Any]:
    """Return the customer's decision about the company's marketing messages."""
    decision = _PREFERENCES.get(event.text("value") or "")
    if decision is None:
        return {"type": "meta_user_preferences"}
    kind = "messages_subscribed" if decision else "messages_unsubscribed"
    return {"type": kind, "consent": {account.purpose: decision}}


def _call(event: Fields, account: Account) -> dict[str, Any]:
    told = event.text("event") or ""
    kind, outcome = CALL_ENDS.get(event.text("status") or "") or (
        f"meta_call_{snake_case(told)}",
        None,
    )
    duration = event.seconds("duration")
    ours = event.text("direction") == "BUSINESS_INITIATED"
    return {
        **_identified(event, told),
        "channel": "phone",
        "type": kind,
        "direction": "outbound" if ours else "inbound",
        "outcome": outcome,
        "duration_s": duration if kind == "call_completed" else None,
    }


_READERS = {
    "messages": _message,
    "statuses": _status,
    "message_echoes": _echo,
    "user_preferences": _preference,
    "calls": _call,
}
