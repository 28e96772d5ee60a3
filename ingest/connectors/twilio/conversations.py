"""Webhooks of Twilio Conversations, after something has happened.

Source: https://www.twilio.com/docs/conversations/conversations-webhooks (post-action webhooks).

A conversation has many events that do not name the customer: the company's answers, deliveries, its
end. Each names the conversation, so the conversation is an anonymous id of the customer: it follows
whoever is seen with it.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

from ingest.connectors.twilio.addresses import Address, Company
from ingest.kit.fields import Fields, identifiers, snake_case, subject
from schemas.times import from_ms, parse_ms

#: Status of a delivery -> type.
DELIVERIES = {
    "delivered": "message_delivered",
    "read": "message_read",
    "undelivered": "message_failed",
    "failed": "message_failed",
}
#: State in which a conversation is now -> type.
STATES = {"closed": "conversation_closed", "active": "conversation_reopened"}
#: Event -> type. Any other is `twilio_<event>`.
_TYPES = {
    "onMessageUpdated": "message_edited",
    "onMessageRemoved": "message_deleted",
    "onConversationAdded": "conversation_started",
}
#: Sources of a message that are the company's programs and pages, whatever it gives as author.
_PROGRAMS = frozenset({"API", "SDK"})
_IDS = ("MessageSid", "DeliveryReceiptSid", "ParticipantSid", "ConversationSid", "UserSid")
#: Fields with the time of an event, the first that is there.
_TIMES = ("DateRemoved", "DateUpdated", "DateCreated")


def is_conversation(event: str | None) -> bool:
    """Return True for the name of an event of Conversations. (A status callback has others.)"""
    return bool(event) and str(event).startswith("on")


def is_asked_before(event: str) -> bool:
    """Return True for an event that Twilio asks about before it happens: onMessageAdd."""
    return event.endswith(("Add", "Update", "Remove", "StateChange"))


def conversation(event: str, read: Fields, company: Company) -> dict[str, Any]:
    """Return the fields of the touchpoint of an event."""
    sid = read.text("ConversationSid")
    if not sid and not event.startswith("onUser"):
        read.wrong("ConversationSid", "must be text")
    address = _customer(event, read, company)
    found = {
        "channel": "chat",
        "type": _TYPES.get(event) or f"twilio_{snake_case(event.removeprefix('on'))}",
        "direction": "inbound" if address else "outbound",
        "event_id": _event_id(event, read),
        "occurred_at": _moment(read),
        "identifiers": identifiers(
            *(address.identifiers() if address else ()),
            ("anonymous_id", f"twilio-conversation-{sid}" if sid else None),
        ),
    }
    told = _READERS.get(event)
    return {**found, **(told(read, address) if told else {})}


def _customer(event: str, read: Fields, company: Company) -> Address | None:
    """Return the customer's address: the author of a message, or a participant's own."""
    is_message = event.startswith("onMessage")
    text = read.peek("Author" if is_message else "MessagingBinding.Address")
    if text is None or company.owns(text) or text == read.peek("MessagingBinding.ProxyAddress"):
        return None
    if is_message and (read.peek("Source") or "").upper() in _PROGRAMS:
        return None
    address = Address.of(text)
    return address if address.identifiers() else None


def _message(read: Fields, address: Address | None) -> dict[str, Any]:
    text = read.text("Body")
    content = {"subject": subject(text), "properties": {"text": text} if text else {}}
    if address is None:
        return {**content, "type": "message_sent"}
    if address.is_app:
        return {**content, "channel": "social", "type": "message_received"}
    return {**content, "channel": "phone", "type": "sms_received"}


def _edited(read: Fields, address: Address | None) -> dict[str, Any]:
    text = read.text("Body")
    return {"subject": subject(text), "properties": {"text": text} if text else {}}


def _delivery(read: Fields, address: Address | None) -> dict[str, Any]:
    status = read.text("Status") or ""
    kind = DELIVERIES.get(status)
    return {
        "type": kind or f"twilio_message_{snake_case(status)}",
        "direction": "inbound" if kind == "message_read" else "outbound",
        "outcome": (read.peek("ErrorCode") or status) if kind == "message_failed" else None,
    }


def _state(read: Fields, address: Address | None) -> dict[str, Any]:
    state = read.text("StateTo") or read.text("State") or ""
    return {"type": STATES.get(state) or f"twilio_conversation_{snake_case(state)}"}


_READERS = {
    "onMessageAdded": _message,
    "onMessageUpdated": _edited,
    "onDeliveryUpdated": _delivery,
    "onConversationStateUpdated": _state,
}


def _event_id(event: str, read: Fields) -> str:
    """Return what names an event: the things that it is about, and what became of them."""
    parts = [event, *map(read.peek, _IDS), read.peek("Status"), read.peek("StateTo")]
    if not event.endswith("Added"):
        parts.append(next(filter(None, map(read.peek, _TIMES)), None))
    return ":".join(filter(None, parts))


def _moment(read: Fields) -> datetime | None:
    name = next(filter(read.peek, _TIMES), "DateCreated")
    text = read.text(name)
    if text is None:
        return None
    try:
        return from_ms(parse_ms(text))
    except (ValueError, OverflowError):
        read.wrong(name, "must be an ISO 8601 time")
        return None
