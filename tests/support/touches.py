"""Touches for tests, in few words."""

from __future__ import annotations

from typing import Any

from schemas.touchpoint import Touchpoint

#: 2026-05-01T00:00:00Z
MAY = 1_777_593_600_000


def touch(event_id: str, *identifiers: tuple[str, str], **changes: Any) -> Touchpoint:
    """A page view on 1 May 2026 unless `changes` says otherwise."""
    return Touchpoint.model_validate(
        {
            "event_id": event_id,
            "channel": "web",
            "type": "page_viewed",
            "identifiers": [{"kind": kind, "value": value} for kind, value in identifiers],
            "occurred_at": "2026-05-01T00:00:00Z",
        }
        | changes
    )


def order(event_id: str, *identifiers: tuple[str, str], amount: str, **changes: Any) -> Touchpoint:
    """A completed order in yen unless `changes` says otherwise."""
    fields = {
        "channel": "commerce",
        "type": "order_completed",
        "value": {"amount": amount, "currency": "JPY"},
    }
    return touch(event_id, *identifiers, **fields | changes)
