"""Lag of every consumer group, read from the broker itself."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

import structlog
from kafka import KafkaAdminClient, TopicPartition
from kafka.admin import OffsetSpec
from kafka.errors import (
    CoordinatorLoadInProgressError,
    CoordinatorNotAvailableError,
    KafkaError,
    NotCoordinatorError,
)

from deploy.config.sections import KafkaSettings
from deploy.kafka.clients import blocking

_log = structlog.get_logger(__name__)
_ATTEMPTS = 50
#: Errors of a broker that has just started, or never had a group.
_NOT_READY = (CoordinatorNotAvailableError, CoordinatorLoadInProgressError, NotCoordinatorError)


class Reader(NamedTuple):
    """A consumer group and one topic that it reads, under their names on the broker."""

    group: str
    topic: str


class Lag(NamedTuple):
    """One partition as seen by one group. `committed` is 0 before the first commit."""

    reader: Reader
    partition: int
    start: int
    end: int
    committed: int

    @property
    def records(self) -> int:
        """Number of records that the group has not committed yet."""
        return max(0, self.end - max(self.committed, self.start))


class Lags(Protocol):
    """A source of lags, as flow control and draining need it."""

    def read(self) -> list[Lag]:
        """Return every partition of every reader, those nearest to the source first."""


@dataclass(frozen=True, slots=True)
class _Offsets:
    start: dict[TopicPartition, int]
    end: dict[TopicPartition, int]


class BrokerLags:
    """The lags as reported by the broker; works on Apache Kafka and on the embedded broker."""

    def __init__(self, kafka: KafkaSettings, readers: Iterable[Reader]) -> None:
        self._readers = tuple(readers)
        self._admin: Any = KafkaAdminClient(**blocking(kafka), bootstrap_timeout_ms=10_000)
        self._partitions = self._describe()

    def read(self) -> list[Lag]:
        """Return all lags, never too low: commits are read before ends, so one may be too high."""
        committed = {group: self._committed(group) for group in {r.group for r in self._readers}}
        offsets = self._offsets()
        return [
            Lag(
                reader,
                partition.partition,
                offsets.start[partition],
                offsets.end[partition],
                committed[reader.group].get(partition, 0),
            )
            for reader in self._readers
            for partition in self._partitions[reader.topic]
        ]

    def close(self) -> None:
        """Disconnect."""
        self._admin.close()

    def _describe(self) -> dict[str, list[TopicPartition]]:
        topics = sorted({reader.topic for reader in self._readers})
        return {
            topic["name"]: [
                TopicPartition(topic["name"], p["partition_index"]) for p in topic["partitions"]
            ]
            for topic in self._admin.describe_topics(topics)
        }

    def _committed(self, group: str) -> dict[TopicPartition, int]:
        """Return the commits of one group; the embedded broker accepts one group per request."""
        wanted = [p for r in self._readers if r.group == group for p in self._partitions[r.topic]]
        for attempt in range(_ATTEMPTS):
            try:
                found = self._admin.list_group_offsets({group: wanted})[group]
                break
            except _NOT_READY:
                if attempt == _ATTEMPTS - 1:
                    raise
                time.sleep(0.2)
        return {partition: max(0, at.offset) for partition, at in found.items()}

    def _offsets(self) -> _Offsets:
        everything = [p for partitions in self._partitions.values() for p in partitions]

        def ask(spec: OffsetSpec) -> dict[TopicPartition, int]:
            answer = self._admin.list_partition_offsets(dict.fromkeys(everything, spec))
            return {partition: at.offset for partition, at in answer.items()}

        return _Offsets(ask(OffsetSpec.EARLIEST), ask(OffsetSpec.LATEST))


def settled(kafka: KafkaSettings, readers: Iterable[Reader], timeout: float) -> bool:
    """Wait as `drain` does, on the broker; return False also if it cannot be reached."""
    try:
        with contextlib.closing(BrokerLags(kafka, readers)) as lags:
            return drain(lags, timeout)
    except (KafkaError, OSError) as error:
        _log.warning("kafka_unreachable", error=type(error).__name__)
        return False


def drain(
    lags: Lags,
    timeout: float,
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
    give_up: Callable[[], bool] = lambda: False,
) -> bool:
    """Wait until all records now in the topics have reached ClickHouse; return False on timeout.

    Waits for one reader after the other, starting at the source: a reader publishes before it
    commits, so the reading that shows it caught up (commits are read before ends) also has the ends
    that the next reader must reach. (Lag never stays zero by itself: the stages send each other
    watermarks.)
    """
    deadline = clock() + timeout
    now = lags.read()
    for reader in dict.fromkeys(lag.reader for lag in now):
        goal = {lag.partition: lag.end for lag in now if lag.reader == reader}
        while any(
            max(lag.committed, lag.start) < goal[lag.partition]
            for lag in now
            if lag.reader == reader
        ):
            if clock() > deadline or give_up():
                return False
            sleep(0.1)
            now = lags.read()
    return True
