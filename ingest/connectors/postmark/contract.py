"""Postmark's side: it signs nothing and shows a password.

After https://postmarkapp.com/developer/webhooks/webhooks-overview#protecting-your-webhook
"""

from __future__ import annotations

import base64
from pathlib import Path

from ingest.connector import Request
from ingest.connectors.postmark.connector import Postmark, PostmarkOptions
from ingest.testing.suite import ConnectorSuite
from ingest.testing.values import load, posted


def basic(password: str, username: str = "touchline") -> str:
    """Return the header of Basic authentication."""
    return "Basic " + base64.b64encode(f"{username}:{password}".encode()).decode()


class PostmarkContract(ConnectorSuite):
    """Events about e-mails that were sent, and incoming e-mails."""

    name = "postmark"
    payloads = load(Path(__file__).parent / "payloads")
    own = (("email", "yourhash+order7@inbound.postmarkapp.com"),)
    undone = (("unsubscribe", "resubscribe"), ("suppressed", "resubscribe"))
    signs_body = False

    def make(self, *secrets: str) -> Postmark:
        return Postmark(PostmarkOptions.model_validate({"password": secrets}))

    def signed(self, body: bytes, secret: str, name: str = "") -> Request:
        return posted(body, {"authorization": basic(secret)})
