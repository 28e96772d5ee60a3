"""Calls of Messenger, between a page and its customers.

Source:
https://developers.facebook.com/documentation/business-messaging/messenger-platform/calling/webhooks
"""

from __future__ import annotations

from typing import Any

from ingest.connectors.meta.account import Account
from ingest.kit.fields import Fields, derived_id, identifiers, snake_case

#: Fields with fields of their own in a touchpoint, and the description of the audio stream.
_MAPPED = frozenset({"from", "to", "recipient_id", "timestamp", "session"})


def fields(read: Fields, account: Account) -> dict[str, Any]:
    """Return the fields of one event of a call.

    The end of a call names nobody but the call: an anonymous id stands for whoever is on the line,
    whom the events before have named.
    """
    call = read.id("id")
    told = read.text("event") or ""
    status = read.text("call_status") or ""
    kind, outcome = _type(told, status, read)
    ours = read.peek("call_direction") == "business_initiated" or told == "call_status"
    people = (read.id(name) for name in ("from", "to", "recipient_id"))
    customer = next((one for one in people if one not in (None, account.id)), None)
    suffix = ":".join(filter(None, (told, status)))
    return {
        "event_id": f"{call}:{suffix}"
        if call and told != "media_update"
        else derived_id({**dict(read.values()), "account": account.id}),
        "channel": "phone",
        "type": kind,
        "direction": "outbound" if ours else "inbound",
        "identifiers": identifiers(
            (account.kind, customer), ("anonymous_id", f"meta-call-{call}" if call else None)
        ),
        "occurred_at": read.instant("timestamp") or account.time,
        "outcome": outcome,
        "duration_s": read.seconds("duration") if kind == "call_completed" else None,
        "properties": {
            **{name: value for name, value in read.values() if name not in _MAPPED},
            "account_id": account.id,
        },
    }


def _type(told: str, status: str, read: Fields) -> tuple[str, str | None]:
    """Return type and outcome; a call that ended without a duration was never answered."""
    if told != "terminate":
        return f"meta_call_{snake_case(status or told)}", None
    if (read.text("status") or "").lower() == "failed":
        return "call_missed", "failed"
    return ("call_completed", "answered") if "duration" in read else ("call_missed", "no_answer")
