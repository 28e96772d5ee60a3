"""The sink on a real Kafka: what the in-memory broker cannot show, rebalances above all."""

from __future__ import annotations

import asyncio
import signal
import uuid
from collections.abc import AsyncIterator
from dataclasses import replace

import pytest
from aiokafka import AIOKafkaProducer
from kafka import KafkaAdminClient
from kafka.admin import NewTopic

from deploy.local.kafka import LocalKafka
from schemas.topics import full_name
from sinks.clickhouse.client import ClickHouse, ClickHouseConfig
from sinks.clickhouse.config import SinkConfig
from sinks.clickhouse.migrate import migrate
from sinks.clickhouse.tables import TOUCHPOINTS
from tests.support import rows
from tests.support.clickhouse import LocalClickHouse
from tests.support.clickhouse_front import front_of
from tests.support.sinking import Producer, Seen, Store, committed, running, stored, until

pytestmark = pytest.mark.kafka


@pytest.fixture
def config(kafka_broker: LocalKafka, own_clickhouse: LocalClickHouse) -> SinkConfig:
    """One table on the real Kafka, with a topic of four partitions."""
    namespace = f"k{uuid.uuid4().hex[:8]}"
    servers = kafka_broker.bootstrap_servers
    admin = KafkaAdminClient(bootstrap_servers=servers)
    admin.create_topics([NewTopic(full_name(namespace, TOUCHPOINTS.topic.name), 4, 1)])
    admin.close()
    return SinkConfig(
        bootstrap_servers=servers,
        clickhouse=ClickHouseConfig(url=own_clickhouse.url, connect_timeout_s=2, timeout_s=10),
        namespace=namespace,
        tables=(TOUCHPOINTS,),
        session_timeout_s=6,
        max_backoff_s=0.5,
    )


@pytest.fixture
def store(own_clickhouse: LocalClickHouse, config: SinkConfig) -> Store:
    """Migrated."""
    client = ClickHouse(config.clickhouse)
    migrate(client, config.namespace)
    return Store(own_clickhouse, client, config.namespace)


@pytest.fixture
async def producer(config: SinkConfig) -> AsyncIterator[Producer]:
    kafka = AIOKafkaProducer(bootstrap_servers=config.bootstrap_servers, acks="all")
    await kafka.start()
    yield Producer(kafka, config.namespace)
    await kafka.stop()


async def test_two_sinks_share_the_partitions_and_outlive_clickhouse(
    own_clickhouse: LocalClickHouse, store: Store, config: SinkConfig, producer: Producer
):
    sent = 0

    async def send(count: int) -> None:
        nonlocal sent
        ids = range(sent, sent + count)
        await producer.send(TOUCHPOINTS, *[rows.touchpoint(event_id=str(n)) for n in ids])
        sent += count

    async with running(config) as first:
        await send(100)
        await until(lambda: stored(store, "touchpoints") == sent)
        async with running(replace(config, max_rows=20)) as second:
            await shared(send, first, second)
            await until(lambda: stored(store, "touchpoints") == sent)
            # A commit may have met the rebalance, which is no matter.
            for seen in (first, second):
                seen.retries.clear()
            own_clickhouse.stop(signal.SIGKILL)
            await send(500)
            # Longer than a session: only heartbeats keep the members in the group.
            for seen in (first, second):
                await until(lambda seen=seen: seen.retries.count(("touchpoints", "insert")) >= 16)
            own_clickhouse.start()
            await until(lambda: stored(store, "touchpoints") == sent)
            causes = {cause for seen in (first, second) for _, cause in seen.retries}
            assert causes == {"insert"}
        # The second has left; the first takes over its partitions.
        await send(200)
        await until(lambda: stored(store, "touchpoints") == sent)


async def test_a_sink_does_not_commit_partitions_that_moved_while_a_batch_was_ahead(
    store: Store, config: SinkConfig, producer: Producer
):
    """The first sink has two batches of all partitions in hand when half of them go to the second,
    which gets further with them. The first writes what it has, but commits only what is its own.
    """
    taken = 0

    def note(value: bytes) -> bytes:
        nonlocal taken
        taken += 1
        return value

    async def send(ids: range) -> None:
        await producer.send_evenly(TOUCHPOINTS, *[rows.touchpoint(event_id=str(n)) for n in ids])

    with front_of(store.server.url) as front:
        front.hold()
        slow = replace(
            config,
            clickhouse=replace(config.clickhouse, url=front.url, timeout_s=30),
            kafka_options={"value_deserializer": note},
            max_rows=100,
        )
        await send(range(200))
        async with running(slow) as first:
            await until(lambda: taken == 200)
            async with running(config):
                await until(lambda: stored(store, "touchpoints") >= 100)
                await send(range(200, 400))
                await until_committed(config, [0, 0, 100, 100])
                assert not first.inserts
                front.release()
                await until(lambda: len(first.inserts) >= 2)
                await until_committed(config, [100] * 4)
    # aiokafka would refuse all of a commit that names a partition which is not ours.
    assert ("touchpoints", "commit") not in first.retries
    assert stored(store, "touchpoints") == 400


async def until_committed(config: SinkConfig, expected: list[int]) -> None:
    """Until the group has committed this, whichever partition it is."""
    for _ in range(100):
        found = sorted(offset or 0 for offset in (await committed(config, TOUCHPOINTS)).values())
        if found == expected:
            return
        await asyncio.sleep(0.1)
    pytest.fail(f"{found} committed, not {expected}")


async def shared(send, first: Seen, second: Seen) -> None:
    """Send until both have inserted something since."""
    begin = len(first.inserts)
    for _ in range(100):
        await send(20)
        await asyncio.sleep(0.1)
        if second.inserts and len(first.inserts) > begin:
            return
    pytest.fail("the partitions were not shared")
