"""Calls in the address of a picture, for mails and pages where nothing else can be sent.

Sources: Segment's Pixel Tracking API (`/v1/pixel/track?data=` and a call as JSON in base64, or the
fields themselves as parameters), https://segment.com/docs/connections/sources/catalog/libraries/server/pixel-tracking-api/;
RudderStack's Pixel API (`/pixel/v1/track?writeKey=…&context.page.path=…`),
https://www.rudderstack.com/docs/api/pixel-api/.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any
from urllib.parse import parse_qsl

from ingest.connector import Request, json_bytes
from ingest.kit.fields import decode
from ingest.kit.web import base64_of
from schemas.rejection import Rejection

_MOST_PARAMETERS = 1000
#: Most names of a parameter such as `context.page.path`; deeper ones are left out.
_MOST_NAMES = 32


def is_pixel(request: Request) -> bool:
    """Return True if the call is in the address. (A replay brings it in a body.)"""
    return request.method == "GET" and not request.body


def call_of(request: Request) -> dict[str, Any] | Rejection:
    """Return the call in the query of a picture's address, or an `unreadable` rejection.

    What is kept of a refusal is the call, as a body of the same path.
    """
    try:
        pairs = parse_qsl(request.query, keep_blank_values=True, max_num_fields=_MOST_PARAMETERS)
    except ValueError:
        detail = f"the query: holds more than {_MOST_PARAMETERS} parameters"
        return Rejection("unreadable", detail, request.query.encode("utf-8", "replace"))
    # Of two parameters with one name the first counts.
    given = dict(reversed(pairs))
    data = given.pop("data", None)
    if data is None:
        return _nested(given.items())
    found = decode(data.encode() if data.lstrip().startswith("{") else base64_of(data))
    if isinstance(found, dict):
        return found
    detail = "data: must be a call as JSON in base64"
    return Rejection("unreadable", detail, data.encode("utf-8", "replace"))


def body_of(call: dict[str, Any]) -> bytes:
    """Return the body that says the same as a picture's address, without the key."""
    return json_bytes({name: value for name, value in call.items() if name != "writeKey"})


def _nested(pairs: Iterable[tuple[str, str]]) -> dict[str, Any]:
    """Return the object that `context.page.path=/a` and the like stand for."""
    found: dict[str, Any] = {}
    for path, value in pairs:
        names = path.split(".")
        if len(names) > _MOST_NAMES:
            continue
        inner: Any = found
        for name in names[:-1]:
            inner = inner.setdefault(name, {}) if isinstance(inner, dict) else None
        if isinstance(inner, dict):
            inner.setdefault(names[-1], value)
    quoted = found.get("anonymousId")
    if isinstance(quoted, str) and len(quoted) > 2 and quoted[0] == quoted[-1] == '"':
        found["anonymousId"] = quoted[1:-1]
    return found
