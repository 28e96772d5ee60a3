"""Intercom's webhooks: conversations and tickets, contacts and what they subscribe to.

Source: https://developers.intercom.com/docs/references/2.16/webhooks/webhook-models (topics) and
https://developers.intercom.com/docs/webhooks/webhook-notifications (notifications; signature:
HMAC-SHA1 with the app's client secret over the raw body, hex behind `sha1=` in `X-Hub-Signature`).
See docs/channels/intercom.md.
"""

from __future__ import annotations

import html
import re
from collections.abc import Iterator
from typing import Any, ClassVar

from pydantic import Field

from ingest.connector import Context, Options, Reply, Request, Result, WebhookConnector, secrets
from ingest.kit.fields import (
    Fields,
    Payload,
    derived_id,
    finish,
    guarded,
    id_text,
    identifiers,
    json_object,
    shortened,
    snake_case,
)
from ingest.kit.signing import HEX, RequiredSecrets, is_named_hmac_of
from schemas.rejection import Rejection

SIGNATURE = "x-hub-signature"

#: Topic -> type. Until version 2 users and leads had topics of their own.
TYPES = {
    "conversation.user.created": "conversation_started",
    "conversation.user.replied": "message_received",
    "conversation.admin.single.created": "conversation_started",
    "conversation.admin.replied": "message_sent",
    "conversation.operator.replied": "message_sent",
    "conversation.admin.closed": "conversation_closed",
    "conversation.admin.opened": "conversation_reopened",
    "conversation.read": "conversation_read",
    "conversation.rating.added": "conversation_rated",
    "ticket.created": "ticket_created",
    "ticket.contact.replied": "message_received",
    "ticket.admin.replied": "message_sent",
    "ticket.closed": "ticket_closed",
    "contact.created": "contact_created",
    "contact.user.created": "contact_created",
    "contact.lead.created": "contact_created",
    "user.created": "contact_created",
    "contact.updated": "contact_updated",
    "contact.user.updated": "contact_updated",
    "contact.lead.updated": "contact_updated",
    "contact.email.updated": "contact_email_updated",
    "contact.lead.added_email": "contact_email_updated",
    "contact.added_email": "contact_email_updated",
    "user.email.updated": "contact_email_updated",
    "contact.lead.signed_up": "contact_signed_up",
    "contact.signed_up": "contact_signed_up",
    "visitor.signed_up": "contact_signed_up",
    "contact.merged": "contact_merged",
    "contact.deleted": "contact_deleted",
    "user.deleted": "contact_deleted",
    "contact.tag.created": "contact_tagged",
    "contact.user.tag.created": "contact_tagged",
    "contact.lead.tag.created": "contact_tagged",
    "user.tag.created": "contact_tagged",
    "contact.tag.deleted": "contact_untagged",
    "contact.user.tag.deleted": "contact_untagged",
    "contact.lead.tag.deleted": "contact_untagged",
    "user.tag.deleted": "contact_untagged",
}
_OUTBOUND = frozenset(
    {
        "conversation.admin.single.created", "conversation.admin.replied",
        "conversation.operator.replied", "ticket.admin.replied",
    }
)  # fmt: skip
#: Topic -> (type, channel, purpose, decision).
DECISIONS = {
    "contact.subscribed": ("email_subscribed", "email", "marketing", True),
    "contact.unsubscribed": ("email_unsubscribed", "email", "marketing", False),
    "user.unsubscribed": ("email_unsubscribed", "email", "marketing", False),
    "contact.unsubscribed_from_sms": ("sms_unsubscribed", "phone", "sms_marketing", False),
    "user.unsubscribed_from_sms": ("sms_unsubscribed", "phone", "sms_marketing", False),
    "granular.subscribe": ("email_subscribed", "email", "marketing", True),
    "granular.unsubscribe": ("email_unsubscribed", "email", "marketing", False),
}
#: Intercom's words for a customer. Admins, bots and teams are the company.
_PEOPLE = frozenset({"contact", "user", "lead", "visitor"})
_MAPPED = frozenset({"type", "contact", "contacts", "user", "email", "phone", "name"})
_PER_DELIVERY = frozenset({"delivery_status", "delivery_attempts", "delivered_at", "first_sent_at"})
_NAMES = {"event_id": "id", "occurred_at": "created_at", "type": "topic"}
_NOBODY = "data.item: names no contact"
_TAG = re.compile(r"<[^>]*>")
#: Characters of a message in HTML that are read for the subject.
_READ_LENGTH = 4000


class IntercomOptions(Options):
    """`client_secret`: the client secret of the app, in the Developer Hub.

    `subscriptions` gives subscription types (by id) a consent purpose of their own; without,
    opting out of one is a decision about "marketing".
    """

    client_secret: RequiredSecrets
    subscriptions: dict[int, str] = Field(default_factory=dict)


