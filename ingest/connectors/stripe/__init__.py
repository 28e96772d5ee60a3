"""Stripe: payments, checkouts, invoices, customers and subscriptions.

See docs/channels/stripe.md.
"""

from ingest.connectors.stripe.connector import Stripe, StripeOptions

__all__ = ["Stripe", "StripeOptions"]
