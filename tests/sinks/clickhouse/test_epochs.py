"""Switching from one computation of the derived data to the next."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from tests.support import rows
from tests.support.rows import LEAD, OTHER
from tests.support.sinking import Store

NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)


def test_a_cluster_keeps_its_epoch_and_another_one_begins_a_new(store: Store):
    first = store.epochs.ensure("cluster-1", NOON)
    assert (first.number, first.active) == (1, True)
    second = store.epochs.ensure("cluster-2", NOON)
    assert (second.number, second.active) == (2, False)
    assert store.epochs.ensure("cluster-2", NOON) == second
    assert store.epochs.newest() == second
    assert store.epochs.shown() == first


def test_a_rebuild_is_invisible_until_it_is_activated(store: Store):
    store.epochs.begin("cluster-2", NOON)
    store.insert("touchpoints", rows.touchpoint())
    store.insert("profiles", rows.profile(customer_id="old", version=900))
    store.insert("profiles", rows.profile(customer_id="new", version=1, epoch=2))
    store.insert("identities", rows.identity(profile_id=OTHER, version=900))
    store.insert("identities", rows.identity(version=1, epoch=2))
    store.insert("engagement", rows.engagement(version=9, touchpoints=9))
    store.insert("engagement", rows.engagement(version=1, touchpoints=2, epoch=2))

    def seen() -> tuple[str, str, int]:
        return (
            store.view("profiles")[0]["customer_id"],
            store.view("touchpoints")[0]["profile_id"],
            store.view("engagement_hourly")[0]["touchpoints"],
        )

    assert seen() == ("old", OTHER, 9)
    store.epochs.activate(2, NOON)
    assert seen() == ("new", LEAD, 2)
    store.epochs.drop_superseded()
    assert seen() == ("new", LEAD, 2)
    stored = store.server.query(f"SELECT DISTINCT epoch FROM {store.storage}.profiles")
    assert stored == [{"epoch": 2}]


def test_links_and_splits_of_the_shown_epoch_stay_while_the_next_is_built(store: Store):
    store.insert("identity_links", rows.link(), rows.link(epoch=2, position=5))
    store.insert("identity_splits", rows.split(), rows.split(epoch=2, split_id="s2"))

    def stored(table: str) -> list[int]:
        sql = f"SELECT epoch FROM {store.storage}.{table} ORDER BY epoch"
        return [row["epoch"] for row in store.server.query(sql)]

    store.epochs.begin("cluster-2", NOON)
    store.epochs.drop_superseded()
    tables = ("identity_links", "identity_link_state", "identity_splits")
    assert [stored(table) for table in tables] == [[1, 2]] * 3
    assert [row["split_id"] for row in store.view("identity_splits")] == ["s1"]
    store.epochs.activate(2, NOON)
    store.epochs.drop_superseded()
    assert [stored(table) for table in tables] == [[2]] * 3
    assert [row["split_id"] for row in store.view("identity_splits")] == ["s2"]


def test_memberships_that_did_not_change_keep_their_since(store: Store):
    store.insert("segment_changes", rows.segment_change(changed_at="2026-11-10T00:00:00.000Z"))
    store.epochs.begin("cluster-2", NOON)
    rebuilt = rows.segment_change(epoch=2, version=5, changed_at="2026-11-21T00:00:00.000Z")
    store.insert("segment_changes", rebuilt)
    store.epochs.activate(2, NOON)
    assert [row["since"] for row in store.view("segment_members")] == ["2026-11-10 00:00:00.000"]
    store.insert("segment_changes", rebuilt)
    assert [row["since"] for row in store.view("segment_members")] == ["2026-11-10 00:00:00.000"]
    store.insert("segment_changes", rows.segment_change(epoch=2, version=6, change="exited"))
    assert store.view("segment_members") == []


def test_the_changes_that_are_shown_add_up_to_the_members(store: Store):
    gone, came, stayed, dropped = (f"0b7f2a1e-0000-5000-8000-00000000010{n}" for n in range(4))
    for who in (gone, stayed, dropped):
        store.insert("segment_changes", rows.segment_change(profile_id=who))
    store.epochs.begin("cluster-2", NOON)
    early = {"epoch": 2, "changed_at": "2026-11-22T03:00:00.000Z"}
    store.insert(
        "segment_changes",
        rows.segment_change(profile_id=gone, version=1, **early),
        rows.segment_change(profile_id=gone, version=2, change="exited", cause="time", **early),
        rows.segment_change(profile_id=came, version=1, cause="event", **early),
        rows.segment_change(profile_id=stayed, version=1, **early),
    )
    store.epochs.activate(2, NOON)
    at_noon = store.view(
        "segment_changes",
        "profile_id, change, cause",
        "WHERE changed_at = '2026-11-22 12:00:00' ORDER BY profile_id",
    )
    assert at_noon == [
        {"profile_id": gone, "change": "exited", "cause": "time"},
        {"profile_id": came, "change": "entered", "cause": "event"},
        {"profile_id": dropped, "change": "exited", "cause": "definition"},
    ]
    balance = store.view(
        "segment_changes",
        "profile_id, sum(if(change = 'entered', 1, -1)) AS inside",
        "GROUP BY profile_id HAVING inside != 0 ORDER BY profile_id",
    )
    members = store.view("segment_members", "profile_id", "ORDER BY profile_id")
    assert [row["profile_id"] for row in balance] == [row["profile_id"] for row in members]
    assert {row["inside"] for row in balance} == {1}


def test_what_changes_after_the_activation_shows_once(store: Store):
    """Between reading the clock and switching over, the new epoch may already have a change."""
    store.epochs.begin("cluster-2", NOON)
    later = "2026-11-22T12:00:00.500Z"
    store.insert("segment_changes", rows.segment_change(epoch=2, changed_at=later))
    store.epochs.activate(2, NOON)
    assert [row["changed_at"] for row in store.view("segment_changes")] == [
        "2026-11-22 12:00:00.500"
    ]


def test_each_epoch_speaks_for_the_time_in_which_it_was_shown(store: Store):
    def change(epoch: int, day: int, version: int) -> bytes:
        moment = f"2026-11-{day:02d}T00:00:00.000Z"
        return rows.segment_change(epoch=epoch, changed_at=moment, version=version)

    store.insert("segment_changes", rows.segment_change(changed_at="2020-01-01T00:00:00.000Z"))
    store.insert("segment_changes", change(1, 15, 2), change(1, 25, 3))
    store.epochs.begin("cluster-2", datetime(2026, 11, 20, tzinfo=UTC))
    store.insert("segment_changes", change(2, 15, 1), change(2, 26, 2), change(2, 29, 3))
    store.epochs.activate(2, datetime(2026, 11, 20, tzinfo=UTC))
    store.epochs.begin("cluster-3", datetime(2026, 11, 28, tzinfo=UTC))
    store.insert("segment_changes", change(3, 15, 1), change(3, 30, 2))
    store.epochs.activate(3, datetime(2026, 11, 28, tzinfo=UTC))
    store.epochs.drop_superseded()
    shown = store.view("segment_changes", "toDate(changed_at) AS day", "ORDER BY day")
    assert [row["day"] for row in shown] == [
        "2020-01-01",
        "2026-11-15",
        "2026-11-26",
        "2026-11-30",
    ]


def test_of_an_epoch_that_was_never_shown_nothing_is_kept(store: Store):
    store.epochs.begin("cluster-2", NOON)
    store.insert("segment_changes", rows.segment_change(), rows.segment_change(epoch=2))
    store.epochs.begin("cluster-3", NOON)
    store.insert("segment_changes", rows.segment_change(epoch=3))
    store.epochs.activate(3, NOON)
    store.epochs.drop_superseded()
    kept = store.server.query(f"SELECT DISTINCT epoch FROM {store.storage}.segment_changes")
    assert sorted(row["epoch"] for row in kept) == [1, 3]


def test_activating_again_changes_nothing(store: Store):
    store.insert("segment_changes", rows.segment_change())
    store.epochs.begin("cluster-2", NOON)
    store.epochs.activate(2, NOON)

    def seen() -> list[object]:
        return [
            store.view(name, rest="ORDER BY ALL") for name in ("segment_changes", "segment_members")
        ]

    before = seen()
    store.epochs.activate(2, datetime(2026, 11, 23, tzinfo=UTC))
    store.epochs.activate(1, datetime(2026, 11, 23, tzinfo=UTC))
    assert seen() == before


def test_an_epoch_that_was_never_begun_cannot_be_shown(store: Store):
    with pytest.raises(ValueError, match="never begun"):
        store.epochs.activate(7, NOON)
