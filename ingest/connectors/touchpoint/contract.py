"""The side of one's own systems: a bearer token, and touchpoints or CloudEvents."""

from __future__ import annotations

from pathlib import Path

from ingest.connector import Request
from ingest.connectors.touchpoint.connector import TouchpointConnector, TouchpointOptions
from ingest.testing.suite import ConnectorSuite
from ingest.testing.values import load, posted

#: Payload -> its content type; JSON otherwise.
KINDS = {
    "cloudevent": "application/cloudevents+json; charset=UTF-8",
    "cloudevents_batch": "application/cloudevents-batch+json",
}


def request(body: bytes, token: str = "t", **headers: str) -> Request:
    """Return the request with a token; `content_type` and the like are headers."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return posted(body, {"authorization": f"Bearer {token}", **named}, "/v1/events")


class TouchpointContract(ConnectorSuite):
    """One touchpoint, a list, and CloudEvents."""

    name = "touchpoint"
    payloads = load(Path(__file__).parent / "payloads")
    signs_body = False

    def make(self, *secrets: str) -> TouchpointConnector:
        return TouchpointConnector(TouchpointOptions.model_validate({"token": secrets}))

    def signed(self, body: bytes, secret: str, name: str = "") -> Request:
        return request(body, secret, content_type=KINDS.get(name, "application/json"))
