"""Messages by SMS, RCS, WhatsApp and Messenger.

Source: https://www.twilio.com/docs/messaging/guides/webhook-request (what came in),
…/messaging/api/message-resource#message-status-values (statuses),
…/messaging/tutorials/advanced-opt-out (OptOutType). Messages of WhatsApp and Messenger are what the
connector `meta` makes of them: both are doors to one network.
"""

from __future__ import annotations

from typing import Any

from ingest.connectors.twilio.addresses import Address, Company
from ingest.kit.fields import Fields, campaign, identifiers, snake_case, subject

#: MessageStatus of an SMS -> type.
SMS = {
    "received": "sms_received",
    "delivered": "sms_delivered",
    "undelivered": "sms_failed",
    "failed": "sms_failed",
}
#: MessageStatus of a message of WhatsApp or Messenger -> type.
APPS = {
    "received": "message_received",
    "sent": "message_sent",
    "delivered": "message_delivered",
    "read": "message_read",
    "undelivered": "message_failed",
    "failed": "message_failed",
}
#: The consent purpose of the company's SMS.
SMS_MARKETING = "sms_marketing"
#: OptOutType -> the decision. HELP is none.
DECISIONS = {"STOP": False, "START": True}
_INCOMING = frozenset({"received", "receiving"})
#: Fields that a button or an entry of a list brings.
_PRESSED = ("ButtonPayload", "ButtonText", "ListId")


def message(sid: str, read: Fields, company: Company) -> dict[str, Any]:
    """Return the fields of the touchpoint of a message."""
    status = read.text("MessageStatus") or read.text("SmsStatus")
    if status is None:
        read.wrong("MessageStatus", "must be text, for instance delivered")
    incoming = status in _INCOMING
    address, customer = company.customer(read, *(("From", "To") if incoming else ("To", "From")))
    kind = (APPS if address.is_app else SMS).get(status or "")
    if kind == "message_received":
        kind = _written(read)
    text = read.text("Body")
    return {
        "event_id": f"{sid}:{status}",
        "channel": "social" if address.is_app else "phone",
        "type": kind or f"twilio_message_{snake_case(status or '')}",
        # As with Meta: whoever reads turns to the company.
        "direction": "inbound" if incoming or kind == "message_read" else "outbound",
        "outcome": _failure(kind, status, read),
        "identifiers": identifiers(*customer),
        "traits": _name(read) if incoming else {},
        "consent": _decision(read, address, company) if incoming else {},
        "campaign": _advertisement(read) if incoming else None,
        "subject": subject(text),
        "properties": {"text": text} if text else {},
    }


def _written(read: Fields) -> str:
    """Return the type of a message that a customer wrote in an app."""
    if any(map(read.peek, _PRESSED)):
        return "postback_received"
    if read.peek("MessageType") == "reaction":
        return "message_reacted" if read.peek("Body") else "message_unreacted"
    return "message_received"


def _failure(kind: str | None, status: str | None, read: Fields) -> str | None:
    if kind == "message_failed":
        return read.peek("ErrorCode") or status
    return status if kind == "sms_failed" else None


def _name(read: Fields) -> dict[str, str]:
    name = read.peek("ProfileName")
    return {"name": name} if name else {}


def _decision(read: Fields, address: Address, company: Company) -> dict[str, bool]:
    """Return the decision that Twilio found in a message, in whatever language it was written."""
    decision = DECISIONS.get((read.peek("OptOutType") or "").strip().upper())
    purpose = company.purpose if address.is_app else SMS_MARKETING
    return {} if decision is None else {purpose: decision}


def _advertisement(read: Fields) -> dict[str, str] | None:
    """Return the advertisement that the customer came from, as the campaign."""
    is_ad = (read.peek("ReferralSourceType") or "").lower() == "ad"
    return campaign(read.peek("ReferralSourceId")) if is_ad else None
