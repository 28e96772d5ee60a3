"""Shopify's side: an HMAC of the body by the app's client secret, in base64.

After https://shopify.dev/docs/apps/build/webhooks/subscribe/https
"""

from __future__ import annotations

import base64
import hashlib
import hmac
from pathlib import Path

from ingest.connector import Request
from ingest.connectors.shopify.connector import (
    EVENT_ID,
    SHOP_DOMAIN,
    SIGNATURE,
    TOPIC,
    TRIGGERED_AT,
    WEBHOOK_ID,
    Shopify,
    ShopifyOptions,
)
from ingest.testing.suite import ConnectorSuite
from ingest.testing.values import load, posted


def topic_of(name: str) -> str:
    """Return the topic of a payload."""
    return name.replace("__", "/")


def signed(body: bytes, secret: str = "s", topic: str = "orders/paid", **headers: str) -> Request:
    """Return the request that Shopify makes; a header that is empty is left out."""
    digest = hmac.new(secret.encode(), body, hashlib.sha256).digest()
    given = {
        SIGNATURE: base64.b64encode(digest).decode(),
        TOPIC: topic,
        EVENT_ID: "98880550-7158-44d4-b7cd-2c97c8a091b5",
        WEBHOOK_ID: "b54557e4-bdd9-4b37-8a5f-bf7d70bcd043",
        TRIGGERED_AT: "2026-11-20T04:00:01.877041743Z",
        SHOP_DOMAIN: "boots.myshopify.com",
        **headers,
    }
    return posted(body, {name: value for name, value in given.items() if value})


class ShopifyContract(ConnectorSuite):
    """A payload is named by its topic."""

    name = "shopify"
    payloads = load(Path(__file__).parent / "payloads")
    optional = ("landing_site", "customer.first_name", "customer.last_name", "customer.tags")
    undone = (
        ("orders__create", "orders__edited"),
        ("orders__paid", "orders__cancelled"),
        ("orders__paid", "refunds__create"),
        ("customers__create", "customers__delete"),
    )

    def make(self, *secrets: str) -> Shopify:
        return Shopify(ShopifyOptions.model_validate({"client_secret": secrets}))

    def signed(self, body: bytes, secret: str, name: str = "") -> Request:
        return signed(body, secret, topic_of(name) if name else "orders/paid")
