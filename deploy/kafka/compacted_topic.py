"""A compacted topic of few records, read from its beginning: the last value of each key.

All records are in one fixed partition, regardless of how many the broker gave the topic. Every
function raises kafka-python's KafkaError or OSError, soon if Kafka is unreachable.
"""

from __future__ import annotations

import contextlib
from collections.abc import Generator
from typing import Any

from kafka import KafkaConsumer, KafkaProducer, TopicPartition

from deploy.config.sections import KafkaSettings
from deploy.kafka.clients import blocking

_PARTITION = 0
#: A Kafka that does not answer within this time counts as unreachable.
_BOOTSTRAP_MS = 5_000
_POLL_MS = 1_000
_ACKNOWLEDGE_S = 20

#: Key -> its last value. Keys that were deleted are missing.
Content = dict[str, bytes]


def read(kafka: KafkaSettings, topic: str) -> Content | None:
    """Return the present content of a topic; None if there is no such topic."""
    with contextlib.closing(follow(kafka, topic)) as contents:
        return next(contents, None)


def follow(kafka: KafkaSettings, topic: str) -> Generator[Content, None, None]:
    """Yield the content of a topic as it is now, and again at least once a second.

    The first content is complete. Ends at once if there is no such topic.
    """
    consumer: Any = KafkaConsumer(
        **blocking(kafka),
        enable_auto_commit=False,
        auto_offset_reset="earliest",
        bootstrap_timeout_ms=_BOOTSTRAP_MS,
    )
    with contextlib.closing(consumer):
        if _PARTITION not in (consumer.partitions_for_topic(topic) or ()):
            return
        partition = TopicPartition(topic, _PARTITION)
        consumer.assign([partition])
        consumer.seek_to_beginning(partition)
        end = consumer.end_offsets([partition])[partition]
        last: dict[str, bytes | None] = {}
        while True:
            if consumer.position(partition) >= end:
                yield {key: value for key, value in last.items() if value}
            for record in consumer.poll(_POLL_MS).get(partition, ()):
                last[record.key.decode()] = record.value


class Writer:
    """A writer to one compacted topic, which connects on first use."""

    def __init__(self, kafka: KafkaSettings, topic: str) -> None:
        self._kafka = kafka
        self._topic = topic
        self._producer: Any = None

    def write(self, key: str, value: bytes | None) -> None:
        """Set the value of a key, or delete the key; return when all replicas have it."""
        if self._producer is None:
            self._producer = KafkaProducer(**blocking(self._kafka), acks="all")
        sent = self._producer.send(self._topic, value, key.encode(), partition=_PARTITION)
        sent.get(timeout=_ACKNOWLEDGE_S)

    def close(self) -> None:
        """Disconnect."""
        producer, self._producer = self._producer, None
        if producer is not None:
            producer.close(timeout=1)
