"""Mailgun's webhooks and routes. See docs/channels/mailgun.md."""

from ingest.connectors.mailgun.connector import Mailgun, MailgunOptions

__all__ = ["Mailgun", "MailgunOptions"]
