"""Intercom's side: an HMAC of the body by the app's client secret, in hexadecimal.

After https://developers.intercom.com/docs/references/webhooks/webhook-models#signed-notifications
"""

from __future__ import annotations

import hashlib
import hmac
from pathlib import Path
from typing import Any

from ingest.connector import Request
from ingest.connectors.intercom.connector import SIGNATURE, Intercom, IntercomOptions
from ingest.testing.suite import ConnectorSuite
from ingest.testing.values import load, posted


def signed(body: bytes, secret: str = "s") -> Request:
    """Return the request that Intercom makes."""
    digest = hmac.new(secret.encode(), body, hashlib.sha1).hexdigest()
    return posted(body, {SIGNATURE: f"sha1={digest}"})


class IntercomContract(ConnectorSuite):
    """Notifications of conversations, tickets and contacts."""

    name = "intercom"
    payloads = load(Path(__file__).parent / "payloads")
    #: The admin who answers.
    own = (("intercom", "1957471"), ("email", "cordelia@company.example"))
    roles = True
    optional = ("data.item.contact.name", "data.item.name")
    undone = (("contact_subscribed", "contact_unsubscribed"),)
    redelivery = ("delivery_status", "delivery_attempts", "delivered_at", "first_sent_at")

    def make(self, *secrets: str) -> Intercom:
        return Intercom(IntercomOptions.model_validate({"client_secret": secrets}))

    def signed(self, body: bytes, secret: str, name: str = "") -> Request:
        return signed(body, secret)

    def with_extra(self, value: Any) -> Any:
        item = super().with_extra(value["data"]["item"])
        return {**value, "data": {**value["data"], "item": item}, "aFieldOfTomorrow": 1}
