"""A migrated ClickHouse for each test, in a namespace of its own."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import pytest

from sinks.clickhouse import ClickHouse, ClickHouseConfig
from sinks.epochs import Epochs
from sinks.migrate import migrate
from sinks.tables import databases
from tests.fixtures_clickhouse import LocalClickHouse


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


@pytest.fixture
def store(clickhouse: LocalClickHouse, namespace: str) -> Iterator[Store]:
    """Migrated, with epoch 1 shown since 1 November 2026."""
    client = ClickHouse(ClickHouseConfig(url=clickhouse.url))
    migrate(client, namespace)
    store = Store(clickhouse, client, namespace)
    store.epochs.ensure("cluster-1", datetime(2026, 11, 1, tzinfo=UTC))
    yield store
    client.close()
