"""The views that BI relies on, over the real engine."""

from __future__ import annotations

import base64
import uuid

import pytest

from tests.support import rows
from tests.support.rows import LEAD, OTHER
from tests.support.sinking import Store

TEXT, LABEL, MOMENT = "String", "LowCardinality(String)", "DateTime64(3, 'UTC')"
ENGAGEMENT = {
    "window_start": "DateTime('UTC')",
    "channel": LABEL,
    "type": LABEL,
    "source": LABEL,
    "campaign_name": TEXT,
    "touchpoints": "UInt64",
    "value_amount": "Decimal(38, 6)",
    "value_currency": LABEL,
    "duration_s": "Float64",
}
CONTRACT = {
    "touchpoints": {
        "event_id": TEXT,
        "profile_id": "UUID",
        "lead_kind": LABEL,
        "lead_value": TEXT,
        "channel": LABEL,
        "type": LABEL,
        "source": LABEL,
        "direction": LABEL,
        "occurred_at": MOMENT,
        "received_at": MOMENT,
        "campaign_name": TEXT,
        "campaign_source": TEXT,
        "campaign_medium": TEXT,
        "value_amount": "Nullable(Decimal(38, 6))",
        "value_currency": LABEL,
        "duration_s": "Nullable(Float64)",
        "outcome": TEXT,
        "sentiment": "Nullable(Float64)",
        "subject": TEXT,
        "url": TEXT,
        "identifiers": "Map(String, Array(String))",
        "properties": TEXT,
    },
    "profiles": {
        "profile_id": "UUID",
        "customer_id": TEXT,
        "email": TEXT,
        "phone": TEXT,
        "display_name": TEXT,
        "traits": "Map(String, String)",
        "first_seen_at": MOMENT,
        "last_seen_at": MOMENT,
        "touchpoints": "UInt64",
        "channels": "Map(String, UInt64)",
        "orders": "UInt64",
        "revenue": "Map(String, Decimal(38, 6))",
        "engagement_score": "Float64",
        "segments": "Array(String)",
        "consent": "Map(String, Bool)",
        "updated_at": MOMENT,
    },
    "identities": {
        "kind": LABEL,
        "value": TEXT,
        "profile_id": "UUID",
        "linked_at": MOMENT,
        "identifier_id": "UUID",
    },
    "segment_members": {"segment": LABEL, "profile_id": "UUID", "since": MOMENT},
    "segment_changes": {
        "segment": LABEL,
        "profile_id": "UUID",
        "change": LABEL,
        "changed_at": MOMENT,
        "cause": LABEL,
    },
    "engagement_hourly": ENGAGEMENT,
    "engagement_daily": ENGAGEMENT,
    "rejected_touchpoints": {
        "rejected_id": "UUID",
        "source": LABEL,
        "reason": LABEL,
        "detail": TEXT,
        "payload": TEXT,
        "received_at": MOMENT,
        "connector": LABEL,
        "topic": LABEL,
        "replayed_at": "Nullable(DateTime64(3, 'UTC'))",
        "outcome": LABEL,
    },
    "identity_conflicts": {
        "kind": LABEL,
        "value": TEXT,
        "profile_id": "UUID",
        "other_profile_id": "UUID",
        "reason": LABEL,
        "occurred_at": MOMENT,
    },
    "plan_violations": {
        "day": "Date",
        "source": LABEL,
        "type": LABEL,
        "place": TEXT,
        "rule": LABEL,
        "expected": TEXT,
        "came": LABEL,
        "action": LABEL,
        "events": "UInt64",
        "first_at": MOMENT,
        "last_at": MOMENT,
        "example_event_id": TEXT,
        "example": TEXT,
    },
    "identity_links": {
        "lead_kind": LABEL,
        "lead_value": TEXT,
        "kind": LABEL,
        "value": TEXT,
        "state": LABEL,
        "reason": LABEL,
        "source": LABEL,
        "event_id": TEXT,
        "occurred_at": MOMENT,
        "decided_at": MOMENT,
        "split_id": TEXT,
    },
    "identity_splits": {
        "split_id": TEXT,
        "action": LABEL,
        "kind": LABEL,
        "value": TEXT,
        "lead_kind": LABEL,
        "lead_value": TEXT,
        "source": LABEL,
        "against": "Array(String)",
        "stands": "Bool",
        "voided": "UInt64",
        "moved": "UInt64",
        "note": TEXT,
        "commanded_at": MOMENT,
        "decided_at": MOMENT,
    },
}


