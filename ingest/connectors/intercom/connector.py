"""Intercom's webhooks: conversations and tickets, contacts and what they subscribe to.

Source: https://developers.intercom.com/docs/references/2.16/webhooks/webhook-models (topics) and
https://developers.intercom.com/docs/webhooks/webhook-notifications (notifications; signature:
HMAC-SHA1 with the app's client secret over the raw body, hex behind `sha1=` in `X-Hub-Signature`).
See docs/channels/intercom.md.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, ClassVar

from pydantic import Field

from ingest.connector import Context, Options, Reply, Request, Result, WebhookConnector, secrets
from ingest.connectors.intercom.calls import called
from ingest.connectors.intercom.people import people, person_of, ratings
from ingest.connectors.intercom.topics import (
    DECISIONS,
    NOTES,
    OF_SMS,
    OUTBOUND,
    RATINGS,
    SENT,
    STATS,
    TYPES,
)
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
from ingest.kit.markup import text_of_html
from ingest.kit.signing import HEX, RequiredSecrets, is_named_hmac_of
from schemas.rejection import Rejection

SIGNATURE = "x-hub-signature"

_MAPPED = frozenset({"type", "contact", "contacts", "user", "email", "phone", "name"})
_PER_DELIVERY = frozenset({"delivery_status", "delivery_attempts", "delivered_at", "first_sent_at"})
_NAMES = {"event_id": "id", "occurred_at": "created_at", "type": "topic"}
_NOBODY = "data.item: names no contact"
_NOTE = "data.item: is a note among colleagues, which is addressed to no contact"
#: Kinds of parts of a conversation that no customer sees.
_INTERNAL = frozenset({"note", "note_and_reopen"})


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
        note = topic in NOTES or (topic in OUTBOUND and _is_note(message))
        person = None if note else person_of(topic, item, message)
        name = person.peek("name") if person is not None else None
        fields: dict[str, Any] = {
            "event_id": read.id("id") or derived_id(body, _PER_DELIVERY),
            "channel": "chat",
            "type": TYPES.get(topic) or f"intercom_{snake_case(topic)}",
            "direction": "outbound" if _is_outbound(topic, item) else "inbound",
            "identifiers": [] if note else identifiers(*people(topic, item, person, message)),
            "occurred_at": read.moment("created_at", 1000),
            "traits": {"name": name} if name else {},
            "consent": _stated(topic, item),
            "subject": _subject(message),
            "sentiment": _sentiment(item) if topic in RATINGS else None,
            "properties": {
                **{name: value for name, value in raw.items() if name not in _MAPPED},
                **_described(message),
            },
            **called(topic, raw),
            **self._decision(topic, item),
        }
        return finish(fields, read.problems, payload, _NAMES, _NOTE if note else _NOBODY)

    def _decision(self, topic: str, item: Fields) -> dict[str, Any]:
        found = DECISIONS.get(topic) or STATS.get((topic, _stat(item)))
        if found is None:
            return {}
        kind, channel, default, decision = found
        listed = item.inside("subscription_types").objects("data")
        if listed and all(_is_of_sms(subscription) for subscription in listed):
            kind, channel = OF_SMS.get(kind, kind), "phone"
        purposes = [
            self._purposes.get(id_text(subscription.get("id")) or "")
            or ("sms_marketing" if _is_of_sms(subscription) else default)
            for subscription in listed
        ]
        consent = dict.fromkeys(purposes or [default], decision)
        return {"type": kind, "channel": channel, "consent": consent}


def _is_of_sms(subscription: dict[str, Any]) -> bool:
    """Return True for a subscription to text messages alone."""
    return subscription.get("content_types") == ["sms_message"]


def _stat(item: Fields) -> str:
    """Return what happened to something that was sent; empty for another notification."""
    found = (part.peek("stat_type") for _, part in item.parts("content_stat"))
    return next(found, None) or ""


def _is_outbound(topic: str, item: Fields) -> bool:
    return topic in OUTBOUND or _stat(item) in SENT


def _message(item: dict[str, Any]) -> dict[str, Any]:
    """Return the latest message: the part of a ticket or conversation, else the first message."""
    thing = Fields(item)
    parts = thing.inside("conversation_parts").objects("conversation_parts")
    found = thing.object("ticket_part") or (parts[-1] if parts else {})
    return found or thing.object("source") or thing.object("conversation_message")


def _described(message: dict[str, Any]) -> dict[str, Any]:
    author = Fields(message).object("author")
    text = None if _is_note(message) else message.get("body")
    described = {"text": text, "author_type": author.get("type")}
    return {name: value for name, value in described.items() if value is not None}


def _subject(message: dict[str, Any]) -> str | None:
    """Return the beginning of what was written, unless it is internal or was taken back."""
    body = message.get("body")
    if not isinstance(body, str) or _is_note(message) or message.get("redacted") is True:
        return None
    return shortened(text_of_html(body)) or None


def _is_note(message: dict[str, Any]) -> bool:
    return Fields(message).peek("part_type") in _INTERNAL


def _sentiment(item: Fields) -> float | None:
    """Return a rating from 1 (bad) to 5 as sentiment; None for one that was taken back."""
    for rating in ratings(item):
        if found := rating.id("rating"):
            if found in ("1", "2", "3", "4", "5"):
                return (int(found) - 3) / 2
            rating.wrong("rating", "must be a whole number from 1 to 5")
    return None


def _stated(topic: str, item: Fields) -> dict[str, bool]:
    """Return the decisions that a new contact comes with.

    Later changes of a contact repeat them; taken as decisions, they would undo one that the
    customer made elsewhere. No decision is where everybody starts.
    """
    if TYPES.get(topic) != "contact_created":
        return {}
    given = dict(item.values())
    stated = {}
    if given.get("unsubscribed_from_emails") is True:
        stated["marketing"] = False
    if given.get("sms_consent") is True:
        stated["sms_marketing"] = True
    if given.get("unsubscribed_from_sms") is True:
        stated["sms_marketing"] = False
    return stated
