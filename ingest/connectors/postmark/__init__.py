"""Postmark: deliveries, opens, clicks and bounces of e-mails, and incoming e-mails.

See docs/channels/postmark.md.
"""

from ingest.connectors.postmark.connector import Postmark, PostmarkOptions

__all__ = ["Postmark", "PostmarkOptions"]
