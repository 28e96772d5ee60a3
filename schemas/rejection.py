"""A rejection: input that could not be processed, stored with its bytes and a typed reason."""

from __future__ import annotations

import base64
from dataclasses import dataclass
from typing import Literal, get_args

import msgspec

from schemas.times import rfc3339
from schemas.violation import Violations

Reason = Literal[
    "unreadable",  # the body is not what the connector reads (not JSON, not UTF-8, too deep)
    "invalid",  # a field is missing, of the wrong type or out of its range
    "no_identifier",  # nothing names the customer
    "invalid_time",  # more than 24 hours in the future, or outside 1970 to 2100
    "too_large",  # the event or the body is over the limit
    "too_many",  # more events in a batch than allowed
    "violates_plan",  # not what the tracking plan of its source says
    "unsupported",  # a call that the connector knows and does not take
    "processing_failed",  # a stage could not process it
    "sink_rejected",  # ClickHouse could not read the row
]
REASONS: tuple[str, ...] = get_args(Reason)
#: The form of a rejection's payload.
Form = Literal[
    "",  # not known: kept by an older version, or by a connector that does not say
    "body",  # the whole body of a request
    "event",  # one event of a body
    "record",  # the value of a Kafka record
    "cut",  # only the beginning: it cannot be read again
]


@dataclass(frozen=True, slots=True)
class Rejection:
    """A rejected input: reason, a detail for people to read, the original bytes.

    The detail names the field and what was expected; it never repeats a value of the event.
    """

    reason: Reason
    detail: str
    payload: bytes
    #: The event's id if it could be read; only for the reply to the sender.
    event_id: str | None = None
    #: The differences from the tracking plan, with the reason `violates_plan`.
    violations: Violations | None = None


@dataclass(frozen=True, slots=True)
class Origin:
    """The origin of a payload: all that a replay needs beside the bytes.

    For a body or an event, `request` is the stored part of the HTTP request
    (`ingest.intake.replay_context`). For a record, the logical topic, partition and key are its
    position, and `epoch` is its computation; 0 if unknown.
    """

    form: Form = ""
    #: The configured source, '' for a record.
    source: str = ""
    connector: str = ""
    request: str = ""
    topic: str = ""
    partition: int = 0
    key: bytes = b""
    epoch: int = 0


def rejected_row(
    rejection: Rejection,
    origin: Origin,
    *,
    rejected_id: str,
    received_ms: int,
) -> bytes:
    """Return the row of `rejected_touchpoints`, one line of JSON."""
    return msgspec.json.encode(
        {
            "rejected_id": rejected_id,
            "source": origin.source,
            "connector": origin.connector,
            "reason": rejection.reason,
            "detail": rejection.detail,
            "payload_base64": base64.b64encode(rejection.payload).decode(),
            "received_at": rfc3339(received_ms),
            "form": origin.form,
            "request": origin.request,
            "topic": origin.topic,
            "partition": origin.partition,
            "key_base64": base64.b64encode(origin.key).decode(),
            "epoch": origin.epoch,
        }
    )
