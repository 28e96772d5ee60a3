"""The events of a WhatsApp business account's changes, a reader for each list.

Source: https://developers.facebook.com/documentation/business-messaging/whatsapp/webhooks/reference
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ingest.connectors.meta.advertising import campaign
from ingest.connectors.meta.commerce import attempt, ordered, payment
from ingest.connectors.meta.whatsapp_people import (
    PARTICIPANT,
    RECEIVER,
    SENDER,
    Change,
    changed,
    described,
    person,
)
from ingest.kit.fields import Fields, id_text, snake_case

#: Status of a message of ours -> (type, direction).
STATUSES = {
    "sent": ("message_sent", "outbound"),
    "delivered": ("message_delivered", "outbound"),
    "read": ("message_read", "inbound"),
    "played": ("message_played", "inbound"),
    "failed": ("message_failed", "outbound"),
}
#: Kind of a message -> type, for messages that change another one, whoever wrote them.
CHANGES = {
    "revoke": "message_deleted",
    "edit": "message_edited",
    "reaction": "message_reacted",
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
#: Lists of a group's event with its people.
GROUP_LISTS = ("added_participants", "removed_participants", "failed_participants")
_PREFERENCES = {"stop": False, "resume": True, "signup": True}
_PERMISSION = "call_permission_reply"
_CAPTIONED = ("image", "video", "document")


def text_of(event: Fields) -> str | None:
    """Return the text that was written, or the label of the button that was pressed."""
    interactive = event.inside("interactive")
    edited = event.inside("edit")
    texts = (
        event.inside("text").text("body"),
        event.inside("button").text("text"),
        interactive.inside("button_reply").text("title"),
        interactive.inside("list_reply").text("title"),
        interactive.aside("nfm_reply").peek("body"),
        event.aside("order").peek("text"),
        *(event.inside(name).text("caption") for name in _CAPTIONED),
        text_of(edited.inside("message")) if "message" in edited else None,
    )
    return next(filter(None, texts), None)


def _message(change: Change) -> dict[str, Any]:
    event = change.event
    if change.is_ours():
        return _echo(change)
    name = event.text("type") or ""
    return {
        **_identified(event, name),
        **person(change, SENDER, *(changed(event.inside(name)) if name == "system" else ())),
        "type": _change(name, event) or MESSAGES.get(name, "message_received"),
        "campaign": campaign(event.aside("referral")),
        **(ordered(event.aside(name), "product_items", "item_price") if name == "order" else {}),
        **_permission(event.aside("interactive")),
    }


def _permission(interactive: Fields) -> dict[str, Any]:
    """Return the fields of an answer to the question if the company may call."""
    if interactive.peek("type") != _PERMISSION:
        return {}
    return {"channel": "phone", "outcome": interactive.aside(_PERMISSION).label("response")}


def _echo(change: Change) -> dict[str, Any]:
    """Return the fields of a message that the company wrote on its phone."""
    event = change.event
    name = event.text("type") or ""
    failed = event.aside("history_context").peek("status") == "ERROR"
    return {
        **_identified(event, name),
        **person(change, RECEIVER),
        "type": _change(name, event) or ("message_failed" if failed else "message_sent"),
        "direction": "outbound",
    }


def _change(name: str, event: Fields) -> str | None:
    """Return the type of a message that changes another; a reaction without emoji takes it back."""
    undone = name == "reaction" and not event.inside(name).text("emoji")
    return "message_unreacted" if undone else CHANGES.get(name)


def _status(change: Change) -> dict[str, Any]:
    event = change.event
    status = event.text("status") or ""
    kind = event.peek("type")
    who = person(change, PARTICIPANT if event.peek("recipient_type") == "group" else RECEIVER)
    if kind == "payment":
        return {**_identified(event, suffix=attempt(event)), **who, **payment(event)}
    of_call = kind == "call" or change.field == "calls"
    thing = "call" if of_call else "message"
    type_, direction = STATUSES.get(status) or (f"meta_{thing}_{snake_case(status)}", "outbound")
    error = next(iter(event.objects("errors")), {})
    return {
        **_identified(event, suffix=status),
        **who,
        **({"channel": "phone"} if of_call else {}),
        "type": type_,
        "direction": direction,
        "outcome": id_text(error.get("code")),
    }


def _identified(event: Fields, kind: str = "", suffix: str = "") -> dict[str, str]:
    """Return WhatsApp's id of the message, with a status as its suffix, as event id.

    What changes a message has an id of its own; should it come with that of the message, the kind
    and time of the change tell them apart.
    """
    message = event.id("id")
    if message is None:
        event.wrong("id", "must be text")
        return {}
    if kind in CHANGES and event.aside(kind).peek("original_message_id") == message:
        suffix = f"{kind}:{event.id('timestamp')}"
    return {"event_id": f"{message}:{suffix}" if suffix else message}


def _preference(change: Change) -> dict[str, Any]:
    """Return the customer's decision about the company's marketing messages."""
    who = person(change, SENDER)
    decision = _PREFERENCES.get(change.event.text("value") or "")
    if decision is None:
        return {**who, "type": "meta_user_preferences"}
    kind = "messages_subscribed" if decision else "messages_unsubscribed"
    return {**who, "type": kind, "consent": {change.account.purpose: decision}}


def _call(change: Change) -> dict[str, Any]:
    event = change.event
    told = event.text("event") or ""
    kind, outcome = CALL_ENDS.get(event.text("status") or "") or (
        f"meta_call_{snake_case(told)}",
        None,
    )
    duration = event.seconds("duration")
    ours = event.text("direction") == "BUSINESS_INITIATED" or change.is_ours()
    return {
        **_identified(event, suffix=told),
        **person(change, RECEIVER if ours else SENDER),
        "channel": "phone",
        "type": kind,
        "direction": "outbound" if ours else "inbound",
        "outcome": outcome,
        "duration_s": duration if kind == "call_completed" else None,
    }


def _address_book(change: Change) -> dict[str, Any]:
    """Return the fields of a person whom the company put into its address book, or took out."""
    event = change.event
    listed = Fields({"wa_id": event.inside("contact").id("phone_number")})
    return {
        **person(change._replace(event=listed), SENDER),
        "type": f"meta_{snake_case('smb_app_state_sync_' + (event.text('action') or ''))}",
        "direction": "outbound",
        "occurred_at": event.inside("metadata").instant("timestamp") or change.account.time,
    }


def _group(change: Change) -> dict[str, Any]:
    """Return the fields of a person who came into a group of the company, left or wants to come."""
    event = change.event
    name = next((name for name in GROUP_LISTS if name in event), None)
    member = event.first(name) if name else event
    listed = described(member.id("input"), member)
    failed = "failed" if name == "failed_participants" else ""
    words = ("meta", event.text("type") or "group", failed)
    return {
        **person(change._replace(event=listed), SENDER),
        "type": snake_case("_".join(words)),
        "direction": "outbound" if event.peek("initiated_by") == "business" else "inbound",
    }


#: List of a change's value -> the reader of its events.
READERS: dict[str, Callable[[Change], dict[str, Any]]] = {
    "messages": _message,
    "statuses": _status,
    "message_echoes": _echo,
    "user_preferences": _preference,
    "calls": _call,
    "state_sync": _address_book,
    "groups": _group,
}
