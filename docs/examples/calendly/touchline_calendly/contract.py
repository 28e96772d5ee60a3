"""Calendly's side: what it sends, and how it signs.

`touchline connectors test calendly` holds the connector against it. The bodies
are in payloads/, each as the provider documents it. Needs pytest and hypothesis.
"""

from __future__ import annotations

import hashlib
import hmac
from pathlib import Path
from typing import Any

from ingest.connector import Request
from ingest.testing.suite import ConnectorSuite
from ingest.testing.values import RECEIVED_MS, load, posted, with_field

from touchline_calendly.connector import (
    SIGNATURE,
    CalendlyOptions,
    CalendlyWebhook,
)


class CalendlyContract(ConnectorSuite):
    """The hooks of the suite: a source with some secrets, and a request signed with one."""

    name = "calendly"
    payloads = load(Path(__file__).parent / "payloads")
    signs_time = True

    def make(self, *secrets: str) -> CalendlyWebhook:
        """A connector whose source has these secrets."""
        options = CalendlyOptions.model_validate({"signing_key": secrets})
        return CalendlyWebhook(options)

    def signed(self, body: bytes, secret: str, name: str = "") -> Request:
        """The request that the provider makes of a body."""
        time = RECEIVED_MS // 1000
        text = f"{time}.".encode() + body
        digest = hmac.new(secret.encode(), text, hashlib.sha256).hexdigest()
        return posted(body, {SIGNATURE: f"t={time},v1={digest}"})

    def with_extra(self, value: Any) -> Any:
        """What a later version of Calendly may send."""
        return {**with_field(value), "payload": with_field(value["payload"])}
