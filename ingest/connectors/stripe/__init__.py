"""Stripe's webhooks. See docs/channels/stripe.md."""

from ingest.connectors.stripe.connector import Stripe, StripeOptions

__all__ = ["Stripe", "StripeOptions"]
