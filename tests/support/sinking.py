"""The sink in a test: what it reports, what feeds it, and what came of it."""

from __future__ import annotations

import asyncio
import contextlib
import uuid
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition

from deploy.config.embedded import PARTITIONS
from schemas.topics import full_name, partition_of
from sinks.clickhouse.client import ClickHouse, ClickHouseConfig
from sinks.clickhouse.config import SinkConfig
from sinks.clickhouse.epochs import Epochs
from sinks.clickhouse.migrate import migrate
from sinks.clickhouse.tables import Table, databases
from sinks.clickhouse.writer import run_sink
from sinks.metrics import NoMetrics
from tests.support import waiting
from tests.support.clickhouse import LocalClickHouse


@dataclass
class Store:
    """A deployment's databases."""

    server: LocalClickHouse
    clickhouse: ClickHouse
    namespace: str

    def insert(self, table: str, *rows: bytes) -> None:
        self.clickhouse.insert(databases(self.namespace).storage, table, rows)

    def view(self, name: str, columns: str = "*", rest: str = "") -> list[dict[str, Any]]:
        return self.server.query(f"SELECT {columns} FROM {self.bi}.{name} {rest}")

    @property
    def bi(self) -> str:
        return databases(self.namespace).bi

    @property
    def storage(self) -> str:
        return databases(self.namespace).storage

    @property
    def epochs(self) -> Epochs:
        return Epochs(self.clickhouse, self.namespace)


@dataclass
class Seen(NoMetrics):
    """Metrics as a test reads them."""

    inserts: list[tuple[str, int]] = field(default_factory=list)
    retries: list[tuple[str, str]] = field(default_factory=list)
    rejects: list[str] = field(default_factory=list)
    ages: list[float] = field(default_factory=list)
    latencies: list[float] = field(default_factory=list)

    def inserted(self, table: str, rows: int, size: int, seconds: float) -> None:
        self.inserts.append((table, rows))

    def retried(self, table: str, cause: str) -> None:
        self.retries.append((table, cause))

    def rejected(self, table: str, rows: int) -> None:
        self.rejects.append(table)

    def unwritten(self, table: str, age: float) -> None:
        self.ages.append(age)

    def queryable(self, table: str, seconds: Sequence[float]) -> None:
        self.latencies += seconds


class Producer:
    """Writes rows as the stages do: partition by key, given by us."""

    def __init__(self, producer: AIOKafkaProducer, namespace: str) -> None:
        self._producer = producer
        self._namespace = namespace

    async def send(self, table: Table, *values: bytes | None) -> None:
        keys = [str(uuid.uuid4()).encode() for _ in values]
        await self._send(table, [(partition_of(key, PARTITIONS), key) for key in keys], values)

    async def send_evenly(self, table: Table, *values: bytes) -> None:
        """Send to each partition in turn."""
        places = [(number % PARTITIONS, b"key") for number in range(len(values))]
        await self._send(table, places, values)

    async def _send(
        self, table: Table, places: Sequence[tuple[int, bytes]], values: Sequence[bytes | None]
    ) -> None:
        topic = full_name(self._namespace, table.topic.name)
        sent = [
            await self._producer.send(topic, value=value, key=key, partition=partition)
            for (partition, key), value in zip(places, values, strict=True)
        ]
        await asyncio.gather(*sent)


@contextlib.asynccontextmanager
async def running(config: SinkConfig, seen: Seen | None = None) -> AsyncIterator[Seen]:
    """The sink until the end of the block, stopped as by SIGTERM, within its 10 seconds."""
    seen, stop = seen or Seen(), asyncio.Event()
    task = asyncio.create_task(run_sink(config, stop, metrics=seen))
    try:
        yield seen
    finally:
        stop.set()
        await asyncio.wait_for(task, 10)


async def until(condition: Callable[[], object]) -> None:
    """Wait for a condition that may ask ClickHouse meanwhile."""
    await waiting.until(lambda: asyncio.to_thread(condition))


def stored(store: Store, table: str) -> int:
    (row,) = store.server.query(f"SELECT count() AS n FROM {store.storage}.{table} FINAL")
    count: int = row["n"]
    return count


async def committed(config: SinkConfig, table: Table) -> dict[int, int | None]:
    """The group's committed offsets."""
    client = AIOKafkaConsumer(
        bootstrap_servers=config.bootstrap_servers,
        group_id=table.group(config.namespace),
        enable_auto_commit=False,
    )
    await client.start()
    topic = full_name(config.namespace, table.topic.name)
    client.assign([TopicPartition(topic, number) for number in range(PARTITIONS)])
    found = {
        number: await client.committed(TopicPartition(topic, number))
        for number in range(PARTITIONS)
    }
    await client.stop()
    return found


async def rewind(config: SinkConfig, table: Table) -> None:
    """Make everything come again, as after a crash before the commit."""
    topic = full_name(config.namespace, table.topic.name)
    client = AIOKafkaConsumer(
        topic,
        bootstrap_servers=config.bootstrap_servers,
        group_id=table.group(config.namespace),
        enable_auto_commit=False,
        session_timeout_ms=3_000,
        heartbeat_interval_ms=300,
    )
    await client.start()
    await until(lambda: len(client.assignment()) == PARTITIONS)
    await client.commit(dict.fromkeys(client.assignment(), 0))
    await client.stop()


@pytest.fixture
def store(clickhouse: LocalClickHouse, namespace: str) -> Iterator[Store]:
    """Migrated, with epoch 1 shown since 1 November 2026."""
    client = ClickHouse(ClickHouseConfig(url=clickhouse.url))
    migrate(client, namespace)
    store = Store(clickhouse, client, namespace)
    store.epochs.ensure("cluster-1", datetime(2026, 11, 1, tzinfo=UTC))
    yield store
    client.close()
