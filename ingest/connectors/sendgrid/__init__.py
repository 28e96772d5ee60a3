"""SendGrid: deliveries, opens, clicks, bounces and unsubscribes of e-mails.

See docs/channels/sendgrid.md.
"""

from ingest.connectors.sendgrid.connector import SendGrid, SendGridOptions

__all__ = ["SendGrid", "SendGridOptions"]
