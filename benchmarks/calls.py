"""The requests to the gateway: touchpoints, Segment's calls and SendGrid's events, as bytes."""

from __future__ import annotations

import base64
import random
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import msgspec
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_der_private_key,
)

from benchmarks.workload import batches
from schemas import times
from schemas.times import DAY_MS, HOUR_MS, rfc3339

TOKEN = "bench-token"
WRITE_KEY = "bench-key"
_AGENT = "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/537.36 Chrome/126.0 Safari"
_TYPES = (
    ("web", "page_viewed"),
    ("web", "product_viewed"),
    ("email", "email_opened"),
    ("phone", "call_completed"),
    ("commerce", "order_completed"),
)


class Keys(NamedTuple):
    """SendGrid's key pair of a run, base64 DER."""

    private: str
    public: str

    @classmethod
    def new(cls) -> Keys:
        key = ec.generate_private_key(ec.SECP256R1())
        private = key.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())
        public = key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
        return cls(base64.b64encode(private).decode(), base64.b64encode(public).decode())


class Case(NamedTuple):
    """A way to call the gateway."""

    name: str
    path: str
    batch: int


CASES = (
    Case("events, single", "/v1/events", 1),
    Case("events, 100", "/v1/events", 100),
    Case("segment track, single", "/v1/track", 1),
    Case("segment batch, 100", "/v1/batch", 100),
    Case("sendgrid webhook, 100", "/hooks/mail", 100),
)


def requests(case: Case, count: int, customers: Iterator[int], keys: Keys) -> list[bytes]:
    """Return HTTP requests with `count` events together, of the customers in turn."""
    rng = random.Random(1)
    now_ms = times.now_ms()
    make = _MAKERS[case.path]
    events = [make(next(customers), now_ms, rng) for _ in range(count)]
    return [_request(case, part, now_ms, keys) for part in batches(events, case.batch)]


def _request(case: Case, events: Sequence[Mapping[str, Any]], now_ms: int, keys: Keys) -> bytes:
    body: Any = events if case.batch > 1 else events[0]
    headers = {"Content-Type": "application/json"}
    if case.path == "/v1/events":
        headers["Authorization"] = f"Bearer {TOKEN}"
    elif case.path != "/hooks/mail":
        headers["Authorization"] = f"Basic {base64.b64encode(f'{WRITE_KEY}:'.encode()).decode()}"
        body = (
            {**body, "sentAt": rfc3339(now_ms)}
            if case.batch == 1
            else {
                "batch": body,
                "sentAt": rfc3339(now_ms),
            }
        )
    data = msgspec.json.encode(body)
    if case.path == "/hooks/mail":
        headers |= _signature(data, str(now_ms // 1000), keys)
    lines = [f"POST {case.path} HTTP/1.1", "Host: 127.0.0.1", f"Content-Length: {len(data)}"]
    lines += [f"{name}: {value}" for name, value in headers.items()]
    return "\r\n".join([*lines, "", ""]).encode() + data


def _signature(data: bytes, timestamp: str, keys: Keys) -> dict[str, str]:
    key = load_der_private_key(base64.b64decode(keys.private), None)
    assert isinstance(key, ec.EllipticCurvePrivateKey)
    signature = key.sign(timestamp.encode() + data, ec.ECDSA(hashes.SHA256()))
    return {
        "X-Twilio-Email-Event-Webhook-Timestamp": timestamp,
        "X-Twilio-Email-Event-Webhook-Signature": base64.b64encode(signature).decode(),
    }


def _when(now_ms: int, rng: random.Random) -> int:
    return now_ms - (rng.randrange(HOUR_MS) if rng.random() < 0.9 else rng.randrange(30 * DAY_MS))


def _touchpoint(customer: int, now_ms: int, rng: random.Random) -> dict[str, Any]:
    """Return a touchpoint as a company's own system sends it to /v1/events."""
    channel, event_type = rng.choice(_TYPES)
    identifiers = [{"kind": "customer_id", "value": f"c{customer}"}]
    if channel == "phone":
        identifiers.append({"kind": "phone", "value": f"+81901{customer:07d}"})
    elif channel == "web":
        identifiers.append({"kind": "anonymous_id", "value": f"browser-{customer}"})
    else:
        identifiers.append({"kind": "email", "value": f"Customer.{customer}@example.com"})
    touch: dict[str, Any] = {
        "event_id": str(uuid.UUID(int=rng.getrandbits(128), version=4)),
        "channel": channel,
        "type": event_type,
        "identifiers": identifiers,
        "occurred_at": rfc3339(_when(now_ms, rng)),
        "url": "https://shop.example.com/products/1234",
        "properties": {"product_id": f"p{rng.randrange(1000)}", "title": "A page of the shop"},
    }
    if event_type == "order_completed":
        touch["value"] = {"amount": rng.randrange(100, 20_000) / 100, "currency": "USD"}
        touch["consent"] = {"marketing": True}
    if rng.random() < 0.1:
        touch["traits"] = {"city": rng.choice(("Tokyo", "Osaka", "Kyoto")), "vip": True}
    return touch


def _call(customer: int, now_ms: int, rng: random.Random) -> dict[str, Any]:
    """Return a call as Segment's browser SDK sends it."""
    call: dict[str, Any] = {
        "type": "track",
        "event": rng.choice(("Product Viewed", "Product Added", "Order Completed")),
        "messageId": f"ajs-next-{rng.getrandbits(128):032x}",
        "anonymousId": str(uuid.UUID(int=customer, version=4)),
        "timestamp": rfc3339(now_ms - rng.randrange(10_000)),
        "properties": {"product_id": f"p{rng.randrange(1000)}", "category": "Shoes", "price": 59.9},
        "context": {
            "ip": "203.0.113.7",
            "locale": "en-US",
            "userAgent": _AGENT,
            "library": {"name": "analytics.js", "version": "next-1.70.0"},
            "page": {
                "path": "/products/1234",
                "referrer": "https://www.example.org/",
                "search": "?utm_source=news",
                "title": "A page of the shop",
                "url": "https://shop.example.com/products/1234?utm_source=news",
            },
            "campaign": {"name": "spring", "source": "news", "medium": "email"},
        },
    }
    if rng.random() < 0.4:
        call["userId"] = f"c{customer}"
        call["context"]["traits"] = {"email": f"customer.{customer}@example.com"}
    if call["event"] == "Order Completed":
        call["properties"] |= {"revenue": rng.randrange(100, 20_000) / 100, "currency": "USD"}
    return call


def _mail(customer: int, now_ms: int, rng: random.Random) -> dict[str, Any]:
    """Return an event as SendGrid's Event Webhook sends it."""
    event = rng.choice(("processed", "delivered", "open", "click"))
    mail: dict[str, Any] = {
        "email": f"customer.{customer}@example.com",
        "timestamp": _when(now_ms, rng) // 1000,
        "smtp-id": "<14c5d75ce93.dfd.64b469@ismtpd-555>",
        "event": event,
        "category": ["spring"],
        "sg_event_id": f"{rng.getrandbits(128):032x}",
        "sg_message_id": f"{rng.getrandbits(96):024x}.filter0001.16648.5515E0B88.0",
    }
    if event in ("open", "click"):
        mail |= {"useragent": _AGENT, "ip": "203.0.113.7"}
    if event == "click":
        mail["url"] = "https://shop.example.com/products/1234"
    return mail


_MAKERS: dict[str, Callable[[int, int, random.Random], dict[str, Any]]] = {
    "/v1/events": _touchpoint,
    "/v1/track": _call,
    "/v1/batch": _call,
    "/hooks/mail": _mail,
}
