"""A violation of the tracking plan: a difference between an event and the plan of its source."""

from __future__ import annotations

import base64
import json
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import msgspec

from schemas.times import rfc3339

_NAMESPACE = uuid.UUID("5b1f6f0e-6a0e-5b52-9c3e-0d6f4c2f7a11")


class Violation(NamedTuple):
    """One difference: the expected and the received type. Never a value of the event."""

    #: The field, such as `properties.items[].sku`; '' for the event as a whole.
    place: str
    #: The keyword of JSON Schema that was violated, or `unplanned`.
    rule: str
    expected: str
    #: A JSON type, `nothing`, or a note that it is another one.
    came: str

    def __str__(self) -> str:
        return f"{self.place or 'the event'}: expected {self.expected}, came {self.came}"


@dataclass(frozen=True, slots=True)
class Violations:
    """All differences of one event, at least one, each place and rule once."""

    event_id: str
    type: str
    #: The type's name in the plan, '' if the plan has none of this name.
    planned_type: str
    found: tuple[Violation, ...]
    #: True if the event was rejected for it.
    rejected: bool
    #: The event as it was sent.
    payload: Callable[[], bytes]

    @property
    def action(self) -> str:
        """Return `rejected` or `warned`."""
        return "rejected" if self.rejected else "warned"


def violation_id(source: str, event_id: str, violation: Violation) -> str:
    """Return the id of one difference of one event: a redelivery of the event has the same."""
    name = [source, event_id, violation.place, violation.rule]
    return str(uuid.uuid5(_NAMESPACE, json.dumps(name)))


def violation_row(
    violation: Violation, of: Violations, *, source: str, received_ms: int, example: bytes
) -> bytes:
    """Return the row of `plan_violations`, one line of JSON.

    `example`: the event as sent, or nothing.
    """
    return msgspec.json.encode(
        {
            "violation_id": violation_id(source, of.event_id, violation),
            "source": source,
            "type": of.type,
            "event_id": of.event_id,
            "place": violation.place,
            "rule": violation.rule,
            "expected": violation.expected,
            "came": violation.came,
            "action": of.action,
            "received_at": rfc3339(received_ms),
            "payload_base64": base64.b64encode(example).decode(),
        }
    )
