"""Snowplow's tracker protocol: what its trackers send from sites, apps and servers.

Source: https://docs.snowplow.io/docs/fundamentals/canonical-event/ (the parameters),
https://docs.snowplow.io/docs/events/http-requests/ (requests: POST with `payload_data`, or the
parameters in the query of the pixel `/i`). Self-describing events are read in
`snowplow_events`. See docs/channels/snowplow.md.

The protocol has no signature and no secret. A source is found by the app id of the events, which
every visitor of a site can read; one with a `collector_key` only by that key in the address.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import partial
from typing import Annotated, Any, ClassVar
from urllib.parse import parse_qsl

import msgspec
from pydantic import BeforeValidator, Field

from ingest.connector import Context, Options, Reply, Request, Result, secrets
from ingest.connectors.snowplow.events import Told, told_by
from ingest.kit.fields import (
    Fields,
    Payload,
    each,
    finish,
    identifiers,
    listed_events,
    snake_case,
    timed_id,
)
from ingest.kit.keyed import Answers, Cors, KeyedWebhook, Route, Unauthorized
from ingest.kit.signing import RequiredSecrets
from ingest.kit.web import (
    GIF,
    TYPE_LENGTH,
    UNCACHED,
    campaign_of,
    channel_of,
    is_amount,
    own_type,
)
from schemas.rejection import Rejection

POST_PATH = "/com.snowplowanalytics.snowplow/tp2"
PIXEL_PATH = "/i"
#: Path before both in the address of a source with a collector key.
KEY_PATH = "/snowplow/"
_KEY = r"[A-Za-z0-9_-]+"
_KEYED = re.compile(f"{KEY_PATH}({_KEY})(?:{re.escape(POST_PATH)}|{PIXEL_PATH})$")
#: Values of `e` -> type; those of a self-describing event are in `snowplow_events`.
TYPES = {
    "pv": "page_viewed",
    "pp": "page_pinged",
    "tr": "order_completed",
    "ti": "product_purchased",
}
_MAPPED = frozenset(
    {
        "e", "eid", "uid", "duid", "tnuid", "nuid", "dtm", "stm", "ttm", "url", "page",
        "co", "cx", "ue_pr", "ue_px",
    }
)  # fmt: skip
#: Differs when a tracker sends the same event again.
_PER_DELIVERY = frozenset({"stm"})
_NAMES = {
    "event_id": "eid",
    "type": "e",
    "subject": "page",
    "value.amount": "tr_tt",
    "value.currency": "tr_cu",
}
_NOBODY = "uid: is missing; an event needs uid, duid, tnuid or an entity that names a device"
_LARGEST_QUERY = 1000


class _App(msgspec.Struct):
    aid: Any = None


class _Payload(msgspec.Struct):
    """The fields of a body that finding the source needs."""

    data: list[_App] = []


def _several(value: object) -> object:
    return (value,) if isinstance(value, str) else value


AppIds = Annotated[
    tuple[Annotated[str, Field(min_length=1)], ...],
    BeforeValidator(_several),
    Field(min_length=1),
]


#: As the trackers expect Snowplow's collector to answer; no cookie is set. Source:
#: https://docs.snowplow.io/docs/api-reference/stream-collector/
_ROUTES = tuple(
    route._replace(path=prefix + route.path)
    for prefix in ("", f"{KEY_PATH}{{key}}")
    for route in (
        Route(POST_PATH, POST_PATH, reply=Reply(200, b"ok")),
        Route(PIXEL_PATH, PIXEL_PATH, "GET", GIF, UNCACHED),
    )
)
_CORS = Cors(("GET", "POST", "OPTIONS"), ("Content-Type", "SP-Anonymous"), credentials=True)
_UNAUTHORIZED = Unauthorized(
    "the app id, or the key in the address, is missing or unknown", tells_unreadable=True
)


class SnowplowOptions(Options):
    """`app_ids`: the ids of the trackers (`appId`) whose events this source accepts.

    `collector_key`: letters and digits that you choose. The trackers' collector address then ends
    in `/snowplow/` and this key, and without it nothing is accepted.
    """

    app_ids: AppIds
    collector_key: RequiredSecrets | None = None


class Snowplow(KeyedWebhook):
    """Trackers of Snowplow."""

    name: ClassVar[str] = "snowplow"
    doc: ClassVar[str] = "Web sites, apps and servers: the protocol of Snowplow's trackers"
    options: ClassVar[type[Options]] = SnowplowOptions
    reads: ClassVar[tuple[str, ...]] = ()

    routes: ClassVar[tuple[Route, ...]] = _ROUTES
    cors: ClassVar[Cors | None] = _CORS
    unauthorized: ClassVar[Unauthorized] = _UNAUTHORIZED
    #: Trackers send again what is answered 413.
    answers: ClassVar[Answers] = Answers(too_large=400)
    key_in_body: ClassVar[bool] = True

    def __init__(self, options: SnowplowOptions) -> None:
        self._app_ids = frozenset(options.app_ids)
        super().__init__(_keys(options))

    @classmethod
    def head_key(cls, request: Request) -> bytes | None:
        """Return the collector key in the address."""
        keyed = _KEYED.search(request.url.partition("?")[0])
        return None if keyed is None else b"key " + keyed[1].encode()

    @classmethod
    def body_key(cls, request: Request) -> bytes | None:
        """Return the app id of the first event."""
        if _is_pixel(request):
            app_id: object = _parameters(request.query).get("aid")
        else:
            app_id = _first_app_id(request)
        return b"aid " + app_id.encode("utf-8", "replace") if isinstance(app_id, str) else None

    def parse(self, request: Request, context: Context) -> Iterator[Result]:
        """Yield the events of a `payload_data`, or the one in the pixel's query."""
        convert = partial(self._event, context.received_ms)
        if _is_pixel(request):
            yield from each([_parameters(request.query)], b"{}", context, convert)
            return
        yield from listed_events(request, "data", context, convert, "invalid")

    def around(self, request: Request) -> tuple[bytes, bytes]:
        """Return a payload_data around an event, which can hold one event of a pixel too."""
        return b'{"data":[', b"]}"

    def _event(self, received_ms: int, event: dict[str, Any], payload: Payload) -> Result:
        read = Fields(event)
        if (read.id("aid") or "") not in self._app_ids:
            read.wrong("aid", "must be an app id of this source")
        told = told_by(read)
        kind, url = _type(read, told), told.url or read.text("url")
        true_time = read.moment_of_digits("ttm", 1)
        stated = true_time or read.moment_of_digits("dtm", 1)
        fields = {
            "event_id": read.id("eid") or timed_id(event, stated, received_ms, _PER_DELIVERY),
            "channel": channel_of(kind),
            "type": kind,
            "direction": "outbound" if kind == "order_refunded" else "inbound",
            "identifiers": identifiers(
                ("customer_id", read.id("uid")),
                *told.identifiers,
                *[("anonymous_id", read.id(name)) for name in ("duid", "tnuid", "nuid")],
            ),
            # The sender states the true time, whatever the clock of the device says.
            "occurred_at": stated,
            # It only corrects the clock: one that is wrong costs no event.
            "sent_at": None if true_time else Fields(event).moment_of_digits("stm", 1),
            "traits": told.traits,
            "consent": told.consent,
            "campaign": campaign_of(read.peek("url")),
            "value": told.value or _value(kind, read),
            "outcome": told.outcome,
            "subject": told.subject or read.id("page"),
            "url": url,
            "properties": {
                **{name: value for name, value in event.items() if name not in _MAPPED},
                **told.properties,
            },
        }
        return finish(fields, read.problems, payload, _NAMES, _NOBODY)


