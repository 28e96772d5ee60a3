"""SendGrid's side: an ECDSA signature over timestamp and body.

After https://www.twilio.com/docs/sendgrid/for-developers/tracking-events/
getting-started-event-webhook-security-features
"""

from __future__ import annotations

import base64
from functools import cache
from pathlib import Path

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from ingest.connector import Request
from ingest.connectors.sendgrid.connector import SIGNATURE, TIMESTAMP, SendGrid, SendGridOptions
from ingest.testing.suite import ConnectorSuite
from ingest.testing.values import RECEIVED_MS, load, posted

NOW = str(RECEIVED_MS // 1000)


@cache
def private_key(name: str) -> ec.EllipticCurvePrivateKey:
    """Return the key of this name, always the same."""
    number = int.from_bytes(name.encode(), "big") % 2**250 + 1
    return ec.derive_private_key(number, ec.SECP256R1())


def public_key(name: str) -> str:
    """Return its public half as SendGrid's console shows it."""
    der = (
        private_key(name).public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    )
    return base64.b64encode(der).decode()


def signed(body: bytes, name: str = "k", timestamp: str = NOW) -> Request:
    """Return the request that SendGrid makes."""
    signature = private_key(name).sign(timestamp.encode() + body, ec.ECDSA(hashes.SHA256()))
    return posted(body, {SIGNATURE: base64.b64encode(signature).decode(), TIMESTAMP: timestamp})


class SendGridContract(ConnectorSuite):
    """Batches of events. The secrets of the suite are names of keys."""

    name = "sendgrid"
    payloads = load(Path(__file__).parent / "payloads")
    undone = (("engagement[4]", "engagement[5]"),)
    signs_time = True

    def make(self, *secrets: str) -> SendGrid:
        keys = tuple(public_key(name) if name else "" for name in secrets)
        return SendGrid(SendGridOptions(public_key=keys))

    def signed(self, body: bytes, secret: str, name: str = "") -> Request:
        return signed(body, secret)
