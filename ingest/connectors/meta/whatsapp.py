"""Changes of a WhatsApp business account: messages, what became of ours, preferences, calls.

Source: https://developers.facebook.com/documentation/business-messaging/whatsapp/webhooks/reference
with a page for each field. The events of a change are read in `whatsapp_events.py`, the people
that they name in `whatsapp_people.py`.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from ingest.connectors.meta.account import Account
from ingest.connectors.meta.parts import Lists, singles
from ingest.connectors.meta.whatsapp_events import GROUP_LISTS, READERS, text_of
from ingest.connectors.meta.whatsapp_people import MAPPED, Change, described, digits
from ingest.kit.fields import Fields, derived_id, snake_case, subject

#: Lists of a change's value that hold events, with the lists within their objects.
_LISTS: Lists = {
    **{name: {} for name in READERS},
    "groups": {name: {} for name in GROUP_LISTS},
    "history": {"threads": {"messages": {}}},
}


def parts(change: object) -> Iterator[object]:
    """Yield a change once for each event of its value; one without such lists as it is."""
    value = change.get("value") if isinstance(change, dict) else None
    if not isinstance(change, dict) or not isinstance(value, dict):
        yield change
        return
    for one in singles(value, _LISTS):
        yield {**change, "value": one}


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
    # What stands beside the events helps to read them, and costs none.
    beside = read.aside("value")
    metadata = beside.inside("metadata")
    number = digits(metadata.id("display_phone_number"))
    event = value.first(name)
    contacts = [Fields(one) for one in beside.objects("contacts")]
    if name == "history":
        if "threads" not in event:
            # Why there is no history.
            return _nobodys(field, value, account)
        thread = event.first("threads")
        contacts = [described(thread.id("id"), thread.aside("context"))]
        name, event = "messages", thread.first("messages")
    change = Change(event, contacts, account, field, number)
    return _touch(change, READERS[name](change), metadata.id("phone_number_id"))


def _touch(change: Change, found: dict[str, Any], number_id: str | None) -> dict[str, Any]:
    event = change.event
    raw = dict(event.values())
    text = text_of(event)
    return {
        "event_id": derived_id({**raw, "account": change.account.id}),
        "direction": "inbound",
        "occurred_at": event.instant("timestamp") or change.account.time,
        "subject": subject(text),
        **found,
        "properties": {
            **{key: content for key, content in raw.items() if key not in MAPPED},
            "account_id": change.account.id,
            "phone_number_id": number_id,
            **({"text": text} if text else {}),
            **({"standby": True} if change.field == "standby" else {}),
        },
    }


def _nobodys(field: str, value: Fields, account: Account) -> dict[str, Any]:
    return {
        "event_id": derived_id({**dict(value.values()), "field": field, "account": account.id}),
        "type": f"meta_{snake_case(field)}",
        "identifiers": [],
        "occurred_at": account.time,
    }
