"""A sink's surroundings for each test, in a namespace of its own."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
from aiokafka import AIOKafkaProducer

from deploy.local.broker import EmbeddedBroker
from sinks.clickhouse.client import ClickHouseConfig
from sinks.clickhouse.config import SinkConfig
from tests.support.clickhouse import LocalClickHouse
from tests.support.sinking import Producer


@pytest.fixture
async def producer(embedded_broker: EmbeddedBroker, namespace: str) -> AsyncIterator[Producer]:
    client = AIOKafkaProducer(bootstrap_servers=embedded_broker.bootstrap_servers, acks="all")
    await client.start()
    yield Producer(client, namespace)
    await client.stop()


@pytest.fixture
def config(
    embedded_broker: EmbeddedBroker, clickhouse: LocalClickHouse, namespace: str
) -> SinkConfig:
    return SinkConfig(
        bootstrap_servers=embedded_broker.bootstrap_servers,
        clickhouse=ClickHouseConfig(url=clickhouse.url, connect_timeout_s=2, timeout_s=10),
        namespace=namespace,
        max_backoff_s=0.3,
        session_timeout_s=3,
    )