@pytest.mark.parametrize("view", CONTRACT)
def test_a_view_has_the_columns_of_the_contract(store: Store, view: str):
    described = store.server.query(f"DESCRIBE {store.bi}.{view}")
    assert [(row["name"], row["type"]) for row in described] == list(CONTRACT[view].items())
    assert store.view(view) == []


def test_no_other_view_is_public(store: Store):
    tables = store.server.query(f"SELECT name FROM system.tables WHERE database = '{store.bi}'")
    assert {row["name"] for row in tables} == set(CONTRACT)


def test_every_table_and_every_column_says_what_it_is(store: Store):
    where = f"WHERE database IN ('{store.bi}', '{store.storage}') AND comment = ''"
    assert store.server.query(f"SELECT database, table, name FROM system.columns {where}") == []
    # A materialized view takes no comment of its own; its columns have theirs.
    unsaid = store.server.query(f"SELECT name FROM system.tables {where}")
    feeds = ["identity_link_state_feed", "segment_membership_feed"]
    assert sorted(row["name"] for row in unsaid) == feeds


def test_a_touchpoint_comes_out_as_it_went_in(store: Store):
    store.insert("touchpoints", rows.touchpoint())
    (row,) = store.view("touchpoints")
    assert row == {
        "event_id": "e1",
        "profile_id": LEAD,
        "lead_kind": "email",
        "lead_value": "hanako@example.jp",
        "channel": "commerce",
        "type": "order_completed",
        "source": "shop",
        "direction": "inbound",
        "occurred_at": "2026-11-20 23:59:59.999",
        "received_at": "2026-11-22 08:05:46.123",
        "campaign_name": "spring",
        "campaign_source": "news",
        "campaign_medium": "email",
        "value_amount": "29.33",
        "value_currency": "USD",
        "duration_s": None,
        "outcome": "",
        "sentiment": None,
        "subject": "😀",
        "url": "https://shop.example/?a=1",
        "identifiers": {"email": ["hanako@example.jp"], "device_id": ["d1", "d2"]},
        "properties": '{"nul":"\\u0000"}',
    }
    (stored,) = store.server.query(f"SELECT traits, consent FROM {store.storage}.touchpoints")
    assert stored["traits"] == {"name": "山田 花子", "plan": None}
    assert stored["consent"] == {"marketing": True}


def test_money_is_exact(store: Store):
    amounts = ["0.1", "0.2", "99999999999999999999999999999999.999999", "-0.000001", None]
    for number, amount in enumerate(amounts):
        store.insert("touchpoints", rows.touchpoint(event_id=str(number), value_amount=amount))
    found = store.view("touchpoints", "value_amount", "ORDER BY event_id")
    assert [row["value_amount"] for row in found] == amounts
    (total,) = store.view("touchpoints", "sum(value_amount) AS s", "WHERE event_id < '2'")
    assert total["s"] == "0.3"
    store.insert("profiles", rows.profile())
    assert store.view("profiles", "revenue") == [
        {"revenue": {"USD": "29.33", "JPY": "99999999999999999999.000001"}}
    ]


def test_of_a_touchpoint_that_comes_twice_the_first_receipt_stands(store: Store):
    store.insert("touchpoints", rows.touchpoint(received_at="2026-11-22T09:00:00.000Z"))
    store.insert("touchpoints", rows.touchpoint(received_at="2026-11-22T08:00:00.000Z"))
    store.insert("touchpoints", rows.touchpoint(received_at="2026-11-22T10:00:00.000Z"))
    assert [row["received_at"] for row in store.view("touchpoints")] == ["2026-11-22 08:00:00.000"]


def test_a_redelivery_does_not_change_when_a_touchpoint_became_queryable(store: Store):
    sql = f"SELECT inserted_at FROM {store.storage}.touchpoints FINAL"
    store.insert("touchpoints", rows.touchpoint())
    (first,) = store.server.query(sql)
    while store.server.query("SELECT now64(3, 'UTC') AS now")[0]["now"] <= first["inserted_at"]:
        pass
    store.insert("touchpoints", rows.touchpoint())
    assert store.server.query(sql) == [first]


def test_touchpoints_of_all_years_go_in_with_one_insert(store: Store):
    many = [
        rows.touchpoint(event_id=str(year), occurred_at=f"{year}-01-01T00:00:00.000Z")
        for year in range(1970, 2101)
    ]
    store.insert("touchpoints", *many)
    (found,) = store.view(
        "touchpoints", "count() AS n, min(occurred_at) AS first, max(occurred_at) AS last"
    )
    assert found == {
        "n": 131,
        "first": "1970-01-01 00:00:00.000",
        "last": "2100-01-01 00:00:00.000",
    }


