"""Zendesk's side: an HMAC of timestamp and body by the webhook's signing secret.

After https://developer.zendesk.com/documentation/webhooks/verifying/ ; there is no library of
theirs that signs, so this HMAC is not the one of the connector.
"""

from __future__ import annotations

import base64
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.hmac import HMAC

from ingest.connector import Request
from ingest.connectors.zendesk.connector import SIGNATURE, TIMESTAMP, Zendesk, ZendeskOptions
from ingest.testing.suite import ConnectorSuite
from ingest.testing.values import load, posted

NOW = "2026-11-20T08:00:00Z"


def signed(body: bytes, secret: str = "s", timestamp: str = NOW) -> Request:
    """Return the request that Zendesk makes."""
    mac = HMAC(secret.encode(), SHA256())
    mac.update(timestamp.encode() + body)
    signature = base64.b64encode(mac.finalize()).decode()
    return posted(body, {SIGNATURE: signature, TIMESTAMP: timestamp})


class ZendeskContract(ConnectorSuite):
    """Events of tickets, comments and users."""

    name = "zendesk"
    payloads = load(Path(__file__).parent / "payloads")
    signs_time = True
    #: The agent who answers.
    own = (("zendesk", "8447388090495"),)

    def make(self, *secrets: str) -> Zendesk:
        return Zendesk(ZendeskOptions.model_validate({"signing_secret": secrets}))

    def signed(self, body: bytes, secret: str, name: str = "") -> Request:
        return signed(body, secret)

    def with_extra(self, value: Any) -> Any:
        more = super().with_extra
        parts = {part: more(value[part]) for part in ("detail", "event")}
        return {**value, **parts, "aFieldOfTomorrow": 1}
