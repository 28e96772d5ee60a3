"""Intercom: conversations, tickets, contacts and their subscriptions.

See docs/channels/intercom.md.
"""

from ingest.connectors.intercom.connector import Intercom, IntercomOptions

__all__ = ["Intercom", "IntercomOptions"]
