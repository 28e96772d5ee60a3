"""Own systems: touchpoints as they are, or in CloudEvents.

Source: the touchpoint's JSON Schema, and CloudEvents 1.0 with its HTTP binding and JSON format
(https://github.com/cloudevents/spec): `data` is the touchpoint, `id` and `time` stand in for
event_id and occurred_at. See docs/channels/touchpoint.md.
"""

from __future__ import annotations

import base64
from collections.abc import Iterator
from typing import Any, ClassVar
from urllib.parse import unquote

from ingest.connector import Context, Options, Request, Result, secrets
from ingest.kit.fields import (
    Convert,
    Fields,
    Payload,
    decode,
    each,
    finish,
    guarded,
)
from ingest.kit.keyed import Answers, KeyedWebhook, Route, Unauthorized
from ingest.kit.signing import RequiredSecrets, bearer_token
from ingest.loose_json import damage
from schemas.rejection import Rejection

STRUCTURED = "application/cloudevents"
BATCH = "application/cloudevents-batch"


class TouchpointOptions(Options):
    """`token`: the Bearer token that the sender shows."""

    token: RequiredSecrets


class TouchpointConnector(KeyedWebhook):
    """Touchpoints from own systems."""

    name: ClassVar[str] = "touchpoint"
    doc: ClassVar[str] = "Own systems: touchpoints in JSON, or CloudEvents"
    options: ClassVar[type[Options]] = TouchpointOptions
    reads: ClassVar[tuple[str, ...]] = ("content-type", "ce-")

    routes: ClassVar[tuple[Route, ...]] = (Route("/v1/events"),)
    unauthorized: ClassVar[Unauthorized] = Unauthorized(
        "Authorization: must be Bearer with the token of a source", challenge="Bearer"
    )
    answers: ClassVar[Answers] = Answers(itemized=True, tolerant=False)

    def __init__(self, options: TouchpointOptions) -> None:
        super().__init__(secrets(options.token))

    @classmethod
    def head_key(cls, request: Request) -> bytes | None:
        """Return the Bearer token."""
        return bearer_token(request).encode("utf-8", "backslashreplace") or None

    def parse(self, request: Request, context: Context) -> Iterator[Result]:
        """Yield one touchpoint or a list; CloudEvents in binary, structured or batched mode."""
        kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
        body = request.json
        if isinstance(body, Rejection):
            yield body
        elif kind.startswith(BATCH):
            yield from _list(body, request, context, _cloud_event)
        elif kind.startswith(STRUCTURED):
            yield _one(body, request, _cloud_event)
        elif "ce-specversion" in request.headers:
            attributes = {
                name.removeprefix("ce-"): unquote(value)
                for name, value in request.headers.items()
                if name.startswith("ce-")
            }
            yield _one({**attributes, "data": body}, request, _cloud_event)
        elif isinstance(body, list):
            yield from _list(body, request, context, _touch)
        else:
            yield _one(body, request, _touch)

    def around(self, request: Request) -> tuple[bytes, bytes]:
        """Return the list around an event."""
        return b"[", b"]"


def _list(body: object, request: Request, context: Context, convert: Convert) -> Iterator[Result]:
    if isinstance(body, list):
        yield from each(body, request.body, context, convert)
    else:
        yield Rejection("unreadable", "the body: must be a JSON array of events", request.body)


def _one(body: object, request: Request, convert: Convert) -> Result:
    if isinstance(body, dict):
        return guarded(convert, body, lambda: request.body)
    return Rejection(
        "unreadable", "the body: must be a JSON object or a list of them", request.body
    )


def _touch(event: dict[str, Any], payload: Payload) -> Result:
    problems = []
    if event.get("event_id") in (None, ""):
        problems.append(
            "event_id: is missing; give each event an id of your own that stays the same when you "
            "send it again"
        )
    return finish(event, problems, payload)


def _cloud_event(event: dict[str, Any], payload: Payload) -> Result:
    read = Fields(event)
    if read.text("specversion") != "1.0":
        read.wrong("specversion", 'must be "1.0"')
    for name in ("id", "source", "type"):
        if read.text(name) is None:
            read.wrong(name, "must be text, as CloudEvents requires")
    data = _data(event, read)
    fields = dict(data)
    if fields.get("event_id") in (None, "") and not read.problems:
        # A source is a URI reference, so the first space ends it: two pairs never give one id.
        if any(character.isspace() for character in event["source"]):
            read.wrong("source", "must be a URI reference, without spaces")
        fields["event_id"] = f"{event['source']} {event['id']}"
    if fields.get("occurred_at") is None:
        fields["occurred_at"] = read.text("time")
    return finish(fields, read.problems, payload, {"occurred_at": "time or data.occurred_at"})


def _data(event: dict[str, Any], read: Fields) -> dict[str, Any]:
    data = event.get("data")
    encoded = event.get("data_base64")
    if data is None and isinstance(encoded, str):
        try:
            data = decode(base64.b64decode(encoded, validate=True))
        except ValueError:
            data = None
    unusable = damage(data, "data")
    if unusable is not None:
        read.problems.append(f"data.{unusable}")
        return {}
    if isinstance(data, dict):
        return data
    read.wrong("data", "must be a touchpoint, a JSON object")
    return {}
