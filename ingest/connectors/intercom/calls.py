"""Calls of Intercom Phone."""

from __future__ import annotations

from typing import Any

from ingest.kit.fields import id_text
from schemas.times import SECOND_MS, parse_ms

#: Reason why a call ended that nobody answered -> outcome; any other: no_answer.
_OUTCOMES = {"voicemail": "voicemail", "busy": "busy", "failed": "failed", "canceled": "canceled"}


def called(topic: str, item: dict[str, Any]) -> dict[str, Any]:
    """Return what a topic of a call says beyond its type; nothing for another."""
    if item.get("type") != "call":
        return {}
    outbound = item.get("direction") == "outbound"
    fields = {"channel": "phone", "direction": "outbound" if outbound else "inbound"}
    return {**fields, **_ended(item)} if topic == "call.ended" else fields


def _ended(item: dict[str, Any]) -> dict[str, Any]:
    reason = str(item.get("ended_reason"))
    answered, ended = _ms(item.get("answered_at")), _ms(item.get("ended_at"))
    if answered is None and reason != "completed":
        return {"type": "call_missed", "outcome": _OUTCOMES.get(reason, "no_answer")}
    duration = None if answered is None or ended is None else (ended - answered) / SECOND_MS
    known = duration is not None and duration >= 0
    return {
        "type": "call_completed",
        "outcome": "answered",
        "duration_s": duration if known else None,
    }


def _ms(value: object) -> int | None:
    """Return a time, which is RFC 3339 or seconds since 1970; None if it is neither."""
    text = id_text(value)
    if text is None:
        return None
    if text.isascii() and text.isdigit() and len(text) < 12:
        return int(text) * SECOND_MS
    try:
        return parse_ms(text)
    except (ValueError, OverflowError):
        return None
