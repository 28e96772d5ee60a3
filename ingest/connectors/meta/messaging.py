"""Messaging events of Messenger and Instagram: messages, reads, postbacks, reactions, opt-ins.

Source:
https://developers.facebook.com/documentation/business-messaging/messenger-platform/webhooks/webhook-events
with a page for each event, and
https://developers.facebook.com/documentation/instagram-platform/webhooks/examples
"""

from __future__ import annotations

from typing import Any

from ingest.connectors.meta.account import Account
from ingest.connectors.meta.advertising import campaign
from ingest.connectors.meta.commerce import ordered
from ingest.connectors.meta.feedback import sentiment, written
from ingest.kit.fields import (
    Fields,
    derived_id,
    identifiers,
    snake_case,
    subject,
)

#: Fields that every event has beside it.
_ENVELOPE = frozenset({"sender", "recipient", "timestamp", "prior_message"})
#: Field of an event -> type, for fields whose value does not decide the type.
EVENTS = {
    "message_edit": "message_edited",
    "read": "message_read",
    "delivery": "message_delivered",
    "postback": "postback_received",
    "referral": "referral_received",
    "messaging_feedback": "conversation_rated",
    "call_permission_reply": "postback_received",
}
#: All fields that are known, in the order in which they are looked for.
FIELDS = ("message", *EVENTS, "reaction", "optin", "optout", "account_linking", "order")
_OUTBOUND = frozenset({"message_sent", "message_delivered"})
#: Fields that give whoever has them access to the customer, or to their account.
_TOKENS = frozenset({"notification_messages_token", "one_time_notif_token", "authorization_code"})
_CHECKBOX = "checkbox_plugin"


def fields(read: Fields, account: Account, *, standby: bool = False) -> dict[str, Any]:
    """Return the fields of one event's touchpoint.

    The customer is the sender, but the receiver of what the account sends itself (echoes).
    """
    name = _name(read)
    part = read.inside(name) if name else Fields({})
    sender = read.inside("sender")
    echo = name == "message" and part.flag("is_echo") is True
    customer = read.inside("recipient") if echo or sender.id("id") == account.id else sender
    known = customer.id("id")
    kind = _type(name, part)
    beside = read.aside(name)
    text = part.text("text") or part.text("title") or beside.peek("note") or written(beside)
    # Instagram marks what the account writes to itself.
    own = known == account.id or beside.flag("is_self")
    return {
        "event_id": _event_id(kind, part, read, account),
        "type": kind,
        "channel": "phone" if name == "call_permission_reply" else "social",
        "outcome": beside.label("response") if name == "call_permission_reply" else None,
        "direction": "outbound" if customer is not sender or kind in _OUTBOUND else "inbound",
        "identifiers": identifiers(
            (account.kind, known if not own else None),
            ("anonymous_id", _reference(read, customer, part)),
        ),
        "occurred_at": read.instant("timestamp") or account.time,
        "consent": _consent(name, part, account),
        "campaign": campaign(beside, beside.aside("referral"), read.aside("referral")),
        **(ordered(beside, "products", "unit_price") if name == "order" else {}),
        "sentiment": sentiment(beside) if name == "messaging_feedback" else None,
        "subject": subject(text),
        "properties": _properties(name, read, part, account, standby),
    }


def _name(read: Fields) -> str:
    """Return the field that says what happened; if none is known, the first by name."""
    others = sorted(name for name, value in read.values() if name not in _ENVELOPE and value)
    return next((name for name in (*FIELDS, *others) if name in read), "")


def _type(name: str, part: Fields) -> str:
    if name == "message":
        return _message(part)
    if name == "reaction":
        return "message_unreacted" if _is_undone(part) else "message_reacted"
    if name in ("optin", "optout"):
        return "messages_unsubscribed" if _stops(name, part) else "messages_subscribed"
    if name == "account_linking":
        return "account_unlinked" if part.text("status") == "unlinked" else "account_linked"
    return EVENTS.get(name) or f"meta_{snake_case(name) or 'messaging'}"


def _message(message: Fields) -> str:
    if message.flag("is_deleted"):
        return "message_deleted"
    if message.flag("is_echo"):
        return "message_sent"
    return "mention_received" if _mentions(message) else "message_received"


def _mentions(message: Fields) -> bool:
    """Return True if a message is Instagram's notice of a mention in the customer's story."""
    return any(one.get("type") == "story_mention" for one in message.objects("attachments"))


def _is_undone(reaction: Fields) -> bool:
    """Return True if a reaction is taken back: Meta says so, or there is nothing in it."""
    action = reaction.text("action")
    left = action or reaction.text("emoji") or reaction.text("reaction")
    return action == "unreact" or left is None


def _stops(name: str, part: Fields) -> bool:
    return name == "optout" or part.text("notification_messages_status") == "STOP_NOTIFICATIONS"


def _consent(name: str, part: Fields, account: Account) -> dict[str, bool] | None:
    """Return the customer's decision about messages.

    A request for one single message is no consent.
    """
    if name not in ("optin", "optout") or part.text("type") == "one_time_notif_req":
        return None
    return {account.purpose: not _stops(name, part)}


def _event_id(kind: str, part: Fields, read: Fields, account: Account) -> str:
    """Return Meta's id of the message, if that is the event; else an id of the content."""
    message = part.id("mid")
    if message and kind in ("message_received", "message_sent", "mention_received"):
        return message
    if message and kind in ("message_deleted", "postback_received"):
        return f"{message}:{kind}"
    return derived_id({**dict(read.values()), "account": account.id})


def _reference(read: Fields, customer: Fields, part: Fields) -> str | None:
    """Return the name that a page gave its visitor in the checkbox plug-in, before Meta's id."""
    prior = read.aside("prior_message")
    reference = customer.id("user_ref") or part.id("user_ref")
    if reference is None and prior.peek("source") == _CHECKBOX:
        reference = prior.id("identifier")
    return f"meta-user-ref-{reference}" if reference else None


def _properties(
    name: str, read: Fields, part: Fields, account: Account, standby: bool
) -> dict[str, Any]:
    own = {field: value for field, value in part.values() if field not in _TOKENS | {"text"}}
    text = part.text("text")
    return {
        "account_id": account.id,
        **{
            field: value
            for field, value in read.values()
            if field not in _ENVELOPE and field != name
        },
        **({name: own} if own else {}),
        **({"text": text} if text else {}),
        **({"standby": True} if standby else {}),
    }
