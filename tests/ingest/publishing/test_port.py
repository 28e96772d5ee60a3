"""One suite for the publishers: in memory, and both clients against the embedded broker."""

from __future__ import annotations

import asyncio
import time
import uuid
from collections.abc import AsyncIterator, Awaitable
from dataclasses import replace
from typing import Protocol

import pytest
from aiokafka import AIOKafkaConsumer, TopicPartition

from deploy.config.embedded import API_VERSION, PARTITIONS
from deploy.local.broker import EmbeddedBroker
from deploy.local.ports import free_port
from ingest.publishing.blocking import BatchPublisher, Delivery
from ingest.publishing.kafka import KafkaPublisher, KafkaPublisherConfig
from ingest.publishing.memory import MemoryPublisher, Stored
from ingest.publishing.port import (
    KafkaConnection,
    Message,
    NotAcknowledged,
    Publisher,
)
from schemas.topics import REJECTED, TOUCHPOINTS, VIOLATIONS, full_name, partition_of
from tests.support.publishing import event, records_of, touchpoint
from tests.support.waiting import until


def refused(n: int) -> Message:
    return Message(REJECTED.name, str(uuid.UUID(int=n)).encode(), b'{"n":%d}' % n)


class Case(Protocol):
    """A publisher under test and what "Kafka" holds."""

    publisher: Publisher

    def records(self) -> Awaitable[list[Stored]]: ...


class InMemory:
    def __init__(self) -> None:
        self.publisher = MemoryPublisher(PARTITIONS)

    async def records(self) -> list[Stored]:
        return self.publisher.records


class OnKafka:
    def __init__(self, connection: KafkaConnection) -> None:
        self.connection = connection
        self.publisher = KafkaPublisher(KafkaPublisherConfig(connection))

    async def records(self) -> list[Stored]:
        return await records_of(self.connection)


@pytest.fixture
def connection(embedded_broker: EmbeddedBroker) -> KafkaConnection:
    namespace = f"p{uuid.uuid4().hex[:12]}"
    return KafkaConnection(embedded_broker.bootstrap_servers, namespace, api_version=API_VERSION)


@pytest.fixture(params=["memory", pytest.param("kafka", marks=pytest.mark.integration)])
async def case(request: pytest.FixtureRequest) -> AsyncIterator[Case]:
    made: Case
    if request.param == "memory":
        made = InMemory()
    else:
        made = OnKafka(request.getfixturevalue("connection"))
    await made.publisher.start()
    await until(lambda: made.publisher.problem is None)
    yield made
    await made.publisher.stop(1)


