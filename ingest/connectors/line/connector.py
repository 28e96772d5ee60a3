"""LINE's Messaging API: what customers do in the chat with the company's official account.

Source: https://developers.line.biz/en/reference/messaging-api/#webhooks (signature: HMAC-SHA256
with the channel secret over the raw body, base64 in `x-line-signature`). See docs/channels/line.md.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import Any, ClassVar

from ingest.connector import (
    Context,
    Options,
    Request,
    Result,
    WebhookConnector,
    json_bytes,
    secrets,
)
from ingest.kit.fields import (
    Fields,
    Payload,
    derived_id,
    each,
    finish,
    identifiers,
    snake_case,
    subject,
    without_own,
)
from ingest.kit.signing import BASE64, RequiredSecrets, is_hmac_of
from schemas.rejection import Rejection

SIGNATURE = "x-line-signature"
TYPES = {
    "message": "message_received",
    "follow": "account_followed",
    "unfollow": "account_unfollowed",
    "postback": "postback_received",
}
#: Event whose users stand in a list of its own -> the object with the list `members`.
MEMBERS = {"memberJoined": "joined", "memberLeft": "left"}
#: Event that is several -> the object whose field tells which, and that field.
_DETAILS = {
    "membership": ("membership", "type"),
    "module": ("module", "type"),
    "accountLink": ("link", "result"),
    "beacon": ("beacon", "type"),
}
#: Details that are the plain event, and add nothing to its type.
_PLAIN = frozenset({"ok", "enter", "stay", "banner"})
#: The company's event: LINE delivered a notification message. All others are the customer's.
_OUTBOUND = frozenset({"delivery"})
#: Fields with fields of their own, or only for an answer to LINE; all others are properties.
_MAPPED = frozenset(
    {"type", "webhookEventId", "timestamp", "source", "replyToken", "deliveryContext", "message"}
)
_PER_DELIVERY = frozenset({"deliveryContext", "replyToken"})
#: Fields of a message that only serve an answer to LINE.
_TOKENS = frozenset({"quoteToken", "markAsReadToken"})
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
        body = request.json
        if isinstance(body, Rejection):
            yield body
            return
        events = body.get("events") if isinstance(body, dict) else None
        if not isinstance(body, dict) or not isinstance(events, list):
            yield Rejection("unreadable", "events: must be a list of events", request.body)
            return
        bot = body.get("destination")
        convert = partial(_event, bot if isinstance(bot, str) else "")
        single = [part for event in events for part in _parts(event)]
        yield from each(single, request.body, context, convert)

    def around(self, request: Request) -> tuple[bytes, bytes]:
        """Return the list around an event, with the bot's id, which is no customer's."""
        body = request.json
        bot = body.get("destination") if isinstance(body, dict) else None
        head = b'"destination":%b,' % json_bytes(bot) if isinstance(bot, str) else b""
        return b'{%b"events":[' % head, b"]}"


def _parts(event: object) -> Iterator[object]:
    """Yield an event once for each of its members, if it has several; else as it is.

    Each gets an event id of its own: the event's with a number behind, in the order of the list.
    """
    name = MEMBERS.get(str(event.get("type"))) if isinstance(event, dict) else None
    inner = event.get(name) if isinstance(event, dict) and name else None
    members = inner.get("members") if isinstance(inner, dict) else None
    if not (name and isinstance(event, dict) and isinstance(inner, dict)) or not (
        isinstance(members, list) and len(members) > 1
    ):
        yield event
        return
    event_id = event.get("webhookEventId")
    for number, member in enumerate(members, 1):
        one = {**event, name: {**inner, "members": [member]}}
        if isinstance(event_id, str) and event_id:
            one["webhookEventId"] = f"{event_id}:{number}"
        yield one


def _event(bot: str, event: dict[str, Any], payload: Payload) -> Result:
    read = Fields(event)
    name = read.text("type")
    if name is None:
        read.wrong("type", "must be text, for instance message")
    source = read.inside("source")
    message = read.inside("message")
    text = message.text("text")
    found = identifiers(("line", _user(name or "", read, source)))
    fields = {
        "event_id": read.id("webhookEventId") or derived_id(event, _PER_DELIVERY),
        "channel": "social",
        "type": TYPES.get(name or "") or _other_type(name or "", read),
        "direction": "outbound" if name in _OUTBOUND else "inbound",
        "identifiers": without_own(found, frozenset({bot})),
        "occurred_at": read.moment("timestamp", 1),
        "subject": subject(text),
        "properties": _properties(event, read, source),
    }
    return finish(fields, read.problems, payload, _NAMES, _NOBODY)


def _user(name: str, read: Fields, source: Fields) -> str | None:
    """Return the customer's id: the source's, or of who came or went the member's."""
    if name not in MEMBERS:
        return source.id("userId")
    return read.inside(MEMBERS[name]).first("members").id("userId")


def _other_type(name: str, read: Fields) -> str:
    """Return LINE's name as a type, with what tells coming from going, or done from failed."""
    part, field = _DETAILS.get(name, ("", ""))
    detail = read.aside(part).peek(field) or ""
    words = (name, "" if detail in _PLAIN else detail)
    return "_".join(("line", *filter(None, map(snake_case, words))))


def _properties(event: dict[str, Any], read: Fields, source: Fields) -> dict[str, Any]:
    message = read.object("message")
    described = {
        "message_id": message.get("id"),
        "message_type": message.get("type"),
        **{name: value for name, value in message.items() if name not in _TOKENS | {"id", "type"}},
        "group_id": source.id("groupId"),
        "room_id": source.id("roomId"),
        "is_redelivery": read.aside("deliveryContext").flag("isRedelivery"),
    }
    own = {name: value for name, value in event.items() if name not in _MAPPED}
    return {**own, **{name: value for name, value in described.items() if value is not None}}
