"""A mailbox, read by IMAP. See docs/channels/mailbox.md."""

from ingest.connectors.mailbox.connector import Mailbox, MailboxOptions

__all__ = ["Mailbox", "MailboxOptions"]
