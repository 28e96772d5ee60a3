"""The limits of what is taken in: the same for the gateway, imports and replays."""

from __future__ import annotations

from dataclasses import dataclass

MIB = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Limits:
    """Bounds of a body and of the events in it; sizes in bytes."""

    #: Largest body, before and after decompression.
    max_body_bytes: int = 5 * MIB
    #: Most levels of nesting in an event.
    max_depth: int = 64
    #: Most events in one body.
    max_events: int = 10_000
    #: Bytes that are stored of a refused body or event; the row must fit into one Kafka record.
    max_kept_bytes: int = 512 * 1024
