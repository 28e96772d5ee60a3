"""Amazon SES: deliveries, opens, clicks and bounces of e-mails, through Amazon SNS.

See docs/channels/ses.md.
"""

from ingest.connectors.ses.connector import Ses, SesOptions

__all__ = ["Ses", "SesOptions"]
