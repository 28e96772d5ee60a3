"""The limits of what is taken in: the same for the gateway, imports and replays."""

from __future__ import annotations

from dataclasses import dataclass

MIB = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Limits:
    """Bounds of a body and of the events in it; sizes in bytes."""

    #: A body, before and after decompression.
    max_body_bytes: int = 5 * MIB
    #: Levels of nesting of an event.
    max_depth: int = 64
    #: Events in one body.
    max_events: int = 10_000
    #: The part of a refused body or event that is kept; its row must fit into one Kafka record.
    max_kept_bytes: int = 512 * 1024
