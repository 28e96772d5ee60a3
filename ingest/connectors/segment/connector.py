"""Segment's protocol: what its SDKs, RudderStack's and many others send from sites and apps.

Source: Segment's specification (https://segment.com/docs/connections/spec/) and its HTTP API. One
call a request, or a `batch`. See docs/channels/segment.md for the whole map.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import partial
from typing import Any, ClassVar

import msgspec

from ingest.connector import (
    Context,
    Options,
    Request,
    Result,
    json_bytes,
    secrets,
)
from ingest.connectors.segment import paths
from ingest.kit.fields import (
    Fields,
    Payload,
    derived_id,
    each,
    finish,
    guarded,
    id_text,
    identifiers,
    json_object,
    snake_case,
)
from ingest.kit.keyed import Answers, Cors, Document, KeyedWebhook, Route, Unauthorized
from ingest.kit.signing import RequiredSecrets, basic_credentials, query_value
from ingest.kit.web import COMMERCE, value_of
from schemas.rejection import Rejection

#: Last part of the path -> call; the letters are those of the browser SDK.
CALLS = {
    "track": "track", "identify": "identify", "page": "page", "screen": "screen",
    "group": "group", "alias": "alias",
    "t": "track", "i": "identify", "p": "page", "s": "screen", "g": "group", "a": "alias",
}  # fmt: skip
BATCHES = frozenset({"batch", "b", "import"})
TYPES = {
    "identify": "identified",
    "page": "page_viewed",
    "screen": "screen_viewed",
    "group": "group_joined",
    "alias": "aliased",
}
#: Fields that differ when an SDK sends the same event again.
_PER_DELIVERY = frozenset({"sentAt", "receivedAt", "writeKey"})
#: Fields of a batch that apply to all of its events.
_SHARED = ("sentAt", "context")
_NAMES = {
    "event_id": "messageId",
    "occurred_at": "timestamp",
    "sent_at": "sentAt",
    "type": "event",
    "value.amount": "properties.revenue",
    "value.currency": "properties.currency",
    "subject": "properties.title",
    "url": "properties.url",
}
_NOBODY = "userId: is missing; a call needs userId or anonymousId"
_CAMPAIGN = ("name", "source", "medium", "term", "content")


class _Keyed(msgspec.Struct):
    """The fields of a body that finding the source needs."""

    writeKey: Any = None


class SegmentOptions(Options):
    """`write_key`: the key that the SDKs are given."""

    write_key: RequiredSecrets


class Segment(KeyedWebhook):
    """Web sites, apps and servers that speak Segment's protocol."""

    name: ClassVar[str] = "segment"
    doc: ClassVar[str] = (
        "Web sites, apps and servers: the protocol of Segment's and RudderStack's SDKs"
    )
    options: ClassVar[type[Options]] = SegmentOptions

    routes: ClassVar[tuple[Route, ...]] = paths.ROUTES
    documents: ClassVar[tuple[Document, ...]] = paths.DOCUMENTS
    cors: ClassVar[Cors | None] = paths.CORS
    unauthorized: ClassVar[Unauthorized] = paths.UNAUTHORIZED
    answers: ClassVar[Answers] = paths.ANSWERS
    key_in_body: ClassVar[bool] = True

    def __init__(self, options: SegmentOptions) -> None:
        super().__init__(secrets(options.write_key))

    @classmethod
    def head_key(cls, request: Request) -> bytes | None:
        """Return the write key: Basic auth's user, else `writeKey` in the query."""
        return basic_credentials(request).partition(b":")[0] or _query_key(request.query)

    @classmethod
    def body_key(cls, request: Request) -> bytes | None:
        """Return the write key that is `writeKey` in the body."""
        body = request.json
        if isinstance(body, Rejection):
            shown = _readable_key(request.body)
        else:
            shown = body.get("writeKey") if isinstance(body, dict) else None
        return shown.encode() if isinstance(shown, str) and shown else None

    def parse(self, request: Request, context: Context) -> Iterator[Result]:
        """Yield the calls of the request, named by the path, or by the body's `batch` or `type`."""
        body = json_object(request)
        if isinstance(body, Rejection):
            yield body
            return
        last = request.path.rstrip("/").rpartition("/")[2]
        call = CALLS.get(last)
        if call is None and (last in BATCHES or "batch" in body):
            yield from _batch(body, request.body, context)
            return
        yield guarded(partial(_event, call, None, {}), body, lambda: request.body)

    def around(self, request: Request) -> tuple[bytes, bytes]:
        """Return a batch around an event, with what its events share."""
        body = request.json
        given = body if isinstance(body, dict) else {}
        shared = json_bytes({name: given[name] for name in _SHARED if name in given})
        return shared[:-1] + (b"," if len(shared) > 2 else b"") + b'"batch":[', b"]}"


