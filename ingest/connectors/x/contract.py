"""X's side: an HMAC of the body by the app's consumer secret, in base64.

After https://docs.x.com/x-api/webhooks/quickstart (securing webhooks)
"""

from __future__ import annotations

import base64
from pathlib import Path

from cryptography.hazmat.primitives.hashes import SHA256, HashAlgorithm
from cryptography.hazmat.primitives.hmac import HMAC

from ingest.connector import Request
from ingest.connectors.x import SIGNATURE, X, XOptions
from ingest.testing.suite import ConnectorSuite
from ingest.testing.values import load, posted


def mac(content: bytes, secret: str, algorithm: HashAlgorithm | None = None) -> str:
    """Return the signature in base64, by another library than the connector's."""
    made = HMAC(secret.encode(), algorithm or SHA256())
    made.update(content)
    return base64.b64encode(made.finalize()).decode()


def signed(body: bytes, secret: str = "s") -> Request:
    """Return the request that X makes."""
    return posted(body, {SIGNATURE: f"sha256={mac(body, secret)}"})


class XContract(ConnectorSuite):
    """Events of account activity and of the activity API."""

    name = "x"
    payloads = load(Path(__file__).parent / "payloads")
    #: An event comes once for each account of ours; handles change, the number of a user stays.
    redelivery = (
        "for_user_id", "data.payload.users.*.data.username", "users.*.screen_name",
        "*.*.user.screen_name", "*.*.source.screen_name", "*.*.target.screen_name",
    )  # fmt: skip
    own = (("x", "2244994945"),)
    undone = (("follow", "unfollow"), ("block", "unblock"))

    def make(self, *secrets: str) -> X:
        return X(XOptions.model_validate({"consumer_secret": secrets}))

    def signed(self, body: bytes, secret: str, name: str = "") -> Request:
        return signed(body, secret)
