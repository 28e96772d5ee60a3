"""The side of Snowplow's trackers: events in a POST, with JSON in parameters of theirs.

After https://docs.snowplow.io/docs/events/http-requests/
"""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, ClassVar

from ingest.connector import Request
from ingest.connectors.snowplow.connector import POST_PATH, Snowplow, SnowplowOptions
from ingest.testing.suite import ConnectorSuite
from ingest.testing.values import URL, load, with_field

#: Parameters with JSON in them, and whether it is encoded.
EMBEDDED = {"ue_px": True, "cx": True, "ue_pr": False, "co": False}


def embedded(value: Any, encoded: bool) -> Any:
    """Return an object as trackers put it into a parameter; anything else stays as it is."""
    if not isinstance(value, dict | list):
        return value
    text = json.dumps(value, ensure_ascii=False)
    if not encoded:
        return text
    return base64.urlsafe_b64encode(text.encode("utf-8", "replace")).decode().rstrip("=")


def written(event: Any) -> Any:
    """Return an event as it is sent, from one that shows its embedded JSON as it is."""
    if not isinstance(event, dict):
        return event
    return {k: embedded(v, EMBEDDED[k]) if k in EMBEDDED else v for k, v in event.items()}


def opened(payload: Any) -> Any:
    """Return a payload that shows the JSON embedded in its events, to be changed there too."""

    def shown(name: str, text: Any) -> Any:
        if name not in EMBEDDED or not text:
            return text
        return json.loads(base64.urlsafe_b64decode(text) if EMBEDDED[name] else text)

    events = [{k: shown(k, v) for k, v in event.items()} for event in payload["data"]]
    return {**payload, "data": events}


def request(body: bytes, *, path: str = POST_PATH, url: str = "", query: str = "") -> Request:
    """Return the request of a tracker; without a body that of the pixel."""
    address = URL + (url or path) + (f"?{query}" if query else "")
    return Request("POST" if body else "GET", path, query, address, {}, body)


class SnowplowContract(ConnectorSuite):
    """Events of sites, apps and servers, at a source with a collector key."""

    name = "snowplow"
    payloads: ClassVar[dict[str, Any]] = {
        name: opened(value) for name, value in load(Path(__file__).parent / "payloads").items()
    }
    signs_body = False
    optional = ("data.*.stm", "data.*.refr", "data.*.tv", "data.*.res", "data.*.vid")
    redelivery = ("data.*.stm",)

    def make(self, *secrets: str) -> Snowplow:
        options = {"app_ids": ["shop"], "collector_key": secrets}
        return Snowplow(SnowplowOptions.model_validate(options))

    def signed(self, body: bytes, secret: str, name: str = "") -> Request:
        return request(body, url=f"/snowplow/{secret}{POST_PATH}")

    def unsigned(self, request: Request) -> Iterator[Request]:
        for path in (POST_PATH, f"/snowplow/{POST_PATH}", f"/snowplow{POST_PATH}", "/hooks/web"):
            yield request._replace(url=URL + path)
        yield request._replace(url=request.url.replace("5Xw", "5Xw/x"))

    def encode(self, value: Any) -> bytes:
        if isinstance(value, dict) and isinstance(value.get("data"), list):
            value = {**value, "data": [written(event) for event in value["data"]]}
        return super().encode(value)

    def with_extra(self, value: Any) -> Any:
        return {**super().with_extra(value), "data": with_field(value["data"])}
