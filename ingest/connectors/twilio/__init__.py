"""Twilio: calls, SMS and WhatsApp messages. See docs/channels/twilio.md."""

from ingest.connectors.twilio.connector import Twilio, TwilioOptions

__all__ = ["Twilio", "TwilioOptions"]
