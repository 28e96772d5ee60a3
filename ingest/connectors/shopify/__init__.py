"""Shopify: carts, checkouts, orders, refunds and customers of a store.

See docs/channels/shopify.md.
"""

from ingest.connectors.shopify.connector import Shopify, ShopifyOptions

__all__ = ["Shopify", "ShopifyOptions"]
