"""Calls, and what Twilio reports about a call beside its status.

Source: https://www.twilio.com/docs/voice/api/call-resource#statuscallback (statuses),
…/voice/answering-machine-detection, …/voice/api/recording#recordingstatuscallback,
…/voice/twiml/record#transcribecallback, …/voice/twiml/conference#statuscallback.
"""

from __future__ import annotations

from typing import Any

from ingest.connectors.twilio.addresses import Company
from ingest.kit.fields import Fields, identifiers, snake_case

#: CallStatus of a call that has ended -> (type, outcome).
CALL_ENDS = {
    "completed": ("call_completed", "answered"),
    "no-answer": ("call_missed", "no_answer"),
    "busy": ("call_missed", "busy"),
    "failed": ("call_missed", "failed"),
    "canceled": ("call_missed", "canceled"),
}
#: AnsweredBy of a call that no person took.
MACHINES = frozenset(
    {"machine_start", "machine_end_beep", "machine_end_silence", "machine_end_other", "fax"}
)
_INCOMING = frozenset({"inbound", "trunking-originating"})
#: What belongs to a call and has an id of its own: (field of the id, fields of the status, name).
#: A transcription also names its recording.
_PARTS = (
    ("TranscriptionSid", ("TranscriptionStatus", "TranscriptionEvent"), "transcription"),
    ("RecordingSid", ("RecordingStatus",), "recording"),
    ("ConferenceSid", ("StatusCallbackEvent",), "conference"),
)


def call(sid: str, read: Fields, company: Company) -> dict[str, Any]:
    """Return the fields of the touchpoint of a call, or of a part of it."""
    incoming = read.text("Direction") in _INCOMING
    told = _part(sid, read) or _status(sid, read)
    sides = ("From", "To") if incoming else ("To", "From")
    _, customer = company.customer(read, *sides)
    return {
        "channel": "phone",
        "direction": "inbound" if incoming else "outbound",
        **told,
        "identifiers": identifiers(*customer),
    }


def _status(sid: str, read: Fields) -> dict[str, Any]:
    status, answered_by = read.text("CallStatus"), read.peek("AnsweredBy")
    if status is None and answered_by:
        # The callback of a detection that went on beside the call.
        return {
            "event_id": f"{sid}:answered_by:{answered_by}",
            "type": f"twilio_answered_by_{snake_case(answered_by)}",
        }
    if status is None:
        read.wrong("CallStatus", "must be text, for instance completed")
    kind, outcome = CALL_ENDS.get(status or "") or (f"twilio_call_{snake_case(status or '')}", None)
    # Several callbacks before the end may have the same status.
    number = None if outcome else read.id("SequenceNumber")
    # Twilio's `Duration` counts minutes.
    duration = read.seconds("CallDuration")
    if outcome == "answered" and answered_by in MACHINES:
        kind, outcome = "call_missed", "voicemail"
    return {
        "event_id": ":".join(part for part in (sid, status, number) if part),
        "type": kind,
        "outcome": outcome,
        "duration_s": duration if outcome == "answered" else None,
    }


def _part(sid: str, read: Fields) -> dict[str, Any] | None:
    for field, statuses, name in _PARTS:
        if part := read.peek(field):
            status = next(filter(None, map(read.peek, statuses)), "completed")
            if name == "conference":
                part = f"{part}:{sid}"
            number = read.id("SequenceNumber")
            return {
                "event_id": ":".join(filter(None, (part, status, number))),
                "type": f"twilio_{name}_{snake_case(status.removeprefix(f'{name}-'))}",
            }
    return None