@pytest.mark.parametrize("join_use_nulls", ["0", "1"])
def test_a_touchpoint_belongs_to_the_present_profile_of_its_lead(store: Store, join_use_nulls: str):
    store.insert("touchpoints", rows.touchpoint())
    store.insert("touchpoints", rows.touchpoint(event_id="e2", lead_id=OTHER))
    store.insert("identities", rows.identity())
    store.insert("identities", rows.identity(profile_id=OTHER, version=2))

    def profiles() -> list[str]:
        sql = f"SELECT profile_id FROM {store.bi}.touchpoints ORDER BY event_id"
        return [row["profile_id"] for row in store.server.query(sql, join_use_nulls=join_use_nulls)]

    assert profiles() == [OTHER, OTHER]
    store.insert("identities", rows.identity(version=3))
    assert profiles() == [LEAD, OTHER]


def test_an_old_version_that_arrives_late_loses(store: Store):
    store.insert("profiles", rows.profile(version=8, customer_id="new"))
    store.insert("profiles", rows.profile(version=7, customer_id="old"))
    store.insert("engagement", rows.engagement(version=2, touchpoints=5))
    store.insert("engagement", rows.engagement(version=1, touchpoints=4))
    store.insert("segment_changes", rows.segment_change(version=2, change="exited"))
    store.insert("segment_changes", rows.segment_change(version=1))
    assert [row["customer_id"] for row in store.view("profiles")] == ["new"]
    assert [row["touchpoints"] for row in store.view("engagement_hourly")] == [5]
    assert store.view("segment_members") == []
    assert len(store.view("segment_changes")) == 2


def test_rows_that_come_twice_change_nothing(store: Store):
    every = {
        "touchpoints": rows.touchpoint(),
        "profiles": rows.profile(),
        "identities": rows.identity(),
        "segment_changes": rows.segment_change(),
        "engagement": rows.engagement(),
        "identity_conflicts": rows.conflict(),
        "identity_links": rows.link(),
        "identity_splits": rows.split(),
        "rejected_touchpoints": rows.rejected(),
        "plan_violations": rows.violation(),
    }
    for table, row in every.items():
        store.insert(table, row)
    once = {view: store.view(view) for view in CONTRACT}
    assert all(len(found) == 1 for found in once.values())
    for table, row in every.items():
        store.insert(table, row, row)
        store.insert(table, row)
    assert {view: store.view(view) for view in CONTRACT} == once


def test_a_profile_without_touches_is_not_shown(store: Store):
    store.insert("profiles", rows.profile())
    store.insert("profiles", rows.profile(touchpoints=0, version=8))
    assert store.view("profiles") == []


def test_the_engagement_score_halves_in_30_days(store: Store):
    store.insert(
        "profiles",
        rows.profile(profile_id=LEAD, engagement_points=20, last_seen_at="2100-01-01T00:00:00Z"),
        rows.profile(profile_id=OTHER, engagement_points=20, last_seen_at="1971-01-01T00:00:00Z"),
    )
    found = store.view("profiles", "profile_id, engagement_score", "ORDER BY profile_id")
    assert [row["engagement_score"] for row in found] == [63.2, 0]
    (half,) = store.server.query("SELECT round(100 * (1 - exp(-20 * exp2(-1) / 20)), 1) AS score")
    month_ago = "toString(now64(3, 'UTC') - INTERVAL 30 DAY)"
    store.server.query(
        f"INSERT INTO {store.storage}.profiles (epoch, profile_id, touchpoints, engagement_points,"
        f" last_seen_at, version) SELECT 1, '{LEAD}', 1, 20, {month_ago}, 9"
    )
    assert store.view("profiles", "engagement_score", f"WHERE profile_id = '{LEAD}'") == [
        {"engagement_score": half["score"]}
    ]


def test_engagement_sums_over_partitions_by_hour_and_by_day(store: Store):
    store.insert(
        "engagement",
        rows.engagement(home=0, value_amount="0.1"),
        rows.engagement(home=1, value_amount="0.2"),
        rows.engagement(window_start="2026-11-20T23:00:00Z", touchpoints=1, value_amount="5"),
        rows.engagement(window_start="2026-11-21T00:00:00Z", touchpoints=1, value_amount="7"),
    )
    hourly = store.view("engagement_hourly", rest="ORDER BY window_start")
    assert [(row["window_start"], row["touchpoints"], row["value_amount"]) for row in hourly] == [
        ("2026-11-20 13:00:00", 4, "0.3"),
        ("2026-11-20 23:00:00", 1, "5"),
        ("2026-11-21 00:00:00", 1, "7"),
    ]
    daily = store.view("engagement_daily", rest="ORDER BY window_start")
    assert [(row["window_start"], row["touchpoints"], row["value_amount"]) for row in daily] == [
        ("2026-11-20 00:00:00", 5, "5.3"),
        ("2026-11-21 00:00:00", 1, "7"),
    ]


