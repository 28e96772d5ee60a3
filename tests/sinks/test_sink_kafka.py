"""The sink on a real Kafka: what the in-memory broker cannot show, rebalances above all."""

from __future__ import annotations

import asyncio
import signal
import uuid
from dataclasses import replace

import pytest
from aiokafka import AIOKafkaProducer
from kafka import KafkaAdminClient
from kafka.admin import NewTopic

from deploy.local.kafka import LocalKafka
from schemas.topics import full_name
from sinks.clickhouse import ClickHouse, ClickHouseConfig
from sinks.migrate import migrate
from sinks.sink import SinkConfig
from sinks.tables import TOUCHPOINTS
from tests.fixtures_clickhouse import LocalClickHouse
from tests.sinks import rows
from tests.sinks.sinking import Producer, Seen, Store, running, stored, until

pytestmark = pytest.mark.kafka


async def test_two_sinks_share_the_partitions_and_outlive_clickhouse(
    kafka_broker: LocalKafka, own_clickhouse: LocalClickHouse
):
    namespace = f"k{uuid.uuid4().hex[:8]}"
    servers = kafka_broker.bootstrap_servers
    admin = KafkaAdminClient(bootstrap_servers=servers)
    admin.create_topics([NewTopic(full_name(namespace, TOUCHPOINTS.topic.name), 4, 1)])
    admin.close()
    at = ClickHouseConfig(url=own_clickhouse.url, connect_timeout_s=2, timeout_s=10)
    client = ClickHouse(at)
    migrate(client, namespace)
    store = Store(own_clickhouse, client, namespace)
    config = SinkConfig(
        bootstrap_servers=servers,
        clickhouse=at,
        namespace=namespace,
        tables=(TOUCHPOINTS,),
        session_timeout_s=6,
        max_backoff_s=0.5,
    )
    kafka = AIOKafkaProducer(bootstrap_servers=servers, acks="all")
    await kafka.start()
    producer = Producer(kafka, namespace)
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
    await kafka.stop()


async def shared(send, first: Seen, second: Seen) -> None:
    """Send until both have inserted something since."""
    begin = len(first.inserts)
    for _ in range(100):
        await send(20)
        await asyncio.sleep(0.1)
        if second.inserts and len(first.inserts) > begin:
            return
    pytest.fail("the partitions were not shared")
