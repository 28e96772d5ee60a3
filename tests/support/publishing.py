"""Records for a publisher in tests, and the records that then stand in its topics."""

from __future__ import annotations

import uuid

from aiokafka import AIOKafkaConsumer, TopicPartition

from deploy.config.embedded import PARTITIONS
from ingest.publishing.memory import Stored
from ingest.publishing.port import WRITTEN, KafkaConnection, Message
from schemas.topics import TOUCHPOINTS, full_name


def event(n: int, size: int = 20) -> Message:
    return touchpoint(str(uuid.UUID(int=n)).encode(), b"%d" % n + b"x" * size)


def touchpoint(key: bytes, value: bytes) -> Message:
    return Message(TOUCHPOINTS.name, key, value)


async def records_of(connection: KafkaConnection) -> list[Stored]:
    """All records of the topics, in the order of their partitions."""
    found = []
    consumer = AIOKafkaConsumer(
        bootstrap_servers=connection.bootstrap_servers,
        enable_auto_commit=False,
        auto_offset_reset="earliest",
    )
    await consumer.start()
    try:
        for topic in (topic.name for topic in WRITTEN):
            name = full_name(connection.namespace, topic)
            for n in range(PARTITIONS):
                partition = TopicPartition(name, n)
                consumer.assign([partition])
                end = (await consumer.end_offsets([partition]))[partition]
                while await consumer.position(partition) < end:
                    for batch in (await consumer.getmany(timeout_ms=100)).values():
                        found += [Stored(topic, n, r.key, r.value) for r in batch]
    finally:
        await consumer.stop()
    return found