def test_a_rejected_payload_is_readable_byte_by_byte(store: Store):
    store.insert("rejected_touchpoints", rows.rejected())
    assert store.view("rejected_touchpoints", "hex(payload) AS payload") == [{"payload": "00FF"}]


def test_violations_of_the_plan_are_counted_by_event_with_an_example(store: Store):
    def seen(n: int, example: str = "", **changes: str) -> bytes:
        return rows.violation(
            violation_id=str(uuid.UUID(int=n)), event_id=f"e{n}", payload_base64=example, **changes
        )

    example = base64.b64encode('{"名":1}'.encode()).decode()
    at = "2026-11-20T23:59:59.999Z"
    store.insert("plan_violations", seen(1), seen(2, example), seen(3, received_at=at))
    # It came again, on the next day of another year's turn too: it is the same one.
    store.insert("plan_violations", seen(3, received_at="2027-01-01T00:00:00.000Z"))
    store.insert("plan_violations", seen(4, place="traits.age", rule="type", came="string"))
    rest = "ORDER BY day, place"
    found = store.view("plan_violations", rest=rest)
    assert sum(row["events"] for row in found) == 4
    first = found[0]
    assert (first["day"], first["place"], first["events"]) == ("2026-11-20", "properties.plan", 2)
    assert (first["example_event_id"], first["example"]) == ("e2", '{"名":1}')
    assert first["expected"] == 'enum ["free", "pro"]'
    assert found[1]["place"] == "traits.age"
    assert (found[2]["day"], found[2]["events"]) == ("2027-01-01", 1)


def test_a_link_stands_as_it_was_decided_last(store: Store):
    voided = {"verdict": "voided", "reason": "split", "split_id": "s1"}
    store.insert(
        "identity_links",
        rows.link(position=7, decided_at="2026-11-21T00:00:00.000Z", **voided),
        rows.link(position=3),
        rows.link(position=900, epoch=2),
        rows.link(position=5, lead_id=OTHER, identifier_id=LEAD, lead_value="x", value="y"),
    )
    found = store.view("identity_links", "lead_value, state, reason, split_id", "ORDER BY state")
    assert [tuple(row.values()) for row in found] == [
        ("x", "holds", "", ""),
        ("hanako@example.jp", "voided", "split", "s1"),
    ]
    one = "WHERE kind = 'phone' AND value = '+81312345678'"
    assert store.view("identity_links", "state, decided_at", one) == [
        {"state": "voided", "decided_at": "2026-11-21 00:00:00.000"}
    ]
    store.insert("identity_links", rows.link(position=8, event_id="e2"))
    assert store.view("identity_links", "state, event_id", one) == [
        {"state": "holds", "event_id": "e2"}
    ]


def test_a_split_stands_until_it_is_lifted(store: Store):
    link = {"lead_id": LEAD, "lead_kind": "email", "lead_value": "hanako@example.jp"}
    store.insert(
        "identity_splits",
        rows.split(position=0),
        rows.split(position=2, split_id="s2", **link),
        rows.split(position=9, epoch=2, action="lift"),
    )

    def standing() -> list[str]:
        where = "WHERE stands ORDER BY split_id"
        return [row["split_id"] for row in store.view("identity_splits", "split_id", where)]

    assert standing() == ["s1", "s2"]
    # Of the identifier only, not of the link.
    store.insert("identity_splits", rows.split(position=4, split_id="s3", action="lift"))
    assert standing() == ["s2"]
    store.insert("identity_splits", rows.split(position=6, split_id="s4"))
    assert standing() == ["s2", "s4"]
    store.insert("identity_splits", rows.split(position=7, split_id="s5", action="lift", **link))
    assert standing() == ["s4"]


def test_a_split_says_from_whom(store: Store):
    against = {"against_kinds": ["email", "x"], "against_values": ["a:b@example.jp", "ada"]}
    store.insert("identity_splits", rows.split(**against))
    (row,) = store.view("identity_splits", "against")
    assert row["against"] == ["email:a:b@example.jp", "x:ada"]
