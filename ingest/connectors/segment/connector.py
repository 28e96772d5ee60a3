"""Segment's protocol: what its SDKs, RudderStack's and many others send from sites and apps.

Source: Segment's specification (https://segment.com/docs/connections/spec/) and its HTTP API. One
call a request, or a `batch`. See docs/channels/segment.md for the whole map.
"""

from __future__ import annotations

from collections.abc import Iterator
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
from ingest.connectors.segment import paths, pixel
from ingest.connectors.segment.calls import Delivery, touch_of
from ingest.kit.fields import (
    Fields,
    each,
    guarded,
    json_object,
)
from ingest.kit.keyed import Answers, Cors, Document, KeyedWebhook, Route, Unauthorized
from ingest.kit.signing import RequiredSecrets, basic_credentials, query_value
from schemas.rejection import Rejection
from schemas.touchpoint import helper_time

#: Last part of the path -> call; the letters are those of the browser SDK.
CALLS = {
    "track": "track", "identify": "identify", "page": "page", "screen": "screen",
    "group": "group", "alias": "alias", "merge": "merge",
    "t": "track", "i": "identify", "p": "page", "s": "screen", "g": "group", "a": "alias",
}  # fmt: skip
BATCHES = frozenset({"batch", "b", "import"})
#: Fields of a batch that apply to all of its events.
_SHARED = ("sentAt", "context")


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
        """Return the write key that is `writeKey` in the body, or in the call of a pixel."""
        body = pixel.call_of(request) if pixel.is_pixel(request) else request.json
        if isinstance(body, Rejection):
            shown = _readable_key(request.body)
        else:
            shown = body.get("writeKey") if isinstance(body, dict) else None
        return shown.encode() if isinstance(shown, str) and shown else None

    def parse(self, request: Request, context: Context) -> Iterator[Result]:
        """Yield the calls of the request, named by the path, or by the body's `batch` or `type`."""
        of_pixel = pixel.is_pixel(request)
        body = pixel.call_of(request) if of_pixel else json_object(request)
        if isinstance(body, Rejection):
            yield body
            return
        last = request.path.rstrip("/").rpartition("/")[2]
        call = CALLS.get(last)
        if call is None and (last in BATCHES or "batch" in body):
            yield from _batch(body, request.body, context)
            return
        payload = partial(pixel.body_of, body) if of_pixel else lambda: request.body
        yield guarded(partial(touch_of, Delivery(context.received_ms, call)), body, payload)

    def around(self, request: Request) -> tuple[bytes, bytes]:
        """Return a batch around an event, with what its events share; a pixel's is a body alone."""
        if pixel.is_pixel(request):
            return b"", b""
        body = request.json
        given = body if isinstance(body, dict) else {}
        shared = json_bytes({name: given[name] for name in _SHARED if name in given})
        return shared[:-1] + (b"," if len(shared) > 2 else b"") + b'"batch":[', b"]}"


def _batch(body: dict[str, Any], raw: bytes, context: Context) -> Iterator[Result]:
    events = body.get("batch")
    if not isinstance(events, list):
        yield Rejection("invalid", "batch: must be a list of events", raw)
        return
    shared = dict(Fields(body).aside("context").values())
    delivery = Delivery(context.received_ms, None, helper_time(body.get("sentAt")), shared)
    yield from each(events, raw, context, partial(touch_of, delivery))


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
