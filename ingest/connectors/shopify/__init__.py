"""Shopify's webhooks. See docs/channels/shopify.md."""

from ingest.connectors.shopify.connector import Shopify, ShopifyOptions

__all__ = ["Shopify", "ShopifyOptions"]
