"""Amazon's side of SES: its events as messages of SNS, see `sns_signer`."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ingest.connector import Request
from ingest.connectors.ses import sns_signer
from ingest.connectors.ses.connector import Ses, SesOptions
from ingest.testing.suite import ConnectorSuite
from ingest.testing.values import RECEIVED_MS, load, posted
from schemas.times import rfc3339

NOW = rfc3339(RECEIVED_MS)
PEM = sns_signer.certificate(RECEIVED_MS)
#: Values in place of a text that is signed.
STRANGE: tuple[Any, ...] = (None, "", [], {}, 5, "é", "3", "!!", "\ud800")


def topic(name: str) -> str:
    """Return the address of a topic of this name."""
    return f"arn:aws:sns:eu-west-1:123456789012:{hashlib.sha1(name.encode()).hexdigest()}"


def request(message: Any, pem: bytes = PEM) -> Request:
    """Return the request with a message, once the certificate was fetched."""
    body = message if isinstance(message, bytes) else json.dumps(message).encode()
    made = posted(body, {"content-type": "text/plain; charset=UTF-8"})
    return made._replace(fetched={sns_signer.CERTIFICATE: pem})


class SesContract(ConnectorSuite):
    """Events of SES. The secrets of the suite stand for topics, which tell sources apart."""

    name = "ses"
    payloads = load(Path(__file__).parent / "payloads")
    own = (("email", "support@shop.example.com"), ("email", "news@shop.example.com"))
    #: The unsubscribe address and the like are not signed.
    signs_body = False
    signs_time = True

    def make(self, *secrets: str) -> Ses:
        return Ses(SesOptions(topics=tuple(topic(name) if name else "" for name in secrets)))

    def encode(self, value: Any) -> bytes:
        name = hashlib.sha1(json.dumps(value, sort_keys=True).encode()).hexdigest()
        message = sns_signer.notification(json.dumps(value), NOW)
        known = next((n for n, payload in self.payloads.items() if payload == value), name)
        return json.dumps({**message, "MessageId": known}).encode()

    def signed(self, body: bytes, secret: str, name: str = "") -> Request:
        try:
            message = json.loads(body)
        except (ValueError, RecursionError):
            return request(body)
        if not isinstance(message, dict) or "TopicArn" not in message:
            return request(body)
        # The id of a payload stays when the payload is written in another way.
        message |= {"TopicArn": topic(secret), "MessageId": name or message["MessageId"]}
        return request(sns_signer.signed(message))

    def unsigned(self, request: Request) -> Iterator[Request]:
        message = json.loads(request.body)
        for name in ("Signature", "SignatureVersion", "SigningCertURL", "Type", "TopicArn"):
            for wrong in STRANGE:
                yield request._replace(body=json.dumps({**message, name: wrong}).encode())
            without = {key: value for key, value in message.items() if key != name}
            yield request._replace(body=json.dumps(without).encode())
        yield request._replace(body=b"")
        yield request._replace(fetched={})