class TestPublisher:
    """The promises of every adapter of the port."""

    async def test_returns_when_all_records_are_stored_under_their_keys(self, case: Case) -> None:
        events = [event(n) for n in range(50)]
        rows = [refused(n) for n in range(5)]
        violations = [refused(n)._replace(topic=VIOLATIONS.name) for n in range(5, 9)]
        await case.publisher.publish([*events, *rows, *violations])
        stored = await case.records()
        assert {(r.topic, r.key, r.value) for r in stored} == {
            *((TOUCHPOINTS.name, e.key, e.value) for e in events),
            *((REJECTED.name, r.key, r.value) for r in rows),
            *((VIOLATIONS.name, r.key, r.value) for r in violations),
        }
        assert len(stored) == 59

    async def test_uses_the_one_partitioner(self, case: Case) -> None:
        await case.publisher.publish([*(event(n) for n in range(20)), refused(3)])
        for record in await case.records():
            assert record.partition == partition_of(record.key, PARTITIONS)

    async def test_records_of_one_key_keep_their_order(self, case: Case) -> None:
        key = event(1).key
        for first in range(0, 30, 10):
            batch = [touchpoint(key, b"%d" % n) for n in range(first, first + 10)]
            await case.publisher.publish(batch)
        assert [int(r.value) for r in await case.records()] == list(range(30))

    async def test_a_large_request_is_stored_whole_and_in_order(self, case: Case) -> None:
        """About 3 MB for one partition: more than one batch, the requests overlap."""
        key = event(1).key
        large = [touchpoint(key, b"%06d" % n + b"x" * 30_000) for n in range(100)]
        small = [touchpoint(key, b"%06d" % n) for n in range(100, 110)]
        await asyncio.gather(case.publisher.publish(large), case.publisher.publish(small))
        assert [int(r.value[:6]) for r in await case.records()] == list(range(110))

    async def test_a_record_that_kafka_would_never_take_is_a_bug(self, case: Case) -> None:
        with pytest.raises(ValueError, match="1000001 bytes"):
            await case.publisher.publish([touchpoint(event(1).key, b"x" * 1_000_001)])
        await case.publisher.publish([event(1)])
        assert len(await case.records()) == 1

    async def test_nothing_to_send_is_fine(self, case: Case) -> None:
        await case.publisher.publish([])
        assert await case.records() == []

    async def test_many_requests_at_once_are_all_stored(self, case: Case) -> None:
        requests = [[event(100 * r + n) for n in range(7)] for r in range(20)]
        await asyncio.gather(*(case.publisher.publish(events) for events in requests))
        assert len({r.value for r in await case.records()}) == 140

    async def test_a_stopped_publisher_takes_nothing(self, case: Case) -> None:
        await case.publisher.stop(1)
        assert case.publisher.problem is not None
        with pytest.raises(NotAcknowledged):
            await case.publisher.publish([event(1)])


async def test_a_publisher_that_has_not_started_takes_nothing() -> None:
    for publisher in (MemoryPublisher(), OnKafka(KafkaConnection("localhost:1")).publisher):
        assert publisher.problem is not None
        with pytest.raises(NotAcknowledged):
            await publisher.publish([event(1)])


