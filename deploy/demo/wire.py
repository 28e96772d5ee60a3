"""The providers' request formats and signatures, and the configuration that expects them.

The demo plays the providers, so it makes their keys: new ones for every run.

Sources: SendGrid signs timestamp and body (ECDSA on P-256, SHA-256); Twilio signs the address with
the sorted form fields (HMAC-SHA1); LINE signs the body (HMAC-SHA256); Segment's SDKs send the write
key as the user of Basic auth and send gzip from servers.
"""

from __future__ import annotations

import base64
import gzip
import hashlib
import hmac
import json
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple
from urllib.parse import urlencode

from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from deploy.demo.delivery import CONNECTORS, Delivery
from schemas.times import rfc3339

#: The address as providers know it: behind a proxy it differs from the gateway's own address.
PUBLIC_URL = "https://touch.example.com"


class HttpRequest(NamedTuple):
    """A POST: path with query, headers, body."""

    path: str
    headers: Mapping[str, str]
    body: bytes


def _secret() -> str:
    return secrets.token_urlsafe(24)


@dataclass(frozen=True, slots=True, repr=False)
class Keys:
    """The secrets that the company shares with its providers."""

    shop: str = field(default_factory=_secret)
    shop_web: str = field(default_factory=_secret)
    support: str = field(default_factory=_secret)
    line: str = field(default_factory=_secret)
    crm: str = field(default_factory=_secret)
    newsletter: ec.EllipticCurvePrivateKey = field(
        default_factory=lambda: ec.generate_private_key(ec.SECP256R1())
    )

    def sources(self) -> dict[str, dict[str, str]]:
        """Return the section `sources` of the configuration."""
        public = self.newsletter.public_key().public_bytes(
            serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
        )
        options = {
            "shop": {"write_key": self.shop},
            "shop-web": {"write_key": self.shop_web},
            "newsletter": {"public_key": base64.b64encode(public).decode()},
            "support": {"auth_token": self.support},
            "line": {"channel_secret": self.line},
            "crm": {"token": self.crm},
        }
        return {name: {"connector": CONNECTORS[name], **options[name]} for name in CONNECTORS}


def request(delivery: Delivery, keys: Keys, now_ms: int) -> HttpRequest:
    """Return the request as the delivery's provider would send it at this moment."""
    shape = _SHAPES[CONNECTORS[delivery.source]]
    return shape(delivery, keys, now_ms)


def _segment(delivery: Delivery, keys: Keys, now_ms: int) -> HttpRequest:
    key = keys.shop if delivery.source == "shop" else keys.shop_web
    sent_at = rfc3339(now_ms + delivery.clock_ahead_ms)
    body = _body(delivery, lambda calls: {"batch": calls, "sentAt": sent_at})
    headers = {"Authorization": "Basic " + base64.b64encode(f"{key}:".encode()).decode()}
    if delivery.source == "shop":
        # A server's SDK sends gzip; a browser's sends plain text.
        headers |= {"Content-Type": "application/json", "Content-Encoding": "gzip"}
        return HttpRequest("/v1/batch", headers, gzip.compress(body, 1, mtime=0))
    return HttpRequest("/v1/batch", {**headers, "Content-Type": "text/plain"}, body)


def _sendgrid(delivery: Delivery, keys: Keys, now_ms: int) -> HttpRequest:
    body = _body(delivery)
    timestamp = str(now_ms // 1000)
    signature = keys.newsletter.sign(timestamp.encode() + body, ec.ECDSA(hashes.SHA256()))
    headers = {
        "Content-Type": "application/json",
        "X-Twilio-Email-Event-Webhook-Timestamp": timestamp,
        "X-Twilio-Email-Event-Webhook-Signature": base64.b64encode(signature).decode(),
    }
    return HttpRequest(_hook(delivery), headers, body)


def _twilio(delivery: Delivery, keys: Keys, now_ms: int) -> HttpRequest:
    fields: dict[str, str] = delivery.content
    path = _hook(delivery)
    signed = PUBLIC_URL + path + "".join(name + fields[name] for name in sorted(fields))
    digest = hmac.digest(keys.support.encode(), signed.encode(), hashlib.sha1)
    headers = {
        "Content-Type": "application/x-www-form-urlencoded; charset=UTF-8",
        "X-Twilio-Signature": base64.b64encode(digest).decode(),
    }
    return HttpRequest(path, headers, urlencode(fields).encode())


def _line(delivery: Delivery, keys: Keys, now_ms: int) -> HttpRequest:
    body = _body(delivery)
    digest = hmac.digest(keys.line.encode(), body, hashlib.sha256)
    headers = {
        "Content-Type": "application/json; charset=utf-8",
        "X-Line-Signature": base64.b64encode(digest).decode(),
    }
    return HttpRequest(_hook(delivery), headers, body)


def _touchpoint(delivery: Delivery, keys: Keys, now_ms: int) -> HttpRequest:
    kind = "application/cloudevents-batch+json" if delivery.cloud_events else "application/json"
    headers = {"Authorization": f"Bearer {keys.crm}", "Content-Type": kind}
    return HttpRequest("/v1/events", headers, _body(delivery))


def _hook(delivery: Delivery) -> str:
    query = f"?{delivery.query}" if delivery.query else ""
    return f"/hooks/{delivery.source}{query}"


def _body(delivery: Delivery, wrap: Any = lambda content: content) -> bytes:
    if isinstance(delivery.content, bytes):
        return delivery.content
    return json.dumps(wrap(delivery.content), ensure_ascii=False, separators=(",", ":")).encode()


_SHAPES = {
    "segment": _segment,
    "sendgrid": _sendgrid,
    "twilio": _twilio,
    "line": _line,
    "touchpoint": _touchpoint,
}
