"""Touches as they come in: decoded, and without redeliveries of known events."""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import blake2b
from typing import NamedTuple

import msgspec

from processors.stage import Decision, Failure, Record, Store
from schemas import touchpoint_row
from schemas.times import parse_ms
from schemas.touchpoint_row import TouchpointRow


class Touch(NamedTuple):
    """A first delivery: its position in the log, its content, the time it occurred (ms)."""

    offset: int
    record: Record
    row: TouchpointRow
    at_ms: int

    @classmethod
    def of(cls, record: Record) -> Touch:
        """Decode a record. Raises msgspec.DecodeError or ValueError if it cannot be read."""
        row = touchpoint_row.decode(record.value)
        return cls(record.offset, record, row, parse_ms(row.occurred_at))


def first_deliveries(records: Sequence[Record], store: Store, decision: Decision) -> list[Touch]:
    """Return the touches that are not redeliveries of a known event.

    Adds to the decision the ids of new events, the number of redeliveries, and the records that
    cannot be read.
    """
    touches = _readable(records, decision)
    hashes = [_event_hash(touch.row) for touch in touches]
    known = store.seen_many(hashes)
    new = decision.seen
    first = []
    for touch, digest, seen in zip(touches, hashes, known, strict=True):
        earlier = new.get(digest) if seen is None else seen
        if earlier is not None and earlier < touch.offset:
            continue
        if seen is None:
            new[digest] = touch.offset
        first.append(touch)
    decision.counts["redelivered"] = len(touches) - len(first)
    return first


def _readable(records: Sequence[Record], decision: Decision) -> list[Touch]:
    """Decode the readable records; halving a batch for each other one would cost too much."""
    try:
        return [Touch.of(record) for record in records]
    except (msgspec.DecodeError, ValueError):
        pass
    touches = []
    for record in records:
        try:
            touches.append(Touch.of(record))
        except (msgspec.DecodeError, ValueError) as error:
            decision.failed.append(Failure.of(record, error))
    return touches


def _event_hash(touch: TouchpointRow) -> bytes:
    """Return the hash that identifies an event: source, event id and lead identifier."""
    name = f"{touch.source}\x00{touch.event_id}\x00{touch.lead_id}"
    return blake2b(name.encode(), digest_size=16).digest()
