"""The meaning of a contact record: a call, a chat, a task or an e-mail, and what became of it."""

from __future__ import annotations

from typing import NamedTuple

from ingest.kit.fields import Fields, snake_case
from schemas.times import SECOND_MS, parse_ms

#: Channel -> the initiation methods by which the company turns to the customer.
_OUTBOUND = {
    "VOICE": frozenset({"OUTBOUND", "CALLBACK", "API", "CAMPAIGN_PREVIEW", "EXTERNAL_OUTBOUND"}),
    "EMAIL": frozenset({"OUTBOUND", "AGENT_REPLY", "FLOW"}),
}
#: Contacts beside the one with the customer: a supervisor listens in, a flow runs after the end.
_BESIDE = frozenset({"MONITOR", "DISCONNECT"})
THIRD_PARTY = "EXTERNAL_OUTBOUND"
#: DisconnectReason, or what the detection of answering machines found -> outcome of a call in
#: which nobody spoke.
OUTCOMES = {
    "TELECOM_BUSY": "busy",
    "TELECOM_UNANSWERED": "no_answer",
    "TELECOM_TIMEOUT": "no_answer",
    "TELECOM_PROBLEM": "failed",
    "TELECOM_NUMBER_INVALID": "failed",
    "TELECOM_POTENTIAL_BLOCKING": "failed",
    "TELECOM_ORIGINATOR_CANCEL": "canceled",
    "CUSTOMER_NEVER_ARRIVED": "canceled",
    "OUTBOUND_DESTINATION_ENDPOINT_ERROR": "failed",
    "OUTBOUND_RESOURCE_ERROR": "failed",
    "OUTBOUND_ATTEMPT_FAILED": "failed",
    "OUTBOUND_PREVIEW_DISCARDED": "canceled",
    "OUTBUND_PREVIEW_DISCARDED": "canceled",  # as Amazon's page has it
    "EXPIRED": "canceled",
    "SIT_TONE_BUSY": "busy",
    "SIT_TONE_INVALID_NUMBER": "failed",
    "SIT_TONE_DETECTED": "failed",
    "AMD_UNANSWERED": "no_answer",
}
_VOICEMAIL = frozenset({"VOICEMAIL_BEEP", "VOICEMAIL_NO_BEEP", "FAX_MACHINE_DETECTED"})
_BY_A_FLOW = "CONTACT_FLOW_DISCONNECT"


class Contact(NamedTuple):
    """The fields that decide the meaning of a record."""

    channel: str
    method: str
    is_outbound: bool
    reason: str
    machine: str
    #: Seconds in which an agent spoke with the customer.
    talk_s: float | None
    has_agent: bool
    #: The contact went on under another id: in another queue, with another agent, as a callback.
    goes_on: bool

    @classmethod
    def of(cls, read: Fields) -> Contact:
        """Read a record."""
        channel, method = read.text("Channel") or "", read.text("InitiationMethod") or ""
        direction = segment(read, "connect:Direction")
        if direction not in ("INBOUND", "OUTBOUND"):
            outbound = _OUTBOUND.get(channel, frozenset({"OUTBOUND"}))
            direction = "OUTBOUND" if method in outbound else "INBOUND"
        return cls(
            channel,
            method,
            direction == "OUTBOUND",
            read.text("DisconnectReason") or "",
            read.text("AnsweringMachineDetectionStatus") or "",
            read.inside("Agent").seconds("AgentInteractionDuration"),
            bool(read.object("Agent")),
            bool(read.peek("NextContactId")),
        )


def told(contact: Contact, read: Fields) -> tuple[str, str | None]:
    """Return type and outcome."""
    if contact.method in _BESIDE:
        return f"amazon_connect_{snake_case(contact.method)}", None
    if contact.channel == "VOICE":
        return _call(contact, read)
    if contact.channel == "CHAT":
        return _chat(contact)
    kind = _work(contact) or f"amazon_connect_{snake_case(contact.channel) or 'contact'}"
    return kind, snake_case(contact.reason) or None


def _chat(contact: Contact) -> tuple[str, str | None]:
    if contact.goes_on and not contact.has_agent:
        return "conversation_transferred", None
    return "conversation_closed", "answered" if contact.has_agent else "no_answer"


def _work(contact: Contact) -> str | None:
    """Return the type of a task or an e-mail; None for other channels."""
    if contact.channel == "TASK":
        return "task_expired" if contact.reason == "EXPIRED" else "task_completed"
    if contact.channel != "EMAIL":
        return None
    if not contact.is_outbound:
        return "email_received"
    return "email_dropped" if contact.reason == "DISCARDED" else "email_processed"


def _call(contact: Contact, read: Fields) -> tuple[str, str | None]:
    outcome = _outcome(contact, read)
    if outcome == "answered":
        return "call_completed", outcome
    if contact.goes_on and outcome == "no_answer":
        return "call_transferred", None
    return "call_missed", outcome


def _outcome(contact: Contact, read: Fields) -> str:
    """Return the outcome of a call.

    It is answered if an agent spoke with the caller, or whoever was called with anybody. A caller
    whom a flow served without any queue was answered too; one who left before was not.
    """
    if contact.machine in _VOICEMAIL:
        return "voicemail"
    if contact.talk_s:
        return "answered"
    known = OUTCOMES.get(contact.machine) or OUTCOMES.get(contact.reason)
    if known:
        return known
    if contact.is_outbound:
        return "answered" if "ConnectedToSystemTimestamp" in read else "no_answer"
    served = contact.reason == _BY_A_FLOW and not (contact.goes_on or "Queue" in read)
    return "answered" if contact.has_agent or served else "no_answer"


def duration(outcome: str | None, contact: Contact, read: Fields) -> float | None:
    """Return the seconds of talk; of a call that a flow served alone, from its start to its end."""
    if outcome != "answered":
        return None
    if contact.has_agent or contact.channel != "VOICE":
        return contact.talk_s
    start, end = (
        _milliseconds(read, name) for name in ("ConnectedToSystemTimestamp", "DisconnectTimestamp")
    )
    return max(end - start, 0) / SECOND_MS if start is not None and end is not None else None


def _milliseconds(read: Fields, name: str) -> int | None:
    text = read.text(name)
    if text is None:
        return None
    try:
        return parse_ms(text)
    except (ValueError, OverflowError):
        read.wrong(name, "must be an RFC 3339 time")
        return None


def segment(read: Fields, name: str) -> str | None:
    """Return a segment attribute, which is inside an object."""
    value = read.object("SegmentAttributes").get(name)
    return Fields(value).peek("ValueString") if isinstance(value, dict) else None
