"""One call of Segment's protocol, converted. See docs/channels/segment.md for the whole map."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any, NamedTuple

from ingest.connector import Result
from ingest.kit.fields import (
    Fields,
    Payload,
    finish,
    id_text,
    identifiers,
    snake_case,
    timed_id,
)
from ingest.kit.web import COMMERCE, value_of
from schemas.rejection import Rejection

TYPES = {
    "identify": "identified",
    "page": "page_viewed",
    "screen": "screen_viewed",
    "group": "group_joined",
    "alias": "aliased",
    "merge": "aliased",
}
#: Type of a merge's identifier, in snake_case -> kind; any other is a kind of its own.
_MERGED = {
    "email": "email", "mail": "email", "email_address": "email",
    "phone": "phone", "mobile": "phone", "phone_number": "phone", "mobile_number": "phone",
    "user_id": "customer_id", "device": "device_id",
}  # fmt: skip
#: How an unset time is written in Go and in .NET.
_UNSET = "0001-01-01T00:00:00"
#: Fields that differ when an SDK sends the same event again.
_PER_DELIVERY = frozenset({"sentAt", "receivedAt", "writeKey"})
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


class Delivery(NamedTuple):
    """The facts about a call that its request states, and not the call itself."""

    received_ms: int
    #: The call that the path names.
    call: str | None = None
    #: Both of the batch.
    sent_at: datetime | None = None
    context: Mapping[str, Any] = {}


def touch_of(delivery: Delivery, event: dict[str, Any], payload: Payload) -> Result:
    """Return the touchpoint of one call, named by the path, else by its `type`."""
    call = delivery.call or _stated(event)
    if call is None:
        known = ", ".join(("track", *TYPES))
        return Rejection("invalid", f"type: must be one of {known}", payload())
    read = Fields(event)
    # Fields that only describe: what is wrong with one of them costs no event.
    spare = Fields(event)
    context = spare.aside("context")
    if delivery.context:
        context = Fields({**delivery.context, **dict(context.values())})
    given = read.object("properties")
    # A group's traits are those of the company, not of the customer.
    of_group = read.object("traits") if call == "group" else None
    if call == "group":
        read.id("groupId")  # what the call is about must be right
    traits = context.object("traits")
    if of_group is None and (own := read.object("traits")):
        traits = {**traits, **own}
    stated = _time(read, "timestamp") or _time(read, "originalTimestamp")
    fields: dict[str, Any] = {
        "event_id": read.id("messageId") or _id(call, event, stated, delivery),
        "channel": "web",
        "type": TYPES.get(call),
        "identifiers": _identifiers(call, read, context, traits),
        "occurred_at": stated,
        "sent_at": delivery.sent_at or event.get("sentAt"),
        "traits": traits,
        "consent": _consent(context, read.problems),
        "campaign": _campaign(context),
        "properties": _properties(spare, context, given, of_group),
    }
    if call == "track":
        fields["type"] = kind = _type(read)
        fields["channel"] = "commerce" if kind in COMMERCE else "web"
        fields["value"] = value_of(given, kind in COMMERCE, read.problems, "properties.")
    _page(fields, call, spare, context, given)
    return finish(fields, read.problems, payload, _NAMES, _NOBODY)


def _time(read: Fields, name: str) -> str | None:
    """Return a field with a time; None if it is unset, as some languages write that."""
    text = read.text(name)
    return None if text is None or text.startswith(_UNSET) else text


def _id(call: str, event: dict[str, Any], stated: str | None, delivery: Delivery) -> str:
    """Return the id of a call without `messageId`."""
    return timed_id({**event, "type": call}, stated, delivery.received_ms, _PER_DELIVERY)


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
        *(_merged(read) if call == "merge" else ()),
        ("email", email if isinstance(email, str) else None),
        ("phone", id_text(phone)),
        ("device_id", context.inside("device").id("id") if "device" in context else None),
        ("anonymous_id", read.id("anonymousId")),
        ("anonymous_id", read.id("previousId") if call == "alias" else None),
    )


def _merged(read: Fields) -> list[tuple[str, str | None]]:
    """Return the identifiers of a merge: RudderStack's, each an object with type and value."""
    found: list[tuple[str, str | None]] = []
    for i, one in enumerate(read.items("mergeProperties")):
        inner = Fields(one if isinstance(one, dict) else {}, f"mergeProperties.{i}.", read.problems)
        name, value = inner.text("type"), inner.id("value")
        kind = snake_case(name or "")
        if not kind or value is None:
            inner.wrong("type" if not kind else "value", "must be there: an identifier has both")
        found.append((_MERGED.get(kind, kind), value))
    if not found:
        read.wrong("mergeProperties", "must be a list of identifiers, each with type and value")
    return found


def _consent(context: Fields, problems: list[str]) -> dict[str, Any] | None:
    """Return the decisions; one that cannot be understood is a problem, and no spare detail."""
    if "consent" not in context:
        return None
    consent = Fields(context.object("consent"), "context.consent.", problems)
    return consent.object("categoryPreferences")


def _campaign(context: Fields) -> dict[str, str] | None:
    if "campaign" not in context:
        return None
    campaign = context.inside("campaign")
    found = {name: value for name in _CAMPAIGN if (value := campaign.label(name))}
    return found or None


def _properties(
    spare: Fields, context: Fields, given: dict[str, Any], of_group: dict[str, Any] | None
) -> dict[str, Any]:
    """Return the event's properties, with what else is worth keeping; its own names win."""
    kept = {
        "name": spare.label("name"),
        "category": spare.label("category"),
        "groupId": spare.id("groupId"),
        "traits": of_group or None,
        "ip": context.peek("ip"),
        "userAgent": context.peek("userAgent"),
        "library": context.inside("library").peek("name"),
    }
    extra = {name: value for name, value in kept.items() if value is not None}
    return {**extra, **given}


def _page(
    fields: dict[str, Any], call: str, spare: Fields, context: Fields, given: Mapping[str, Any]
) -> None:
    """Add the address of the page, and its title as the subject."""
    page = context.inside("page")
    url, title = given.get("url"), given.get("title")
    fields["url"] = url if isinstance(url, str) and url else page.text("url")
    if isinstance(title, str) and title:
        fields["subject"] = title
    elif call == "page":
        fields["subject"] = spare.label("name") or page.text("title")
    elif call == "screen":
        fields["subject"] = spare.label("name")