class Intercom(WebhookConnector):
    """The webhooks of an Intercom workspace."""

    name: ClassVar[str] = "intercom"
    doc: ClassVar[str] = "Chat: conversations, tickets and contacts of Intercom"
    options: ClassVar[type[Options]] = IntercomOptions

    def __init__(self, options: IntercomOptions) -> None:
        self._secrets = secrets(options.client_secret)
        self._purposes = {str(number): name for number, name in options.subscriptions.items()}

    def verify(self, request: Request, received_ms: int) -> bool:
        """Return True if a client secret of ours signed the body."""
        shown = request.headers.get(SIGNATURE, "")
        return is_named_hmac_of(request.body, shown, self._secrets, HEX, "sha1")

    def handshake(self, request: Request) -> Reply:
        """Answer the HEAD request with which Intercom checks the address before it accepts it."""
        return Reply()

    def parse(self, request: Request, context: Context) -> Iterator[Result]:
        """Yield the one notification of the request; nothing if Intercom only tests the address."""
        body = json_object(request)
        if isinstance(body, Rejection):
            yield body
        elif body.get("topic") != "ping":
            yield guarded(self._notification, body, lambda: request.body)

    def _notification(self, body: dict[str, Any], payload: Payload) -> Result:
        read = Fields(body)
        topic = read.text("topic") or ""
        if not snake_case(topic):
            read.wrong("topic", "must be text, for instance conversation.user.created")
        item = read.inside("data").inside("item")
        raw = read.inside("data").object("item")
        message = _message(raw)
        fields: dict[str, Any] = {
            "event_id": read.id("id") or derived_id(body, _PER_DELIVERY),
            "channel": "chat",
            "type": TYPES.get(topic) or f"intercom_{snake_case(topic)}",
            "direction": "outbound" if topic in _OUTBOUND else "inbound",
            "identifiers": [],
            "occurred_at": read.moment("created_at", 1000),
            "subject": _plain(message.get("body")),
            "sentiment": _rated(item) if topic == "conversation.rating.added" else None,
            "properties": {
                **{name: value for name, value in raw.items() if name not in _MAPPED},
                **_described(message),
            },
        }
        person = _person(item, message)
        if person is not None:
            fields["identifiers"] = identifiers(*_identifiers(person))
            name = person.peek("name")
            fields["traits"] = {"name": name} if name else {}
        return finish(
            {**fields, **self._decision(topic, item)}, read.problems, payload, _NAMES, _NOBODY
        )

    def _decision(self, topic: str, item: Fields) -> dict[str, Any]:
        if topic not in DECISIONS:
            return {}
        kind, channel, default, decision = DECISIONS[topic]
        listed = item.inside("subscription_types").objects("data")
        purposes = [
            self._purposes.get(id_text(subscription.get("id")) or "", default)
            for subscription in listed
        ]
        consent = dict.fromkeys(purposes or [default], decision)
        return {"type": kind, "channel": channel, "consent": consent}


def _message(item: dict[str, Any]) -> dict[str, Any]:
    """Return the latest message: the part of a ticket or conversation, else the first message."""
    thing = Fields(item)
    parts = thing.inside("conversation_parts").objects("conversation_parts")
    found = thing.object("ticket_part") or (parts[-1] if parts else {})
    return found or thing.object("source") or thing.object("conversation_message")


def _described(message: dict[str, Any]) -> dict[str, Any]:
    author = Fields(message).object("author")
    described = {"text": message.get("body"), "author_type": author.get("type")}
    return {name: value for name, value in described.items() if value is not None}


def _person(item: Fields, message: dict[str, Any]) -> Fields | None:
    """Return the customer: the contact of the event, else the author, else the first contact.

    Of several customers in one conversation only one is used: they are not one person.
    """
    if item.peek("type") in _PEOPLE:
        return item
    if "contact" in item:
        return item.inside("contact")
    thing = item.inside("ticket") if "ticket" in item else item
    if "user" in thing:
        return thing.inside("user")
    author = Fields(message).inside("author")
    if author.peek("type") in _PEOPLE and "id" in author:
        return author
    contacts = thing.inside("contacts").objects("contacts")
    return Fields(contacts[0], "data.item.contacts.", item.problems) if contacts else None


def _identifiers(person: Fields) -> list[tuple[str, str | None]]:
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


def _plain(body: object) -> str | None:
    """Return a message without its HTML, as a subject."""
    if not isinstance(body, str):
        return None
    return shortened(html.unescape(_TAG.sub(" ", body[:_READ_LENGTH]))) or None


def _rated(item: Fields) -> float | None:
    """Return a rating from 1 (bad) to 5 as sentiment."""
    rating = item.inside("conversation_rating").id("rating")
    if rating is None:
        return None
    if rating in ("1", "2", "3", "4", "5"):
        return (int(rating) - 3) / 2
    item.wrong("conversation_rating.rating", "must be a whole number from 1 to 5")
    return None
