"""Requests as Amazon SNS makes them for the connector `ses`, and what it makes of them."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

from ingest.connector import Context, Request
from ingest.connectors.ses import Ses, SesOptions
from schemas.times import rfc3339
from tests.contracts.connector_suite import RECEIVED_MS, URL, load
from tests.ingest.connectors import amazon
from tests.ingest.connectors.amazon import CERTIFICATE, TOPIC

PAYLOADS = load(Path(__file__).parent / "payloads" / "ses")
NOW = rfc3339(RECEIVED_MS)
PEM = amazon.certificate(RECEIVED_MS)


def topic(name: str) -> str:
    return f"arn:aws:sns:eu-west-1:123456789012:{hashlib.sha1(name.encode()).hexdigest()}"


def request(message: Any, pem: bytes = PEM) -> Request:
    body = message if isinstance(message, bytes) else json.dumps(message).encode()
    headers = {"content-type": "text/plain; charset=UTF-8"}
    url = URL + "/hooks/ses"
    return Request("POST", "/hooks/ses", "", url, headers, body, {CERTIFICATE: pem})


def connector(**options: Any) -> Ses:
    return Ses(SesOptions(**{"topics": [TOPIC], **options}))


def delivered(event: Any, **more: str) -> dict[str, Any]:
    text = event if isinstance(event, str) else json.dumps(event)
    return amazon.signed(amazon.notification(text, NOW, **more))


def confirming(**more: str) -> dict[str, Any]:
    return amazon.signed(amazon.confirmation(NOW, **more))


def parse(event: Any, **options: Any) -> list[Any]:
    context = Context("ses", RECEIVED_MS)
    return list(connector(**options).parse(request(delivered(event)), context))


def one(event: Any, **options: Any) -> Any:
    (result,) = parse(event, **options)
    return result


def changed(name: str, part: str, **changes: Any) -> Any:
    event = PAYLOADS[name]
    return {**event, part: {**event[part], **changes}}
