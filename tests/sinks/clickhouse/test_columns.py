"""Published rows have the columns of their table, and ClickHouse reads them.

The sink skips fields that a table does not have (a producer may be newer), so a misspelt one
would be lost in silence: here it is found.
"""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from msgspec.structs import asdict

from deploy.config.segments import load_segments
from schemas import touchpoint_row
from schemas.messages import SplitCommand, encode
from schemas.rejection import Origin, Rejection, rejected_row
from schemas.topics import LINK_REQUESTS
from schemas.violation import Violation, Violations, violation_row
from sinks.clickhouse.tables import (
    CONFLICTS,
    REJECTED,
    SPLITS,
    TABLES,
    TOUCHPOINTS,
    VIOLATIONS,
    Table,
)
from tests.support.pipeline import Pipeline
from tests.support.sinking import Store
from tests.support.touches import order, touch

BUYERS = (
    "name: buyers\ndescription: who bought\nwhen:\n  count: {type: order_completed, at_least: 1}\n"
)


@pytest.fixture(scope="module")
def published(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[bytes]]:
    """Topic -> values, from two people with a conflict, an order, an unset trait and a split."""
    folder: Path = tmp_path_factory.mktemp("segments")
    (folder / "buyers.yaml").write_text(BUYERS)
    pipeline = Pipeline(segments=load_segments(folder))
    one, other = ("customer_id", "c1"), ("customer_id", "c2")
    pipeline.touch(order("1", one, ("email", "a@example.com"), amount="0.1"))
    pipeline.touch(order("2", one, amount="0.2"))
    pipeline.touch(touch("3", one, other, traits={"name": "山田", "plan": None}))
    pipeline.run()
    split = SplitCommand("s1", False, pipeline.now_ms, "email", "a@example.com", note="sisters")
    pipeline.publish(LINK_REQUESTS.name, b"", encode(split))
    pipeline.run()
    found: dict[str, list[bytes]] = {}
    for (topic, _), log in pipeline.logs.items():
        found.setdefault(topic, []).extend(record.value for record in log)
    refused = Rejection("unreadable", "not JSON", b"\x00\xff")
    found[REJECTED.topic.name] = [
        rejected_row(
            refused,
            Origin("body", "shop", "segment", "[]"),
            rejected_id="0b7f2a1e-0000-5000-8000-000000000001",
            received_ms=1_780_000_000_000,
        )
    ]
    differs = Violation("properties.plan", "enum", 'enum ["free"]', "string")
    found[VIOLATIONS.topic.name] = [
        violation_row(
            differs,
            Violations("e1", "plan_chosen", "plan_chosen", (differs,), True, lambda: b"{}"),
            source="shop",
            received_ms=1_780_000_000_000,
            example=b"{}",
        )
    ]
    return found


@pytest.mark.parametrize("table", TABLES, ids=lambda table: table.name)
def test_rows_have_the_columns_of_their_table(
    store: Store, published: dict[str, list[bytes]], table: Table
):
    columns = store.server.query(
        f"SELECT name FROM system.columns WHERE database = '{store.storage}' "
        f"AND table = '{table.name}' AND default_kind = '' ORDER BY position"
    )
    expected = [column["name"] for column in columns]
    values = published[table.topic.name]
    assert values
    for value in values:
        # A touchpoint's line leaves out what is a default.
        row = asdict(touchpoint_row.decode(value)) if table is TOUCHPOINTS else json.loads(value)
        assert sorted(row) == sorted(expected)
        assert b"\n" not in value


def test_what_a_touchpoint_s_line_leaves_out_is_the_column_s_default(
    store: Store, published: dict[str, list[bytes]]
):
    for value in published[TOUCHPOINTS.topic.name]:
        whole = asdict(touchpoint_row.decode(value))
        assert len(json.loads(value)) < len(whole)
        columns = ", ".join(whole)
        shown = []
        for line in (value, json.dumps(whole).encode()):
            store.insert(TOUCHPOINTS.name, line)
            at = f"event_id = '{whole['event_id']}'"
            table = f"{store.storage}.{TOUCHPOINTS.name}"
            (row,) = store.server.query(f"SELECT {columns} FROM {table} WHERE {at}")
            shown.append(row)
            store.server.query(f"TRUNCATE TABLE {table}")
        assert shown[0] == shown[1]


def test_what_the_stages_publish_is_what_the_views_show(
    store: Store, published: dict[str, list[bytes]]
):
    for table in TABLES:
        store.insert(table.name, *published[table.topic.name])
    found = store.view("touchpoints", "event_id, value_amount", "ORDER BY event_id")
    assert [tuple(row.values()) for row in found] == [("1", "0.1"), ("2", "0.2"), ("3", None)]
    shown = store.view(
        "profiles", "customer_id, touchpoints, revenue, traits['name'] AS name, segments",
        "ORDER BY customer_id",
    )  # fmt: skip
    assert shown[0] == {
        "customer_id": "c1",
        "touchpoints": 3,
        "revenue": {"JPY": "0.3"},
        "name": "山田",
        "segments": ["buyers"],
    }
    (member,) = store.view("segment_members", "segment")
    assert member == {"segment": "buyers"}
    assert [row["reason"] for row in store.view(CONFLICTS.name)] == ["unique"]
    (sums,) = store.view("engagement_daily", "sum(value_amount) AS s, sum(touchpoints) AS n")
    assert sums == {"s": "0.3", "n": 3}
    links = store.view("identity_links", "kind, state, reason", "ORDER BY kind")
    assert [tuple(row.values()) for row in links] == [
        ("customer_id", "withdrawn", "split"),
        ("email", "voided", "split"),
    ]
    (split,) = store.view(SPLITS.name, "kind, against, stands, voided, moved, note")
    assert split == {
        "kind": "email",
        "against": ["customer_id:c1"],
        "stands": True,
        "voided": 1,
        "moved": 1,
        "note": "sisters",
    }
    owners = store.view("touchpoints", "uniqExact(profile_id) AS n")
    assert owners == [{"n": 1}]
