"""The gateway's publisher through the life of a real Kafka."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import time
import uuid
from pathlib import Path

import pytest
from kafka import KafkaAdminClient
from kafka.admin import NewTopic

from deploy.local.kafka import KafkaNode, KafkaUnavailable, LocalKafka, class_path
from deploy.local.ports import free_port
from ingest.publishing.kafka import KafkaPublisher, KafkaPublisherConfig
from ingest.publishing.port import WRITTEN, KafkaConnection, NotAcknowledged
from tests.support.publishing import event, records_of, touchpoint
from tests.support.waiting import until

pytestmark = pytest.mark.kafka


def create_topics(broker: LocalKafka, namespace: str) -> None:
    admin = KafkaAdminClient(bootstrap_servers=broker.bootstrap_servers)
    names = (f"{namespace}.{topic.name}" for topic in WRITTEN)
    admin.create_topics([NewTopic(name, 4, 1) for name in names])
    admin.close()


@pytest.fixture
def connection(kafka_broker: LocalKafka) -> KafkaConnection:
    return KafkaConnection(kafka_broker.bootstrap_servers, f"p{uuid.uuid4().hex[:12]}")


async def test_topics_that_are_missing_are_named(
    kafka_broker: LocalKafka, connection: KafkaConnection
) -> None:
    publisher = KafkaPublisher(KafkaPublisherConfig(connection, acknowledge_s=5, probe_s=0.3))
    await publisher.start()
    try:
        await until(lambda: "run touchline setup" in (publisher.problem or ""), 30)
        await asyncio.to_thread(create_topics, kafka_broker, connection.namespace)
        await until(lambda: publisher.problem is None, 20)
        await publisher.publish([event(n) for n in range(100)])
        assert len(await records_of(connection)) == 100
    finally:
        await publisher.stop(1)


async def test_a_crash_and_a_new_life_of_kafka(tmp_path: Path) -> None:
    """A broker of its own, killed twice; the second time it forgets everything."""
    try:
        class_path()
    except KafkaUnavailable as problem:
        pytest.skip(f"real Kafka tests did not run: {problem}")
    broker = LocalKafka(KafkaNode(tmp_path / "kafka", port=free_port(), heap="384m"))
    connection = KafkaConnection(broker.bootstrap_servers, "ns")
    publisher = KafkaPublisher(KafkaPublisherConfig(connection, acknowledge_s=3, probe_s=0.3))
    await publisher.start()
    try:
        await asyncio.to_thread(broker.start)
        await asyncio.to_thread(create_topics, broker, "ns")
        await until(lambda: publisher.problem is None, 30)
        await publisher.publish([event(n) for n in range(50)])

        broker.kill()
        with pytest.raises(NotAcknowledged):
            await publisher.publish([event(n) for n in range(50, 100)])
        await until(lambda: publisher.problem is not None)
        await asyncio.to_thread(broker.start)
        await until(lambda: publisher.problem is None, 30)
        # What was not acknowledged arrives in the end, once; or was never sent, if the outage was
        # known before.
        await until(lambda: publisher.waiting_bytes == 0, 30)
        assert len(await records_of(connection)) in (50, 100)

        broker.kill()
        shutil.rmtree(tmp_path / "kafka")
        await asyncio.to_thread(broker.start)
        await asyncio.to_thread(create_topics, broker, "ns")
        deadline = time.monotonic() + 30
        while True:
            try:
                await publisher.publish([event(1)])
                break
            except NotAcknowledged:
                assert time.monotonic() < deadline
                await asyncio.sleep(0.2)
        assert {r.key for r in await records_of(connection)} == {event(1).key}
    finally:
        await publisher.stop(1)
        broker.stop()


async def test_what_was_given_up_before_it_was_under_way_is_not_sent(
    own_kafka: LocalKafka,
) -> None:
    """A broker that hangs while requests wait, and goes on when their senders have gone."""
    await asyncio.to_thread(create_topics, own_kafka, "ns")
    connection = KafkaConnection(own_kafka.bootstrap_servers, "ns")
    publisher = KafkaPublisher(KafkaPublisherConfig(connection, acknowledge_s=2, probe_s=60))
    await publisher.start()
    key = event(1).key
    # More than a batch, so that the other waits behind it.
    large = [touchpoint(key, b"%04d" % n + b"x" * 10_000) for n in range(40)]
    try:
        await until(lambda: publisher.problem is None, 30)
        await publisher.publish([touchpoint(key, b"first")])
        os.kill(own_kafka.pid, signal.SIGSTOP)
        try:
            results = await asyncio.gather(
                publisher.publish(large),
                publisher.publish([touchpoint(key, b"behind")]),
                return_exceptions=True,
            )
        finally:
            os.kill(own_kafka.pid, signal.SIGCONT)
        assert [str(r) for r in results] == ["Kafka did not acknowledge in time"] * 2
        assert publisher.waiting_bytes == sum(len(r.value) for r in large)
        await until(lambda: publisher.waiting_bytes == 0, 30)
        await publisher.publish([touchpoint(key, b"last")])
        first, *between, last = [r.value for r in await records_of(connection)]
        assert (first, last) == (b"first", b"last")
        assert between == [r.value for r in large[: len(between)]]
        assert 20 < len(between) < 30
    finally:
        await publisher.stop(1)
