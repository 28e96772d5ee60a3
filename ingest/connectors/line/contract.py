"""LINE's side: an HMAC of the body by the channel secret, in base64.

After https://developers.line.biz/en/docs/messaging-api/verify-webhook-signature/
"""

from __future__ import annotations

import base64
import hashlib
import hmac
from pathlib import Path
from typing import Any

from ingest.connector import Request
from ingest.connectors.line.connector import SIGNATURE, Line, LineOptions
from ingest.testing.suite import ConnectorSuite
from ingest.testing.values import load, posted


def signed(body: bytes, secret: str = "s") -> Request:
    """Return the request that LINE makes."""
    digest = hmac.new(secret.encode(), body, hashlib.sha256).digest()
    return posted(body, {SIGNATURE: base64.b64encode(digest).decode()})


class LineContract(ConnectorSuite):
    """Events of a channel."""

    name = "line"
    payloads = load(Path(__file__).parent / "payloads")
    redelivery = ("events.*.deliveryContext.isRedelivery", "events.*.replyToken")
    own = (("line", "U00000000000000000000000000000000"),)
    #: Follow and unfollow, a message that is taken back, who joined and left.
    undone = (
        ("events[2]", "events[3]"),
        ("events[0]", "events[5]"),
        ("events[8]", "events[10]"),
    )
    #: Members of a group are numbered by their place, so they are no list of events of their own.
    events = "events"

    def make(self, *secrets: str) -> Line:
        return Line(LineOptions.model_validate({"channel_secret": secrets}))

    def signed(self, body: bytes, secret: str, name: str = "") -> Request:
        return signed(body, secret)

    def with_extra(self, value: Any) -> Any:
        return {**value, "events": super().with_extra(value["events"]), "aFieldOfTomorrow": 1}
