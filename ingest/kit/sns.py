"""Amazon SNS as the carrier of other services' events: its envelope and its signature.

Source: https://docs.aws.amazon.com/sns/latest/dg/sns-message-and-json-formats.html (envelopes) and
…/sns-verify-signature-of-message.html (signature: RSA with SHA-1 or SHA-256 over some of the
envelope's fields, by a certificate of Amazon's whose address the envelope names).
"""

from __future__ import annotations

import base64
import re
from typing import Any
from urllib.parse import parse_qs, urlsplit

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15

from ingest.connector import Request
from ingest.kit.signing import is_recent_time
from schemas.times import to_ms

NOTIFICATION = "Notification"
CONFIRMATION = "SubscriptionConfirmation"
_CONFIRM = "ConfirmSubscription"
#: Amazon's hosts of SNS, by their regions. `sns.s3.amazonaws.com` would be anybody's bucket.
HOSTS = re.compile(r"sns\.[a-z]{2}(?:-[a-z]+)+-[0-9]{1,2}\.amazonaws\.com(?:\.cn)?")
#: The ARN of a topic.
TOPIC = re.compile(r"arn:aws[a-z-]*:sns:[a-z0-9-]+:[0-9]{12}:[A-Za-z0-9_-]{1,256}")

#: Type -> the fields that are signed, in their order; those that are absent are left out.
_SIGNED = {
    NOTIFICATION: ("Message", "MessageId", "Subject", "Timestamp", "TopicArn", "Type"),
    CONFIRMATION: (
        "Message",
        "MessageId",
        "SubscribeURL",
        "Timestamp",
        "Token",
        "TopicArn",
        "Type",
    ),
}
_SIGNED["UnsubscribeConfirmation"] = _SIGNED[CONFIRMATION]
_OPTIONAL = frozenset({"Subject"})
#: SignatureVersion -> hash. SHA-1 is what SNS uses unless a topic is told otherwise.
_HASHES: dict[str, hashes.HashAlgorithm] = {"1": hashes.SHA1(), "2": hashes.SHA256()}  # noqa: S303


class Envelope:
    """A message of SNS, parsed from whatever a stranger sent.

    `wellformed`: everything that can be checked without the signature is right; only then do the
    other fields have their types.
    """

    def __init__(self, request: Request) -> None:
        decoded = request.json
        self._fields: dict[str, Any] = decoded if isinstance(decoded, dict) else {}
        self.type = self.text("Type")
        self.topic = self.text("TopicArn")
        self.certificate = self.text("SigningCertURL")

    def text(self, name: str) -> str:
        """Return a field with text; empty if it is anything else."""
        value = self._fields.get(name)
        return value if isinstance(value, str) else ""

    def wellformed(self, topics: frozenset[str]) -> bool:
        """Return True if it is a message of one of these topics, with a certificate of Amazon's."""
        names = _SIGNED.get(self.type, ())
        return (
            bool(names)
            and self.topic in topics
            and all(self.text(name) for name in names if name not in _OPTIONAL)
            and self.text("SignatureVersion") in _HASHES
            and is_certificate_address(self.certificate)
        )

    def is_recent(self, received_ms: int, max_age_days: float) -> bool:
        """Return True if the signed time is close enough to receipt."""
        return is_recent_time(self.text("Timestamp"), received_ms, max_age_days)

    def is_signed(self, pem: bytes, received_ms: int) -> bool:
        """Return True if this certificate, valid now, signed a well-formed message."""
        key = _key(pem, received_ms)
        if key is None:
            return False
        try:
            signature = base64.b64decode(self.text("Signature"), validate=True)
            signed = self._signed().encode()
            key.verify(signature, signed, PKCS1v15(), _HASHES[self.text("SignatureVersion")])
        except (ValueError, InvalidSignature):
            return False
        return True

    def _signed(self) -> str:
        pairs = ((name, self._fields.get(name)) for name in _SIGNED[self.type])
        return "".join(f"{name}\n{value}\n" for name, value in pairs if value is not None)

    def confirmation(self) -> str | None:
        """Return the address that confirms a subscription to the topic, if this asks for it."""
        url = self.text("SubscribeURL")
        if self.type != CONFIRMATION or not _is_of_amazon(url):
            return None
        query = parse_qs(urlsplit(url).query)
        wanted = {"Action": [_CONFIRM], "TopicArn": [self.topic]}
        return url if all(query.get(name) == value for name, value in wanted.items()) else None


def is_certificate_address(url: str) -> bool:
    """Return True if Amazon may have a certificate at this address."""
    if not _is_of_amazon(url):
        return False
    parts = urlsplit(url)
    return parts.path.endswith(".pem") and not parts.query and not parts.fragment


def _is_of_amazon(url: str) -> bool:
    try:
        parts = urlsplit(url)
    except ValueError:
        return False
    return parts.scheme == "https" and HOSTS.fullmatch(parts.netloc) is not None


def _key(pem: bytes, received_ms: int) -> rsa.RSAPublicKey | None:
    try:
        certificate = x509.load_pem_x509_certificate(pem)
        key = certificate.public_key()
    except (ValueError, UnsupportedAlgorithm):
        return None
    begins = to_ms(certificate.not_valid_before_utc)
    ends = to_ms(certificate.not_valid_after_utc)
    valid = begins <= received_ms <= ends
    return key if valid and isinstance(key, rsa.RSAPublicKey) else None
