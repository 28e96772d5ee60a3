"""JSON bodies of requests, and the conversion of the events in them.

Nothing here raises for bad data. A rejection holds the bytes of the event that it refuses, or those
of the whole body if the event is the body.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

from ingest.connector import Context, Request, Result, json_bytes
from ingest.loose_json import DamagedObject, damage
from schemas.rejection import Reason, Rejection

#: Returns the bytes to store of an event if it is refused.
Payload = Callable[[], bytes]
#: Makes a touchpoint or a rejection of one event.
Convert = Callable[[dict[str, Any], Payload], Result]

_EVENT = "the event"
_DEEP = f"{_EVENT}: is nested too deeply"


def json_object(request: Request, name: str = "the body") -> dict[str, Any] | Rejection:
    """Return the JSON object of a body, or an `unreadable` rejection that calls the body `name`."""
    decoded = request.json
    if isinstance(decoded, dict | Rejection):
        return decoded
    return Rejection("unreadable", f"{name}: must be a JSON object", request.body)


def refused_payload(part: object, body: bytes) -> bytes:
    """Return the bytes to store of one part of a body: compact JSON; the body if it is too deep."""
    try:
        return json_bytes(part)
    except RecursionError:
        return body


def single_event(request: Request, convert: Convert, name: str = "the body") -> Result:
    """Return `convert`'s result for a body that is one event; a rejection if it is no JSON object.

    If the event is refused, the whole body is stored.
    """
    event = json_object(request, name)
    return event if isinstance(event, Rejection) else guarded(convert, event, lambda: request.body)


def listed_events(
    request: Request,
    field: str,
    context: Context,
    convert: Convert,
    reason: Reason = "unreadable",
) -> Iterator[Result]:
    """Yield `convert`'s results for the list of events in a field of a body, as `each` does.

    A body without such a list is one rejection with `reason`.
    """
    decoded = request.json
    if isinstance(decoded, Rejection):
        yield decoded
        return
    events = decoded.get(field) if isinstance(decoded, dict) else None
    if isinstance(events, list):
        yield from each(events, request.body, context, convert)
    else:
        yield Rejection(reason, f"{field}: must be a list of events", request.body)


def each(parts: list[Any], body: bytes, context: Context, convert: Convert) -> Iterator[Result]:
    """Yield `convert`'s result for each part, in order; a rejection for one that is no object."""
    if len(parts) > context.max_events:
        detail = f"the batch: holds {len(parts)} events, at most {context.max_events} are taken"
        yield Rejection("too_many", detail, body)
        return
    for part in parts:
        payload = partial(refused_payload, part, body)
        if isinstance(part, dict):
            yield guarded(convert, part, payload)
        else:
            detail = damage(part, _EVENT) or f"{_EVENT}: must be an object"
            yield Rejection("invalid", detail, payload())


def guarded(convert: Convert, part: dict[str, Any], payload: Payload) -> Result:
    """Return `convert`'s result for one event.

    An event that is too deep to be walked, or holds a value that cannot be used, is a rejection.
    """
    if isinstance(part, DamagedObject):
        own_id = part.get("event_id")
        shown = own_id if isinstance(own_id, str) else None
        return Rejection("invalid", damage(part, _EVENT) or _EVENT, payload(), shown)
    try:
        return convert(part, payload)
    except RecursionError:
        return Rejection("invalid", _DEEP, payload())