async def test_without_kafka_start_returns_and_connects_later(
    embedded_broker: EmbeddedBroker, connection: KafkaConnection
) -> None:
    """A proxy in front of the broker stands for a broker that comes up later."""
    port = free_port()
    away = replace(connection, bootstrap_servers=f"127.0.0.1:{port}")
    publisher = KafkaPublisher(KafkaPublisherConfig(away, acknowledge_s=1, probe_s=0.3))
    await publisher.start()
    await until(lambda: "is not reachable (" in (publisher.problem or ""))
    with pytest.raises(NotAcknowledged):
        await publisher.publish([event(1)])
    host, _, broker_port = embedded_broker.bootstrap_servers.partition(":")

    async def pipe(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        to_reader, to_writer = await asyncio.open_connection(host, int(broker_port))
        try:
            await asyncio.gather(_copy(reader, to_writer), _copy(to_reader, writer))
        finally:
            writer.close()
            to_writer.close()

    server = await asyncio.start_server(pipe, "127.0.0.1", port)
    try:
        await until(lambda: publisher.problem is None)
        await publisher.publish([event(1)])
        assert len(await records_of(connection)) == 1
    finally:
        await publisher.stop(1)
        server.close()


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while data := await reader.read(65_536):
        writer.write(data)
    writer.close()


@pytest.mark.integration
class TestWhenKafkaGoesAway:
    """A broker of its own, which the test stops."""

    @pytest.fixture
    def broker(self) -> EmbeddedBroker:
        return EmbeddedBroker().start()

    async def test_an_outage_is_told_in_bounded_time_and_memory(
        self, broker: EmbeddedBroker
    ) -> None:
        config = KafkaPublisherConfig(
            KafkaConnection(broker.bootstrap_servers),
            acknowledge_s=1,
            probe_s=60,
            max_waiting_bytes=10_000,
        )
        publisher = KafkaPublisher(config)
        await publisher.start()
        try:
            await until(lambda: publisher.problem is None)
            await publisher.publish([event(1)])
            assert publisher.waiting_bytes == 0
            broker.stop()
            started = time.monotonic()
            with pytest.raises(NotAcknowledged, match="in time"):
                await publisher.publish([event(2, 6_000)])
            assert time.monotonic() - started < 3
            # What may still arrive is held, and counts against the bound.
            with pytest.raises(NotAcknowledged, match="slower"):
                await publisher.publish([event(3, 6_000)])
        finally:
            broker.stop()
            started = time.monotonic()
            await publisher.stop(0.5)
        assert time.monotonic() - started < 5
        assert publisher.waiting_bytes == 0

    async def test_once_the_outage_is_known_nobody_waits(self, broker: EmbeddedBroker) -> None:
        connection = KafkaConnection(broker.bootstrap_servers)
        publisher = KafkaPublisher(KafkaPublisherConfig(connection, probe_s=0.2))
        await publisher.start()
        try:
            await until(lambda: publisher.problem is None)
            broker.stop()
            await until(lambda: publisher.problem is not None)
            started = time.monotonic()
            with pytest.raises(NotAcknowledged, match="does not answer"):
                await publisher.publish([event(1)])
            assert time.monotonic() - started < 1
            assert publisher.waiting_bytes == 0
        finally:
            await publisher.stop(0.1)

    async def test_who_waits_when_it_stops_hears_that_nothing_was_stored(
        self, broker: EmbeddedBroker
    ) -> None:
        publisher = KafkaPublisher(KafkaPublisherConfig(KafkaConnection(broker.bootstrap_servers)))
        await publisher.start()
        await until(lambda: publisher.problem is None)
        broker.stop()
        asked = asyncio.create_task(publisher.publish([event(1)]))
        await until(lambda: publisher.waiting_bytes)
        await publisher.stop(0.1)
        with pytest.raises(NotAcknowledged, match="refused"):
            await asked


class TestBatchPublisher:
    async def test_delivers_what_the_gateway_would_publish(
        self, connection: KafkaConnection
    ) -> None:
        batch = [*(event(n) for n in range(300)), refused(1)]
        with BatchPublisher(connection) as publisher:
            delivery = publisher.publish(batch)
        assert delivery == Delivery(301, sum(len(m.value) for m in batch))
        memory = MemoryPublisher(PARTITIONS)
        await memory.start()
        await memory.publish(batch)
        assert sorted(await records_of(connection)) == sorted(memory.records)

    async def test_records_keep_their_time(self, connection: KafkaConnection) -> None:
        with BatchPublisher(connection) as publisher:
            publisher.publish([Message(TOUCHPOINTS.name, event(1).key, b"x", 1_234_567)])
        consumer = AIOKafkaConsumer(bootstrap_servers=connection.bootstrap_servers)
        await consumer.start()
        name = full_name(connection.namespace, TOUCHPOINTS.name)
        consumer.assign([TopicPartition(name, partition_of(event(1).key, PARTITIONS))])
        await consumer.seek_to_beginning()
        record = await consumer.getone()
        await consumer.stop()
        assert record.timestamp == 1_234_567

    async def test_a_record_goes_to_the_partition_that_it_names(
        self, connection: KafkaConnection
    ) -> None:
        key = event(1).key
        other = (partition_of(key, PARTITIONS) + 1) % PARTITIONS
        with BatchPublisher(connection) as publisher:
            publisher.publish([Message(TOUCHPOINTS.name, key, b"x", partition=other)])
        (record,) = await records_of(connection)
        assert (record.partition, record.key) == (other, key)

    def test_a_record_that_kafka_would_never_take_is_a_bug(
        self, connection: KafkaConnection
    ) -> None:
        with (
            BatchPublisher(connection) as publisher,
            pytest.raises(ValueError, match="1000001 bytes"),
        ):
            publisher.publish([touchpoint(event(1).key, b"x" * 1_000_001)])

    def test_says_that_kafka_is_not_there(self) -> None:
        with pytest.raises(NotAcknowledged, match="not reachable"):
            BatchPublisher(KafkaConnection(f"127.0.0.1:{free_port()}"), deliver_s=1)
