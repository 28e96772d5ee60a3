"""The publisher port in memory, for tests and dry runs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from ingest.publishing.port import Message, NotAcknowledged, checked
from schemas.topics import partition_of


class Stored(NamedTuple):
    """A record as `MemoryPublisher` keeps it."""

    topic: str
    partition: int
    key: bytes
    value: bytes


class MemoryPublisher:
    """The port in memory. `records` is what "Kafka" holds; `outage` makes it unreachable."""

    def __init__(self, partitions: int = 4) -> None:
        self.partitions = partitions
        self.records: list[Stored] = []
        self.outage: str | None = None
        self._started = False

    async def start(self) -> None:
        """See `Publisher`."""
        self._started = True

    async def stop(self, grace_s: float) -> None:
        """See `Publisher`."""
        self._started = False

    @property
    def problem(self) -> str | None:
        """See `Publisher`."""
        return self.outage if self._started else "the publisher is not started"

    async def publish(self, messages: Sequence[Message]) -> None:
        """See `Publisher`."""
        if self.problem is not None:
            raise NotAcknowledged(self.problem)
        self.records += [
            Stored(m.topic, partition_of(m.key, self.partitions), m.key, checked(m.value))
            for m in messages
        ]

    def of(self, topic: str) -> list[Stored]:
        """The records of one topic, in the order of their publication."""
        return [record for record in self.records if record.topic == topic]