def _keys(options: SnowplowOptions) -> tuple[bytes, ...]:
    """The keys that find the source: its collector keys, else its app ids."""
    if options.collector_key is None:
        return tuple(b"aid " + app_id.encode() for app_id in options.app_ids)
    keys = secrets(options.collector_key)
    if not all(re.fullmatch(_KEY, key.decode()) for key in keys):
        raise ValueError("collector_key: must be of letters, digits, - and _")
    return tuple(b"key " + key for key in keys)


def _is_pixel(request: Request) -> bool:
    """Return True if the event is in the query. (A replay brings it in a body.)"""
    return not request.body and "=" in request.query


def _parameters(query: str) -> dict[str, str]:
    """Return the parameters of a query; of two with one name the first."""
    try:
        pairs = parse_qsl(query, max_num_fields=_LARGEST_QUERY)
    except ValueError:
        return {}
    return dict(reversed(pairs))


def _first_app_id(request: Request) -> object:
    body = request.json
    if isinstance(body, Rejection):
        return _readable_app_id(request.body)
    data = body.get("data") if isinstance(body, dict) else None
    events = data if isinstance(data, list) else []
    return next((event.get("aid") for event in events if isinstance(event, dict)), None)


def _readable_app_id(body: bytes) -> object:
    """Return the first app id of a body that is unreadable as a whole, for instance not in UTF-8.

    The refusal of such a body is stored for the source that it belongs to.
    """
    try:
        found = msgspec.json.decode(body, type=_Payload).data
    except (ValueError, RecursionError):
        return None
    return found[0].aid if found else None


def _type(read: Fields, told: Told) -> str:
    """Return the type; for a structured event its action, or category and action."""
    event = read.id("e") or ""
    if event == "ue":
        return told.kind
    if event == "se":
        category, action = read.id("se_ca") or "", read.id("se_ac") or ""
        if not snake_case(action):
            read.wrong("se_ac", "must be text with at least one letter or digit")
        own = own_type("snowplow", action)
        return own if own == snake_case(action) else own_type("snowplow", f"{category} {action}")
    if not snake_case(event):
        read.wrong("e", "must be text, such as pv")
    return TYPES.get(event) or f"snowplow_{snake_case(event)}"[:TYPE_LENGTH]


def _value(kind: str, read: Fields) -> dict[str, Any] | None:
    """Return the total of a transaction, or the value of a structured event that is about money."""
    name = "tr_tt" if read.peek("e") == "tr" else "se_va" if channel_of(kind) == "commerce" else ""
    if name not in read:
        return None
    amount = read.id(name)
    if not is_amount(amount):
        read.wrong(name, "must be a number below 1e12")
        return None
    return {"amount": amount, "currency": read.text("tr_cu")}
