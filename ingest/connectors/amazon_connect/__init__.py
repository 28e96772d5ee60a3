"""Amazon Connect: contact records of calls, chats, tasks and e-mails.

See docs/channels/amazon_connect.md.
"""

from ingest.connectors.amazon_connect.connector import AmazonConnect, AmazonConnectOptions

__all__ = ["AmazonConnect", "AmazonConnectOptions"]
