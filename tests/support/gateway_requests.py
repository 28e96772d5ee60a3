"""Requests as senders make them: events of own systems, webhooks signed as providers sign them."""

from __future__ import annotations

import base64
import hashlib
import hmac
from typing import Any

import msgspec

from tests.support.gateway import LINE_SECRET, TWILIO_TOKEN


def store_visit(event_id: str, **more: Any) -> dict[str, Any]:
    """Return a touchpoint as own systems send it, a visit of the customer `c-{event_id}`."""
    return {
        "event_id": event_id,
        "channel": "store",
        "type": "store_visited",
        "identifiers": [{"kind": "customer_id", "value": f"c-{event_id}"}],
        **more,
    }


def line_signed(body: bytes, secret: str = LINE_SECRET) -> dict[str, str]:
    """Return the headers by which LINE signs a body."""
    digest = hmac.digest(secret.encode(), body, hashlib.sha256)
    return {"X-Line-Signature": base64.b64encode(digest).decode()}


def line_body(*texts: str) -> bytes:
    """Return a webhook of LINE with a text message of another user for each text."""
    return msgspec.json.encode(
        {
            "destination": "Ub" + "0" * 31,
            "events": [
                {
                    "type": "message",
                    "webhookEventId": f"01{n}",
                    "timestamp": 1_789_999_000_000,
                    "source": {"type": "user", "userId": f"U{n:032x}"},
                    "deliveryContext": {"isRedelivery": False},
                    "replyToken": "r",
                    "mode": "active",
                    "message": {"type": "text", "id": str(n), "text": text},
                }
                for n, text in enumerate(texts)
            ],
        }
    )


SMS = {"MessageSid": "SM1", "SmsStatus": "received", "From": "+819012345678", "Body": "こんにちは",
       "To": "+815011112222", "AccountSid": "AC1", "NumMedia": "0"}  # fmt: skip


def twilio(url: str, fields: dict[str, str]) -> dict[str, Any]:
    """Return the options of a request that Twilio signed."""
    signed = url + "".join(name + fields[name] for name in sorted(fields))
    digest = hmac.digest(TWILIO_TOKEN.encode(), signed.encode(), hashlib.sha1)
    return {
        "headers": {
            "X-Twilio-Signature": base64.b64encode(digest).decode(),
            "Content-Type": "application/x-www-form-urlencoded",
        }
    }
