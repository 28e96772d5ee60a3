"""Intercom's webhooks. See docs/channels/intercom.md."""

from ingest.connectors.intercom.connector import Intercom, IntercomOptions

__all__ = ["Intercom", "IntercomOptions"]
