"""Acme Chat's side: what it sends, and how it signs.

`touchline connectors test acme_chat` holds the connector against it. The bodies
are in payloads/, each as the provider documents it. Needs pytest and hypothesis.
"""

from __future__ import annotations

import hashlib
import hmac
from pathlib import Path

from ingest.connector import Request
from ingest.testing.suite import ConnectorSuite
from ingest.testing.values import load, posted

from touchline_acme_chat.connector import (
    SIGNATURE,
    AcmeChatOptions,
    AcmeChatWebhook,
)


class AcmeChatContract(ConnectorSuite):
    """The hooks of the suite: a source with some secrets, and a request signed with one."""

    name = "acme_chat"
    payloads = load(Path(__file__).parent / "payloads")
    #: Fields that only help: a wrong one costs no message.
    optional = ("events.*.text", "events.*.customer.name")

    def make(self, *secrets: str) -> AcmeChatWebhook:
        """A connector whose source has these secrets."""
        options = AcmeChatOptions.model_validate({"signing_secret": secrets})
        return AcmeChatWebhook(options)

    def signed(self, body: bytes, secret: str, name: str = "") -> Request:
        """The request that the provider makes of a body."""
        digest = hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()
        return posted(body, {SIGNATURE: digest})
