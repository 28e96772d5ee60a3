"""A real Apache Kafka, the workload in it, and a contender's progress as its topics show it."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from confluent_kafka import Producer
from kafka import KafkaAdminClient, KafkaConsumer, TopicPartition
from kafka.admin import NewTopic

from benchmarks.workload import PARTITIONS, Event
from deploy.local.kafka import KafkaNode, LocalKafka
from deploy.local.ports import free_port
from schemas.topics import partition_of


@contextlib.contextmanager
def broker(data: Path) -> Iterator[LocalKafka]:
    """Run Apache Kafka on the same cores. It stamps each record with the time of appending it."""
    stamped = {"log.message.timestamp.type": "LogAppendTime"}
    with LocalKafka(KafkaNode(data, free_port(), heap="768m", properties=stamped)) as node:
        yield node


def create(servers: str, names: Sequence[str], partitions: int = PARTITIONS) -> None:
    """Create topics of one replica."""
    admin: Any = KafkaAdminClient(bootstrap_servers=servers)
    admin.create_topics([NewTopic(name, partitions, 1) for name in names])
    admin.close()


def topics_of(servers: str, prefix: str) -> list[str]:
    """Return every topic of a contender; some libraries put words in front of the prefix."""
    admin: Any = KafkaAdminClient(bootstrap_servers=servers)
    names = [name for name in admin.list_topics() if prefix in name]
    admin.close()
    return names


def delete(servers: str, names: Sequence[str]) -> None:
    """Delete finished topics, so that the next contender finds memory and disk free."""
    admin: Any = KafkaAdminClient(bootstrap_servers=servers)
    admin.delete_topics(list(names))
    admin.close()


def fill(servers: str, topic: str, events: Iterable[Event]) -> None:
    """Publish the workload."""
    settings = {"linger.ms": 20, "batch.size": 500_000, "compression.type": "snappy"}
    producer = Producer({"bootstrap.servers": servers, "acks": "all", **settings})
    for event in events:
        partition = partition_of(event.key, PARTITIONS)
        while True:
            try:
                producer.produce(topic, event.value, event.key, partition=partition)
                break
            except BufferError:
                producer.poll(0.1)
    producer.flush()


class Ends:
    """A counter of the records in some topics."""

    def __init__(self, servers: str, topics: Sequence[str]) -> None:
        self._consumer: Any = KafkaConsumer(bootstrap_servers=servers)
        self._partitions = [
            TopicPartition(topic, n)
            for topic in topics
            for n in self._consumer.partitions_for_topic(topic)
        ]

    def count(self) -> int:
        """Return the number of records published so far."""
        return sum(self._consumer.end_offsets(self._partitions).values())

    def close(self) -> None:
        """Disconnect."""
        self._consumer.close()


def positions(servers: str, topics: Sequence[str]) -> dict[TopicPartition, int]:
    """Return the next offset of every partition of these topics."""
    consumer: Any = KafkaConsumer(bootstrap_servers=servers)
    names = [TopicPartition(t, n) for t in topics for n in consumer.partitions_for_topic(t)]
    found: dict[TopicPartition, int] = consumer.end_offsets(names)
    consumer.close()
    return found


def published_last(
    servers: str, topics: Sequence[str], since: Mapping[TopicPartition, int]
) -> float:
    """Return the time when the last record since some positions was appended (s since 1970)."""
    consumer: Any = KafkaConsumer(bootstrap_servers=servers)
    times = []
    for name, end in positions(servers, topics).items():
        if end > since.get(name, 0):
            consumer.assign([name])
            consumer.seek(name, end - 1)
            times.append(_timestamp(consumer) / 1000)
    consumer.close()
    return max(times)


def _timestamp(consumer: Any) -> int:
    while True:
        for records in consumer.poll(1000, max_records=1).values():
            timestamp: int = records[0].timestamp
            return timestamp
