"""Copying what comes in from one generation to the next, and closing the former one's topics."""

from __future__ import annotations

import uuid
from typing import Any

import pytest
from kafka import KafkaConsumer, TopicPartition

from deploy.config.sections import KafkaSettings
from deploy.config.settings import Settings
from deploy.kafka.operator_publisher import OperatorPublisher
from deploy.kafka.topics import connect, ensure
from deploy.kafka.topology import generation_topics
from deploy.local.kafka import LocalKafka
from deploy.operations.rebuild.live_copy import LiveCopy
from deploy.operations.rebuild.switch import close_topics
from ingest.publishing.port import Message, NotAcknowledged
from schemas.topics import LINK_REQUESTS, REJECTED, TOUCHPOINTS, partition_of

pytestmark = pytest.mark.kafka


@pytest.fixture
def settings(kafka_broker: LocalKafka) -> Settings:
    """Two generations: 2 partitions, and 3."""
    namespace = f"copy{uuid.uuid4().hex[:8]}"
    made = Settings(
        kafka=KafkaSettings(bootstrap_servers=kafka_broker.bootstrap_servers, partitions=2),
        namespace=namespace,
    )
    cluster = connect(made.kafka)
    ensure(cluster, generation_topics(made, namespace))
    ensure(cluster, generation_topics(made, f"{namespace}.g2", 3))
    cluster.close()
    return made


def touches(first: int, count: int) -> list[Message]:
    return [
        Message(TOUCHPOINTS.name, b"lead-%d" % n, b"touch-%d" % n, 1_000_000 + n)
        for n in range(first, first + count)
    ]


def records(settings: Settings, topic: str) -> list[Any]:
    consumer: Any = KafkaConsumer(bootstrap_servers=settings.kafka.bootstrap_servers)
    partitions = [TopicPartition(topic, number) for number in consumer.partitions_for_topic(topic)]
    consumer.assign(partitions)
    consumer.seek_to_beginning()
    ends = consumer.end_offsets(partitions)
    found: list[Any] = []
    while any(consumer.position(one) < end for one, end in ends.items()):
        found += [record for batch in consumer.poll(200).values() for record in batch]
    consumer.close()
    return found


def test_records_are_copied_once_as_they_are_and_a_copy_goes_on_where_it_was(settings: Settings):
    source, target = settings.namespace, f"{settings.namespace}.g2"
    beats: list[None] = []

    def beat() -> None:
        beats.append(None)

    with (
        OperatorPublisher(settings.kafka, source, "test") as before,
        OperatorPublisher(settings.kafka, target, "test") as after,
    ):
        before.publish(touches(0, 100))
        with LiveCopy(settings.kafka, source, target, after) as copy:
            begun = copy.ends(TOUCHPOINTS.name)
            copy.begin(TOUCHPOINTS.name, begun)
            copy.begin(LINK_REQUESTS.name, {0: 0})
            before.publish(touches(100, 50))
            before.publish([Message(LINK_REQUESTS.name, b"lead", b"a link", 5, partition=0)])
            assert copy.left(TOUCHPOINTS.name) == 50
            # Not further than what is processed.
            halfway = {n: (begun[n] + end) // 2 for n, end in copy.ends(TOUCHPOINTS.name).items()}
            copied = copy.copy(TOUCHPOINTS.name, halfway, beat)
            assert copied + copy.left(TOUCHPOINTS.name) == 50
            assert copy.copy(TOUCHPOINTS.name, halfway, beat) == 0
            assert copy.copy(LINK_REQUESTS.name, copy.ends(LINK_REQUESTS.name), beat) == 1
        with LiveCopy(settings.kafka, source, target, after) as copy:
            ends = copy.ends(TOUCHPOINTS.name)
            assert copy.copy(TOUCHPOINTS.name, ends, beat) == 50 - copied
            assert copy.left(TOUCHPOINTS.name) == 0
    assert beats
    found = records(settings, f"{target}.{TOUCHPOINTS.name}")
    assert sorted((r.key, r.value, r.timestamp) for r in found) == sorted(
        (m.key, m.value, m.timestamp_ms) for m in touches(100, 50)
    )
    assert all(record.partition == partition_of(record.key, 3) for record in found)
    [link] = records(settings, f"{target}.{LINK_REQUESTS.name}")
    assert (link.value, link.timestamp, link.partition) == (b"a link", 5, 0)


def test_a_closed_topic_takes_nothing_and_what_it_had_can_be_copied(settings: Settings):
    source, target = settings.namespace, f"{settings.namespace}.g2"
    cluster = connect(settings.kafka)
    with (
        OperatorPublisher(settings.kafka, source, "test", 5) as before,
        OperatorPublisher(settings.kafka, target, "test") as after,
    ):
        before.publish(touches(0, 20))
        close_topics(cluster, settings.kafka, source)
        with pytest.raises(NotAcknowledged):
            before.publish(touches(20, 1))
        with pytest.raises(NotAcknowledged):
            before.publish([Message(REJECTED.name, b"key", b"row")])
        with LiveCopy(settings.kafka, source, target, after) as copy:
            copied = copy.copy(TOUCHPOINTS.name, copy.ends(TOUCHPOINTS.name), lambda: None)
        after.publish(touches(20, 1))
    cluster.close()
    assert copied == 20
    assert len(records(settings, f"{target}.{TOUCHPOINTS.name}")) == 21
