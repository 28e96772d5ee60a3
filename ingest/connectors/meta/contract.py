"""Meta's side: an HMAC of the body by the app's secret.

After https://developers.facebook.com/docs/graph-api/webhooks/getting-started#validate-payloads
"""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.hashes import SHA256, HashAlgorithm
from cryptography.hazmat.primitives.hmac import HMAC

from ingest.connector import Request
from ingest.connectors.meta import SIGNATURE, Meta, MetaOptions
from ingest.testing.suite import ConnectorSuite
from ingest.testing.values import load, posted

PAYLOADS = load(Path(__file__).parent / "payloads")


def mac(content: bytes, secret: str, algorithm: HashAlgorithm) -> str:
    """Return the signature in hexadecimal digits, by another library than the connector's."""
    made = HMAC(secret.encode(), algorithm)
    made.update(content)
    return made.finalize().hex()


def signed(body: bytes, secret: str = "s") -> Request:
    """Return the request that Meta makes."""
    return posted(body, {SIGNATURE: f"sha256={mac(body, secret, SHA256())}"})


def by_two(payloads: dict[str, Any]) -> dict[str, Any]:
    """Return payloads with two events in a body: the suite tries each value many times."""
    found: dict[str, Any] = {}
    for name, body in payloads.items():
        for entry in body["entry"]:
            (key,) = entry.keys() - {"id", "time"}
            for at in range(0, len(entry[key]), 2):
                part = {**entry, key: entry[key][at : at + 2]}
                found[f"{name}-{len(found)}"] = {**body, "entry": [part]}
    return found


class MetaContract(ConnectorSuite):
    """Events of pages, Instagram and WhatsApp."""

    name = "meta"
    payloads = by_two(PAYLOADS)
    #: The time at which Meta sent it, and what it knows of the contact by then.
    redelivery = ("entry.*.time", "entry.*.changes.*.value.contacts.*.user_id")

    def make(self, *secrets: str) -> Meta:
        options = {"app_secret": secrets, "verify_token": secrets}
        return Meta(MetaOptions.model_validate(options))

    def signed(self, body: bytes, secret: str, name: str = "") -> Request:
        return signed(body, secret)

    def with_extra(self, value: Any) -> Any:
        value = {**super().with_extra(value), "entry": copy.deepcopy(value["entry"])}
        for entry in value["entry"]:
            # Not in an event itself: one without an id of Meta's is named by all that it says.
            entry["aFieldOfTomorrow"] = {"x": [1]}
        return value
