"""The local rows: index, recovery, expiry, packing. On real databases in a temporary folder."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from processors.engine.packing import MAX_BATCH_BYTES, TooLarge, pack_seen, unpack_seen
from processors.engine.packing import pack as pack_batches
from processors.engine.seen import PartitionSeen
from processors.engine.store import (
    OFFSET,
    PartitionMemory,
    PartitionRows,
    due_entries,
    due_entry,
)
from schemas.rows import order, pack
from tests.support.engine_doubles import open_db

DAY = 86_400


@pytest.fixture
def db(tmp_path: Path) -> Iterator[Any]:
    database = open_db(tmp_path / "db")
    yield database
    database.close()


def deadline(key: bytes, value: bytes) -> int | None:
    """The body is the deadline in ms, or empty."""
    return int(value[21:]) if value[21:] else None


def row(applied: int, moment: int | None = None, rev: int = 0) -> bytes:
    return pack(1, applied, rev, b"" if moment is None else b"%d" % moment)


def write(rows: PartitionRows, changes: dict[bytes, bytes | None], *fired: bytes) -> None:
    old = dict(zip(changes, rows.get_many(list(changes)), strict=True))
    entries, before = due_entries(deadline, changes), due_entries(deadline, old)
    rows.apply(changes, entries, before, fired, 7)


def due(rows: PartitionRows, until: int) -> list[bytes]:
    return [key for _, key in rows.due(until, 100)]


def test_rows_are_due_in_the_order_of_their_deadlines_up_to_the_moment_included(db: Any) -> None:
    rows = PartitionRows(db, PartitionMemory())
    write(rows, {b"a": row(1, 300), b"b": row(1, 100), b"c": row(1), b"d": row(1, 200)})
    assert due(rows, 99) == []
    assert due(rows, 200) == [b"b", b"d"]
    assert due(rows, 10_000) == [b"b", b"d", b"a"]
    assert len(rows.due(10_000, 2)) == 2


def test_a_changed_row_is_due_at_its_new_deadline_only_and_a_deleted_one_never(db: Any) -> None:
    rows = PartitionRows(db, PartitionMemory())
    write(rows, {b"a": row(1, 100), b"b": row(1, 100)})
    write(rows, {b"a": row(2, 500), b"b": None})
    assert due(rows, 400) == []
    assert due(rows, 500) == [b"a"]


def test_a_fired_entry_stays_until_it_is_forgotten(db: Any) -> None:
    rows = PartitionRows(db, PartitionMemory())
    write(rows, {b"a": row(1, 100)})
    [(entry, _)] = rows.due(100, 10)
    write(rows, {b"a": row(1, 900, rev=1)}, entry)
    assert due(rows, 100) == [b"a"], "a crash before publishing must find it again"
    rows.forget([entry])
    assert due(rows, 899) == []
    assert due(rows, 900) == [b"a"]


@settings(
    max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None
)
@given(
    st.lists(
        st.one_of(
            st.tuples(st.sampled_from(b"abcde"), st.none() | st.integers(0, 50)),
            st.integers(0, 60),
        ),
        max_size=30,
    )
)
def test_the_low_mark_never_hides_a_deadline(
    tmp_path_factory: pytest.TempPathFactory, moves: list[Any]
) -> None:
    database = open_db(tmp_path_factory.mktemp("marks") / "db")
    rows, wanted = PartitionRows(database, PartitionMemory()), dict[bytes, int]()
    for move in moves:
        if isinstance(move, tuple):
            key = bytes([move[0]])
            write(rows, {key: row(1, move[1])})
            wanted.pop(key, None)
            if move[1] is not None:
                wanted[key] = move[1]
        else:
            expected = {key for key, moment in wanted.items() if moment <= move}
            assert set(due(rows, move)) == expected
    database.close()


@settings(max_examples=100, deadline=None)
@given(
    st.lists(st.tuples(st.sampled_from([b"a", b"b"]), st.integers(0, 6)), min_size=1),
    st.data(),
)
def test_recovery_ends_with_the_newest_row_whatever_the_order_and_the_batches(
    tmp_path_factory: pytest.TempPathFactory, log: list[tuple[bytes, int]], data: Any
) -> None:
    database = open_db(tmp_path_factory.mktemp("recovery") / "db")
    rows = PartitionRows(database, PartitionMemory())
    changes = [(key, row(applied, applied * 10)) for key, applied in log]
    cut = data.draw(st.integers(0, len(changes)))
    for part in (changes[:cut], changes[cut:]):
        if part:
            rows.recover(part, deadline, 5)
    for key in (b"a", b"b"):
        versions = [value for name, value in changes if name == key]
        newest = max(versions, key=order, default=None)
        assert rows.get_many([key]) == [newest]
        behind = bool(versions) and order(versions[-1]) < order(newest or b"")
        assert (key in rows.to_relog(10)) is behind
    moments = {key: max(a for name, a in log if name == key) * 10 for key, _ in log}
    assert set(due(rows, 1000)) == set(moments)
    assert {e for e, _ in rows.due(1000, 10)} == {due_entry(m, k) for k, m in moments.items()}
    database.close()


def test_recovery_and_log_again_move_the_changelog_offset(db: Any) -> None:
    rows = PartitionRows(db, PartitionMemory())
    assert rows.recover([(b"a", row(5)), (b"a", row(3))], deadline, 11) == 1
    assert db.get(OFFSET) == b"11"
    assert rows.to_relog(10) == {b"a": row(5)}
    rows.relogged([b"a"], 12)
    assert (rows.to_relog(10), db.get(OFFSET)) == ({}, b"12")


def test_a_deletion_is_recovered(db: Any) -> None:
    rows = PartitionRows(db, PartitionMemory())
    rows.recover([(b"a", row(5, 10)), (b"a", None)], deadline, 2)
    assert rows.get_many([b"a"]) == [None]
    assert due(rows, 1000) == []


def test_a_row_that_the_stage_cannot_read_does_not_stop_the_recovery(db: Any) -> None:
    rows = PartitionRows(db, PartitionMemory())
    rows.recover([(b"a", pack(1, 1, 1, b"not a number")), (b"b", row(1, 50))], deadline, 2)
    assert due(rows, 100) == [b"b"]


def test_scan_continues_behind_a_key(db: Any) -> None:
    rows = PartitionRows(db, PartitionMemory())
    write(rows, {b"p:%d" % n: row(n) for n in range(5)} | {b"q": row(1)})
    assert [key for key, _ in rows.scan(b"p:", 2)] == [b"p:0", b"p:1"]
    assert [key for key, _ in rows.scan(b"p:", 10, b"p:1")] == [b"p:2", b"p:3", b"p:4"]


def seen_of(entries: dict[bytes, tuple[int, int]]) -> list[bytes]:
    offsets = {digest: offset for digest, (offset, _) in entries.items()}
    return pack_seen(offsets, {offset: s * 1000 for offset, s in entries.values()})


def test_an_id_is_forgotten_by_record_time_and_only_then(db: Any) -> None:
    seen = PartitionSeen(db, 7 * DAY)
    old, new = b"o" * 16, b"n" * 16
    seen.apply(zip((3,), seen_of({old: (1, 100), new: (2, 5 * DAY)}), strict=True))
    assert seen.offsets([old, new, b"x" * 16], 7 * DAY + 100) == [1, 2, None]
    assert seen.offsets([old, new], 7 * DAY + 101) == [None, 2]
    assert not seen.expire(12 * DAY), "the newest id of the record is still within the window"
    assert seen.expire(13 * DAY)
    assert not seen.expire(13 * DAY)
    assert list(db.keys()) == [OFFSET]


def test_expiry_keeps_an_id_that_came_again_later(db: Any) -> None:
    seen, digest = PartitionSeen(db, 10), b"d" * 16
    seen.apply(zip((1,), seen_of({digest: (1, 100)}), strict=True))
    seen.apply(zip((2,), seen_of({digest: (9, 200)}), strict=True))
    assert seen.expire(150)
    assert seen.offsets([digest], 205) == [9]


def test_packed_ids_come_out_as_they_went_in_in_records_that_fit() -> None:
    ids = {number.to_bytes(16): number for number in range(70_000)}
    packed = pack_seen(ids, dict.fromkeys(ids.values(), 5_000))
    assert max(map(len, packed)) < MAX_BATCH_BYTES
    found = [entry for record in packed for entry in unpack_seen(record)]
    assert [(e.hash, e.offset, e.time_s) for e in found] == [(k, v, 5) for k, v in ids.items()]


class Builder:
    """A record batch that holds three records."""

    def __init__(self) -> None:
        self.items: list[tuple[Any, Any]] = []

    def append(self, *, key: Any, value: Any, timestamp: Any) -> object:
        if len(self.items) == 3:
            return None
        self.items.append((key, value))
        return self


def test_batches_are_filled_in_order_and_what_fits_none_is_refused() -> None:
    items = [(b"%d" % number, b"v") for number in range(7)]
    batches = pack_batches(Builder, items)
    assert [item for batch in batches for item in batch.items] == items
    assert [len(batch.items) for batch in batches] == [3, 3, 1]
    with pytest.raises(TooLarge):
        pack_batches(Builder, [(b"k", b"v" * MAX_BATCH_BYTES)])
