"""SendGrid's Event Webhook. See docs/channels/sendgrid.md."""

from ingest.connectors.sendgrid.connector import SendGrid, SendGridOptions

__all__ = ["SendGrid", "SendGridOptions"]
