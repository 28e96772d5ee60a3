"""Mailgun's side: an HMAC of timestamp and token, inside the body.

After https://documentation.mailgun.com/docs/mailgun/user-manual/webhooks/securing-webhooks
"""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ingest.connector import Request
from ingest.connectors.mailgun.connector import Mailgun, MailgunOptions
from ingest.testing.suite import ConnectorSuite
from ingest.testing.values import RECEIVED_MS, load, posted

TOKEN = "a8ce0edb2dd8301dee6c2405235584e45aa91d1e9f979f3de0"
NOW = str(RECEIVED_MS // 1000)
#: Values in place of a text.
NO_TEXT: tuple[Any, ...] = (None, "", [], {}, 5, "é", "\ud800")


def signature(key: str, token: str = TOKEN, timestamp: str = NOW) -> dict[str, str]:
    """Return the field `signature` of a request."""
    digest = hmac.new(key.encode(), (timestamp + token).encode(), hashlib.sha256)
    return {"token": token, "timestamp": timestamp, "signature": digest.hexdigest()}


class MailgunContract(ConnectorSuite):
    """Events about e-mails. Timestamp and token are all that is signed."""

    name = "mailgun"
    payloads = load(Path(__file__).parent / "payloads")
    own = (("email", "support@mail.shop.example.com"),)
    signs_body = False
    signs_time = True

    def make(self, *secrets: str) -> Mailgun:
        return Mailgun(MailgunOptions.model_validate({"signing_key": secrets}))

    def signed(self, body: bytes, secret: str, name: str = "") -> Request:
        try:
            value = json.loads(body)
        except (ValueError, RecursionError):
            return posted(body)
        if not isinstance(value, dict) or "event-data" not in value:
            return posted(body)
        return posted(self.encode({**value, "signature": signature(secret)}))

    def encode(self, value: Any) -> bytes:
        text = json.dumps(value, ensure_ascii=False)
        # Half of a surrogate pair goes as an escape, as it came.
        return "".join(
            c if c < "\ud800" or c > "\udfff" else f"\\u{ord(c):x}" for c in text
        ).encode()

    def unsigned(self, request: Request) -> Iterator[Request]:
        value = json.loads(request.body)
        for name in value["signature"]:
            kept = {**value["signature"]}
            for wrong in NO_TEXT:
                kept[name] = wrong
                yield request._replace(body=json.dumps({**value, "signature": kept}).encode())
        for wrong in (None, [], "x", 5):
            yield request._replace(body=json.dumps({**value, "signature": wrong}).encode())
        yield request._replace(body=b"")

    def with_extra(self, value: Any) -> Any:
        return {**value, "new": 1, "event-data": super().with_extra(value["event-data"])}
