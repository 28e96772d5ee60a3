"""Rows that a former release left on the topics are rows of today's tables."""

from __future__ import annotations

import pytest

from sinks.clickhouse.tables import PROFILES, TABLES, Table
from tests.golden import files
from tests.support.sinking import Store

#: What tells the rows of a table from each other, within an epoch.
KEYS = {
    "touchpoints": ("source", "event_id", "lead_id"),
    "rejected_touchpoints": ("rejected_id",),
    "identities": ("identifier_id",),
    "profiles": ("profile_id",),
    "segment_changes": ("segment", "profile_id", "version"),
    "engagement": (
        "window_start", "channel", "type", "source", "campaign_name", "value_currency", "home",
    ),
    "identity_conflicts": ("identifier_id", "lead_id", "reason"),
    "identity_links": ("lead_id", "identifier_id", "position"),
    "identity_splits": ("split_id", "position"),
    "plan_violations": ("violation_id",),
}  # fmt: skip


def insert(store: Store, version: int, table: Table) -> None:
    kept = files.kept(version, f"topic.{table.topic.name}")
    store.insert(table.name, *(one.example.value for one in kept))


@pytest.mark.parametrize("version", files.versions())
@pytest.mark.parametrize("table", TABLES, ids=lambda table: table.name)
def test_clickhouse_takes_the_rows_of_a_former_release(
    store: Store, table: Table, version: int
) -> None:
    insert(store, version, table)
    wanted = files.restored(version).rows(table.topic.name, *KEYS[table.name])
    (found,) = store.server.query(f"SELECT count() AS n FROM {store.storage}.{table.name} FINAL")
    assert found["n"] == len(wanted)


@pytest.mark.parametrize("version", files.versions())
def test_the_views_show_the_profiles_of_a_former_release(store: Store, version: int) -> None:
    insert(store, version, PROFILES)
    columns = ("profile_id", "email", "touchpoints", "segments", "traits", "revenue")
    found = {row["profile_id"]: row for row in store.view("profiles", ", ".join(columns))}
    for key, row in files.restored(version).profiles().items():
        assert found.pop(key) == {name: row[name] for name in columns}
    assert not found


@pytest.mark.parametrize("version", files.versions())
def test_clickhouse_takes_the_marks_of_a_former_release(store: Store, version: int) -> None:
    (mark,) = files.kept(version, "kept.replay_mark")
    store.insert("rejected_replays", mark.example.value)
    (found,) = store.server.query(f"SELECT event_ids FROM {store.storage}.rejected_replays")
    assert found["event_ids"] == mark.says["event_ids"]
