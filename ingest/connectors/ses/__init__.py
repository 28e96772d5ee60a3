"""Amazon SES through SNS. See docs/channels/ses.md."""

from ingest.connectors.ses.connector import Ses, SesOptions

__all__ = ["Ses", "SesOptions"]
