"""A mailbox: incoming e-mails and delivery reports, read over IMAP.

See docs/channels/mailbox.md.
"""

from ingest.connectors.mailbox.connector import Mailbox, MailboxOptions

__all__ = ["Mailbox", "MailboxOptions"]
