"""Stripe's side: an HMAC of time and body by the endpoint's signing secret.

After https://docs.stripe.com/webhooks#verify-manually
"""

from __future__ import annotations

import hashlib
import hmac
from pathlib import Path
from typing import Any

from ingest.connector import Request
from ingest.connectors.stripe.connector import SIGNATURE, Stripe, StripeOptions
from ingest.testing.suite import ConnectorSuite
from ingest.testing.values import RECEIVED_MS, load, posted

NOW = RECEIVED_MS // 1000


def v1(body: bytes, secret: str, time: int | str = NOW) -> str:
    """Return the signature in scheme v1."""
    return hmac.new(secret.encode(), f"{time}.".encode() + body, hashlib.sha256).hexdigest()


def signed(body: bytes, secret: str = "s", time: int | str = NOW) -> Request:
    """Return the request that Stripe makes."""
    return posted(body, {SIGNATURE: f"t={time},v1={v1(body, secret, time)}"})


class StripeContract(ConnectorSuite):
    """Events of payments, checkouts, invoices, customers and subscriptions."""

    name = "stripe"
    payloads = load(Path(__file__).parent / "payloads")
    signs_time = True
    optional = ("data.object.customer_details.name",)
    redelivery = ("pending_webhooks",)
    undone = (
        ("charge_succeeded", "charge_refunded"),
        ("charge_succeeded", "charge_dispute_created"),
        ("customer_subscription_created", "customer_subscription_deleted"),
    )

    def make(self, *secrets: str) -> Stripe:
        return Stripe(StripeOptions.model_validate({"signing_secret": secrets}))

    def signed(self, body: bytes, secret: str, name: str = "") -> Request:
        return signed(body, secret)

    def with_extra(self, value: Any) -> Any:
        thing = super().with_extra(value["data"]["object"])
        return {**value, "data": {**value["data"], "object": thing}, "aFieldOfTomorrow": 1}
