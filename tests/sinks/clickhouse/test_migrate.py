"""Migrations: once, in order, unchanged."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest

from sinks.clickhouse.client import ClickHouse, ClickHouseConfig
from sinks.clickhouse.migrate import Migration, MigrationError, migrate, migrations
from sinks.clickhouse.tables import databases
from tests.support.clickhouse import LocalClickHouse


@pytest.fixture
def client(clickhouse: LocalClickHouse) -> ClickHouse:
    return ClickHouse(ClickHouseConfig(url=clickhouse.url))


def test_migrations_are_applied_once(client: ClickHouse, namespace: str):
    assert migrate(client, namespace, dry_run=True) == migrations()
    assert migrate(client, namespace) == migrations()
    assert migrate(client, namespace) == []
    assert migrate(client, namespace, dry_run=True) == []


def test_a_dry_run_makes_nothing(client: ClickHouse, namespace: str):
    migrate(client, namespace, dry_run=True)
    names = {row["name"] for row in client.rows("SELECT name FROM system.databases")}
    assert not names & set(databases(namespace))


def test_two_at_once_both_end_well(clickhouse: LocalClickHouse, namespace: str):
    clients = [ClickHouse(ClickHouseConfig(url=clickhouse.url)) for _ in range(2)]
    with ThreadPoolExecutor(2) as pool:
        list(pool.map(lambda client: migrate(client, namespace), clients))
    assert migrate(clients[0], namespace) == []


def test_an_applied_migration_that_changed_is_refused(client: ClickHouse, namespace: str):
    migrate(client, namespace)
    first, *others = migrations()
    changed = [first._replace(text=first.text + "\n-- harmless?"), *others]
    with pytest.raises(MigrationError, match=r"0001_storage has changed since it was applied"):
        migrate(client, namespace, known=changed)


def test_a_database_of_a_newer_version_is_refused(client: ClickHouse, namespace: str):
    newer = [*migrations(), Migration(len(migrations()) + 1, "newer", "SELECT 1;\n")]
    migrate(client, namespace, known=newer)
    with pytest.raises(MigrationError, match=r"set up by a newer version"):
        migrate(client, namespace)


def test_a_migration_that_broke_off_is_completed_by_the_next_run(
    client: ClickHouse, namespace: str
):
    table = "CREATE TABLE IF NOT EXISTS {storage}.t (a UInt8) ENGINE = Memory;\n"
    broken = Migration(1, "one", table + "SELECT nonsense();\n")
    with pytest.raises(Exception, match="UNKNOWN_FUNCTION"):
        migrate(client, namespace, known=[broken])
    whole = Migration(1, "one", table + "INSERT INTO {storage}.t VALUES (1);\n")
    assert migrate(client, namespace, known=[whole]) == [whole]


def test_statements_are_split_at_the_semicolon_that_ends_a_line():
    text = "-- a comment; with one\nSELECT ';' FROM {bi}.x; \n\n-- the end\nSELECT 2;\n-- nothing\n"
    assert Migration(1, "x", text).statements("ns") == [
        "-- a comment; with one\nSELECT ';' FROM `touchline_bi_ns`.x",
        "-- the end\nSELECT 2",
    ]
