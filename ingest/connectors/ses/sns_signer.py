"""Amazon's side of SNS, after its documentation and apart from the connector's code.

Signs as https://docs.aws.amazon.com/sns/latest/dg/sns-verify-signature-of-message.html says.
"""

from __future__ import annotations

import base64
from datetime import datetime, timedelta
from functools import cache
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID

from schemas.times import from_ms

HOST = "https://sns.eu-west-1.amazonaws.com"
CERTIFICATE = f"{HOST}/SimpleNotificationService-0123456789abcdef0123456789abcdef.pem"
TOPIC = "arn:aws:sns:eu-west-1:123456789012:ses"


@cache
def key(name: str = "amazon") -> rsa.RSAPrivateKey:
    """Return the key of this name."""
    # Short, because the suite signs thousands of messages.
    return rsa.generate_private_key(public_exponent=65537, key_size=1024)


@cache
def authority() -> ec.EllipticCurvePrivateKey:
    """Return the key of the authority that signs certificates."""
    return ec.generate_private_key(ec.SECP256R1())


def certificate(now_ms: int, name: str = "amazon", public: Any = None, days: int = 30) -> bytes:
    """Return a certificate by a test authority, valid from a day ago on."""

    def common(text: str) -> x509.Name:
        return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])

    begins: datetime = from_ms(now_ms) - timedelta(days=1)
    return (
        x509.CertificateBuilder()
        .subject_name(common("sns.amazonaws.com"))
        .issuer_name(common("a test authority"))
        .public_key(public or key(name).public_key())
        .serial_number(7)
        .not_valid_before(begins)
        .not_valid_after(begins + timedelta(days=days))
        .sign(authority(), hashes.SHA256())
        .public_bytes(Encoding.PEM)
    )


def signed(message: dict[str, Any], version: str = "2", name: str = "amazon") -> dict[str, Any]:
    """Return the message with a signature over its fields as they are now."""
    if message["Type"] == "Notification":
        lines = ["Message", message["Message"], "MessageId", message["MessageId"]]
        if "Subject" in message:
            lines += ["Subject", message["Subject"]]
        lines += ["Timestamp", message["Timestamp"]]
    else:
        lines = ["Message", message["Message"], "MessageId", message["MessageId"]]
        lines += ["SubscribeURL", message["SubscribeURL"], "Timestamp", message["Timestamp"]]
        lines += ["Token", message["Token"]]
    lines += ["TopicArn", message["TopicArn"], "Type", message["Type"]]
    text = "".join(line + "\n" for line in lines)
    algorithm = {"1": hashes.SHA1(), "2": hashes.SHA256()}[version]
    signature = key(name).sign(text.encode(), padding.PKCS1v15(), algorithm)
    shown = base64.b64encode(signature).decode()
    return {**message, "SignatureVersion": version, "Signature": shown}


def notification(text: str, timestamp: str, topic: str = TOPIC, **more: str) -> dict[str, Any]:
    """Return a message with a text, not signed yet."""
    return {
        "Type": "Notification",
        "MessageId": "22b80b92-fdea-4c2c-8f9d-bdfb0c7bf324",
        "TopicArn": topic,
        "Message": text,
        "Timestamp": timestamp,
        "SigningCertURL": CERTIFICATE,
        "UnsubscribeURL": f"{HOST}/?Action=Unsubscribe&SubscriptionArn={topic}:c9135db0",
        **more,
    }


def confirmation(timestamp: str, topic: str = TOPIC, **more: str) -> dict[str, Any]:
    """Return the message by which a topic asks to be confirmed, not signed yet."""
    return {
        "Type": "SubscriptionConfirmation",
        "MessageId": "165545c9-2a5c-472c-8df2-7ff2be2b3b1b",
        "Token": "2336412f37",
        "TopicArn": topic,
        "Message": f"You have chosen to subscribe to the topic {topic}.\nTo confirm, visit …",
        "SubscribeURL": f"{HOST}/?Action=ConfirmSubscription&TopicArn={topic}&Token=2336412f37",
        "Timestamp": timestamp,
        "SigningCertURL": CERTIFICATE,
        **more,
    }