def _batch(body: dict[str, Any], raw: bytes, context: Context) -> Iterator[Result]:
    envelope = Fields(body)
    sent_at = envelope.text("sentAt")
    shared = envelope.object("context")
    events = body.get("batch")
    if not isinstance(events, list):
        envelope.problems.insert(0, "batch: must be a list of events")
    if envelope.problems or not isinstance(events, list):
        yield Rejection("invalid", envelope.problems[0], raw)
        return
    yield from each(events, raw, context, partial(_event, None, sent_at, shared))


def _event(
    call: str | None,
    sent_at: str | None,
    shared: Mapping[str, Any],
    event: dict[str, Any],
    payload: Payload,
) -> Result:
    """Convert one call. `call` is from the path, else its `type`; the other two from the batch."""
    call = call or _stated(event)
    if call is None:
        known = ", ".join(("track", *TYPES))
        return Rejection("invalid", f"type: must be one of {known}", payload())
    read = Fields(event)
    about = read.object("context")
    context = Fields({**shared, **about} if shared else about, "context.", read.problems)
    given = read.object("properties")
    # A group's traits are those of the company, not of the customer.
    of_group = read.object("traits") if call == "group" else None
    traits = context.object("traits")
    if of_group is None and (own := read.object("traits")):
        traits = {**traits, **own}
    fields: dict[str, Any] = {
        "event_id": read.id("messageId") or derived_id({**event, "type": call}, _PER_DELIVERY),
        "channel": "web",
        "type": TYPES.get(call),
        "identifiers": _identifiers(call, read, context, traits),
        "occurred_at": read.text("timestamp") or read.text("originalTimestamp"),
        "sent_at": sent_at or read.text("sentAt"),
        "traits": traits,
        "consent": _consent(context),
        "campaign": _campaign(context),
        "properties": _properties(read, context, given, of_group),
    }
    if call == "track":
        fields["type"] = kind = _type(read)
        fields["channel"] = "commerce" if kind in COMMERCE else "web"
        fields["value"] = value_of(given, kind in COMMERCE, read.problems, "properties.")
    _page(fields, call, read, context, given)
    return finish(fields, read.problems, payload, _NAMES, _NOBODY)


def _stated(event: Mapping[str, Any]) -> str | None:
    call = event.get("type")
    return call if isinstance(call, str) and (call == "track" or call in TYPES) else None


def _type(read: Fields) -> str | None:
    name = read.text("event")
    kind = snake_case(name) if name else ""
    if not kind:
        read.wrong("event", "must be text with at least one letter or digit")
    return kind


def _identifiers(
    call: str, read: Fields, context: Fields, traits: Mapping[str, Any]
) -> list[dict[str, str]]:
    email, phone = traits.get("email"), traits.get("phone")
    return identifiers(
        ("customer_id", read.id("userId")),
        ("email", email if isinstance(email, str) else None),
        ("phone", id_text(phone)),
        ("device_id", context.inside("device").id("id") if "device" in context else None),
        ("anonymous_id", read.id("anonymousId")),
        ("anonymous_id", read.id("previousId") if call == "alias" else None),
    )


def _consent(context: Fields) -> dict[str, Any] | None:
    if "consent" not in context:
        return None
    return context.inside("consent").object("categoryPreferences")


def _campaign(context: Fields) -> dict[str, str] | None:
    if "campaign" not in context:
        return None
    campaign = context.inside("campaign")
    found = {name: value for name in _CAMPAIGN if (value := campaign.label(name))}
    return found or None


def _properties(
    read: Fields, context: Fields, given: dict[str, Any], of_group: dict[str, Any] | None
) -> dict[str, Any]:
    """Return the event's properties, with what else is worth keeping; its own names win."""
    kept = {
        "name": read.label("name"),
        "category": read.label("category"),
        "groupId": read.id("groupId"),
        "traits": of_group or None,
        "ip": context.peek("ip"),
        "userAgent": context.peek("userAgent"),
        "library": context.inside("library").peek("name"),
    }
    extra = {name: value for name, value in kept.items() if value is not None}
    return {**extra, **given}


def _page(
    fields: dict[str, Any], call: str, read: Fields, context: Fields, given: Mapping[str, Any]
) -> None:
    """Add the address of the page, and its title as the subject."""
    page = context.inside("page")
    url, title = given.get("url"), given.get("title")
    fields["url"] = url if isinstance(url, str) else page.text("url")
    if isinstance(title, str) and title:
        fields["subject"] = title
    elif call == "page":
        fields["subject"] = read.label("name") or page.text("title")
    elif call == "screen":
        fields["subject"] = read.label("name")


def _query_key(query: str) -> bytes | None:
    shown = query_value(query, "writeKey") if "writeKey=" in query else None
    return None if shown is None else shown.encode("utf-8", "replace")


def _readable_key(body: bytes) -> object:
    """Return the write key of a body that is unreadable as a whole, for instance not in UTF-8.

    The refusal of such a body is stored for the source that it belongs to.
    """
    try:
        return msgspec.json.decode(body, type=_Keyed).writeKey
    except (ValueError, RecursionError):
        return None
