"""Records that arrive while an epoch is built, copied from the topics of the present generation.

Touches are copied only after the links that they asked for, and as far as the present generation
has processed them, so that conflicts have the same result in both.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Mapping
from typing import Any

from kafka import KafkaConsumer, TopicPartition
from kafka.structs import OffsetAndMetadata

from deploy.config.sections import KafkaSettings
from deploy.kafka.clients import blocking
from deploy.kafka.operator_publisher import OperatorPublisher
from ingest.publishing.port import WRITTEN, Message
from schemas.topics import LINK_REQUESTS, full_name

GROUP = "touchline-rebuild"
#: Key of the records that `Switch` tries to write to a closed topic.
PROBE = b"closed?"
#: Topics in the order in which a round copies them.
COPIED = (LINK_REQUESTS, *WRITTEN)
_MOST = 4_000
_POLL_MS = 500

#: Partition -> offset.
Offsets = Mapping[int, int]


class LiveCopy:
    """A copier of records with unchanged key, bytes and time; a context manager.

    Its position is committed on the broker, after the copies are acknowledged, so that an
    interrupted copy continues there. A record that is copied twice is a redelivery and changes
    nothing.
    """

    def __init__(
        self, kafka: KafkaSettings, source: str, target: str, publisher: OperatorPublisher
    ) -> None:
        """Copy from the namespace `source` to `target`, to which the publisher must publish."""
        self._source = source
        self._publisher = publisher
        self._consumer: Any = KafkaConsumer(
            **blocking(kafka),
            group_id=full_name(target, GROUP),
            enable_auto_commit=False,
            auto_offset_reset="earliest",
            max_poll_records=_MOST,
            fetch_max_wait_ms=50,
        )
        self._known: dict[TopicPartition, int] = {}
        self._partitions = {
            topic.name: [
                TopicPartition(full_name(source, topic.name), number)
                for number in sorted(
                    self._consumer.partitions_for_topic(full_name(source, topic.name)) or ()
                )
            ]
            for topic in COPIED
        }

    def begin(self, topic: str, offsets: Offsets) -> None:
        """Set the offsets from which a topic is copied."""
        self._commit({p: offsets[p.partition] for p in self._partitions[topic]})

    def ends(self, topic: str) -> dict[int, int]:
        """Return the end offsets of the topic at this moment."""
        found = self._consumer.end_offsets(self._partitions[topic])
        return {partition.partition: offset for partition, offset in found.items()}

    def left(self, topic: str) -> int:
        """Return the number of records that are not copied yet."""
        ends = self.ends(topic)
        return sum(ends[p.partition] - self._position(p) for p in self._partitions[topic])

    def copy(self, topic: str, ends: Offsets, beat: Callable[[], None]) -> int:
        """Copy up to these ends; return the count. Raises `NotAcknowledged`."""
        positions = {p: self._position(p) for p in self._partitions[topic]}
        behind = [p for p, at in positions.items() if at < ends[p.partition]]
        self._consumer.assign(behind)
        for partition in behind:
            self._consumer.seek(partition, positions[partition])
        copied = 0
        while behind:
            beat()
            batch: list[Message] = []
            for partition, records in self._consumer.poll(_POLL_MS).items():
                batch += _messages(topic, records, ends[partition.partition])
            self._publisher.publish(batch)
            copied += len(batch)
            now = {p: min(self._consumer.position(p), ends[p.partition]) for p in behind}
            self._commit(now)
            behind = [p for p in behind if now[p] < ends[p.partition]]
            self._consumer.pause(*(p for p in now if p not in behind))
        return copied

    def __enter__(self) -> LiveCopy:
        return self

    def __exit__(self, *_: object) -> None:
        with contextlib.suppress(Exception):
            self._consumer.close()

    def _position(self, partition: TopicPartition) -> int:
        """Return the offset after the last record that was copied."""
        if partition not in self._known:
            committed = self._consumer.committed(partition)
            if committed is None:
                committed = self._consumer.beginning_offsets([partition])[partition]
            self._known[partition] = int(committed)
        return self._known[partition]

    def _commit(self, offsets: Mapping[TopicPartition, int]) -> None:
        self._consumer.commit(
            {partition: OffsetAndMetadata(offset, "", -1) for partition, offset in offsets.items()}
        )
        self._known |= offsets


def _messages(topic: str, records: list[Any], end: int) -> list[Message]:
    partition = 0 if topic == LINK_REQUESTS.name else None
    return [
        Message(topic, record.key, record.value, record.timestamp, partition)
        for record in records
        if record.offset < end and record.key != PROBE
    ]
