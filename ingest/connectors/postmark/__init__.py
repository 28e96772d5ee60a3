"""Postmark's webhooks. See docs/channels/postmark.md."""

from ingest.connectors.postmark.connector import Postmark, PostmarkOptions

__all__ = ["Postmark", "PostmarkOptions"]
