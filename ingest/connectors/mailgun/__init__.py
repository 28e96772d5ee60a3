"""Mailgun: deliveries, opens, clicks and failures of e-mails, and incoming e-mails.

See docs/channels/mailgun.md.
"""

from ingest.connectors.mailgun.connector import Mailgun, MailgunOptions

__all__ = ["Mailgun", "MailgunOptions"]
