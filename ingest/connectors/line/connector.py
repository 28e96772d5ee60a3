"""LINE's Messaging API: what customers do in the chat with the company's official account.

Source: https://developers.line.biz/en/reference/messaging-api/#webhooks (signature: HMAC-SHA256
with the channel secret over the raw body, base64 in `x-line-signature`). See docs/channels/line.md.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, ClassVar

from ingest.connector import Context, Options, Request, Result, WebhookConnector, secrets
from ingest.kit.fields import (
    Fields,
    Payload,
    derived_id,
    finish,
    identifiers,
    listed_events,
    snake_case,
    subject,
)
from ingest.kit.signing import BASE64, RequiredSecrets, is_hmac_of

SIGNATURE = "x-line-signature"
TYPES = {
    "message": "message_received",
    "follow": "account_followed",
    "unfollow": "account_unfollowed",
    "postback": "postback_received",
}
#: The company's event: LINE delivered a notification message. All others are the customer's.
_OUTBOUND = frozenset({"delivery"})
#: Fields with fields of their own, or only for an answer to LINE; all others are properties.
_MAPPED = frozenset(
    {"type", "webhookEventId", "timestamp", "source", "replyToken", "deliveryContext", "message"}
)
_PER_DELIVERY = frozenset({"deliveryContext", "replyToken"})
_NAMES = {"event_id": "webhookEventId", "subject": "message.text"}
_NOBODY = "source.userId: is missing, so the event names no customer (that of a group may not)"


class LineOptions(Options):
    """`channel_secret`: the channel secret of the Messaging API channel."""

    channel_secret: RequiredSecrets


class Line(WebhookConnector):
    """The webhook of a LINE official account."""

    name: ClassVar[str] = "line"
    doc: ClassVar[str] = "Social: messages, follows and postbacks of a LINE official account"
    options: ClassVar[type[Options]] = LineOptions

    def __init__(self, options: LineOptions) -> None:
        self._secrets = secrets(options.channel_secret)

    def verify(self, request: Request, received_ms: int) -> bool:
        """Return True if a channel secret of ours signed the body."""
        shown = request.headers.get(SIGNATURE, "")
        return is_hmac_of(request.body, shown, self._secrets, BASE64)

    def parse(self, request: Request, context: Context) -> Iterator[Result]:
        """Yield the events of the request; none if LINE only tests the address."""
        yield from listed_events(request, "events", context, _event)

    def around(self, request: Request) -> tuple[bytes, bytes]:
        """Return the list around an event."""
        return b'{"events":[', b"]}"


def _event(event: dict[str, Any], payload: Payload) -> Result:
    read = Fields(event)
    name = read.text("type")
    if name is None:
        read.wrong("type", "must be text, for instance message")
    source = read.inside("source")
    message = read.inside("message")
    text = message.text("text")
    fields = {
        "event_id": read.id("webhookEventId") or derived_id(event, _PER_DELIVERY),
        "channel": "social",
        "type": TYPES.get(name or "") or f"line_{snake_case(name or '')}",
        "direction": "outbound" if name in _OUTBOUND else "inbound",
        "identifiers": identifiers(("line", source.id("userId"))),
        "occurred_at": read.moment("timestamp", 1),
        "subject": subject(text),
        "properties": _properties(event, read, source),
    }
    return finish(fields, read.problems, payload, _NAMES, _NOBODY)


def _properties(event: dict[str, Any], read: Fields, source: Fields) -> dict[str, Any]:
    message = read.object("message")
    described = {
        "message_id": message.get("id"),
        "message_type": message.get("type"),
        **{
            name: value
            for name, value in message.items()
            if name not in ("id", "type", "quoteToken")
        },
        "group_id": source.id("groupId"),
        "room_id": source.id("roomId"),
        "is_redelivery": read.object("deliveryContext").get("isRedelivery"),
    }
    own = {name: value for name, value in event.items() if name not in _MAPPED}
    return {**own, **{name: value for name, value in described.items() if value is not None}}
