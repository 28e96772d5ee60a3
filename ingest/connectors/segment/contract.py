"""The side of Segment's SDKs: the write key in Basic authentication.

After https://segment.com/docs/connections/sources/catalog/libraries/server/http-api/
"""

from __future__ import annotations

import base64
from pathlib import Path

from ingest.connector import Request
from ingest.connectors.segment.connector import Segment, SegmentOptions
from ingest.testing.suite import ConnectorSuite
from ingest.testing.values import load, posted


def basic(key: str) -> dict[str, str]:
    """Return the header with the write key."""
    return {"authorization": "Basic " + base64.b64encode(f"{key}:".encode()).decode()}


class SegmentContract(ConnectorSuite):
    """A payload is named by its call."""

    name = "segment"
    payloads = load(Path(__file__).parent / "payloads")
    signs_body = False
    optional = (
        "sentAt", "receivedAt", "context", "context.page", "context.page.*", "context.library.*",
        "context.campaign", "context.campaign.*", "context.device", "context.device.id",
        "context.ip", "context.userAgent", "integrations", "name", "category",
        "batch.*.sentAt", "batch.*.context", "batch.*.name",
    )  # fmt: skip
    ids = ("messageId", "batch.*.messageId")
    redelivery = ("sentAt", "receivedAt", "batch.*.sentAt")

    def make(self, *secrets: str) -> Segment:
        return Segment(SegmentOptions.model_validate({"write_key": secrets}))

    def signed(self, body: bytes, secret: str, name: str = "") -> Request:
        return posted(body, basic(secret), f"/v1/{name or 'batch'}")
