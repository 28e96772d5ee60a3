"""Zendesk: tickets, comments, messaging and users. See docs/channels/zendesk.md."""

from ingest.connectors.zendesk.connector import Zendesk, ZendeskOptions

__all__ = ["Zendesk", "ZendeskOptions"]
