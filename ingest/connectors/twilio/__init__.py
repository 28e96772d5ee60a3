"""Twilio: calls, messages and conversations. See docs/channels/twilio.md."""

from ingest.connectors.twilio.connector import Twilio, TwilioOptions

__all__ = ["Twilio", "TwilioOptions"]
