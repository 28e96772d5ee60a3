"""Refusals and marks in the real ClickHouse."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from datetime import UTC, datetime

import msgspec
import pytest

from deploy.operations.rejected import log as module
from deploy.operations.rejected.log import Mark, RefusalSelection, RejectedLog, TouchKey
from schemas import touchpoint_row
from schemas.times import parse_ms, rfc3339
from tests.support import rows
from tests.support.sinking import Store

DAY = "2026-11-2{}T00:00:00.000Z"


@pytest.fixture
def log(store: Store) -> RejectedLog:
    return RejectedLog(store.clickhouse, store.namespace)


def fill(store: Store, count: int, **changes: str) -> list[str]:
    """Refusals of one time of receipt; their ids in ClickHouse's order: by the second half."""
    made = sorted((uuid.uuid4() for _ in range(count)), key=lambda one: one.hex[16:])
    ids = [str(one) for one in made]
    store.insert(
        "rejected_touchpoints", *(rows.rejected(rejected_id=one, **changes) for one in ids)
    )
    return ids


def mark(rejected_id: str, outcome: str = "accepted", received_at: str = DAY.format(0)) -> Mark:
    return Mark(
        rejected_id=rejected_id,
        received_at=received_at,
        replayed_at="2026-11-25T12:00:00.000Z",
        outcome=outcome,
        accepted=1,
        topic="touchpoints",
        event_ids=("e1",),
    )


def opened(log: RejectedLog, selection: RefusalSelection | None = None, now: int = 0) -> list[str]:
    pages = log.open(selection or RefusalSelection(), now or log.now_ms())
    return [refusal.rejected_id for page in pages for refusal in page]


def test_a_refusal_comes_back_as_it_was_kept(store: Store, log: RejectedLog):
    store.insert(
        "rejected_touchpoints",
        rows.rejected(
            form="record", request="", topic="trails", partition=3, key_base64="AQI=", epoch=7
        ),
    )
    (one,) = log.found(str(uuid.UUID(int=1)))
    assert (one.form, one.topic, one.partition, one.key, one.epoch) == (
        "record", "trails", 3, b"\x01\x02", 7,
    )  # fmt: skip
    assert one.payload == b"\x00\xff"
    assert one.received_ms == parse_ms(DAY.format(0))
    assert log.mark_of(one) is None
    assert log.found(str(uuid.UUID(int=2))) == []


@pytest.mark.parametrize(("ids", "chunk"), [(10_000, 500), (3, 2), (1, 1), (4, 500)])
def test_every_open_refusal_comes_once_in_pages_of_any_size(
    store: Store, log: RejectedLog, monkeypatch: pytest.MonkeyPatch, ids: int, chunk: int
):
    monkeypatch.setattr(module, "_IDS", ids)
    monkeypatch.setattr(module, "CHUNK_ROWS", chunk)
    expected = [*fill(store, 5), *fill(store, 4, received_at=DAY.format(1))]
    store.insert("rejected_touchpoints", rows.rejected(rejected_id=expected[0]))
    assert opened(log) == expected
    assert all(len(page) <= chunk for page in log.open(RefusalSelection(), log.now_ms()))


def test_large_payloads_are_read_a_few_at_a_time(
    store: Store, log: RejectedLog, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(module, "CHUNK_BYTES", 100)
    fill(store, 5, payload_base64="QUJD" * 20)
    assert [len(page) for page in log.open(RefusalSelection(), log.now_ms())] == [1] * 5


def test_what_was_marked_is_not_open_and_shows_in_the_view(store: Store, log: RejectedLog):
    ids = fill(store, 3)
    log.mark([mark(ids[1])])
    log.mark([mark(ids[1])])
    assert opened(log) == [ids[0], ids[2]]
    found = store.view(
        "rejected_touchpoints", "rejected_id, toString(replayed_at) AS at, outcome",
        "ORDER BY rejected_id",
    )  # fmt: skip
    assert [tuple(row.values()) for row in found] == [
        (ids[0], None, ""),
        (ids[1], "2026-11-25 12:00:00.000", "accepted"),
        (ids[2], None, ""),
    ]
    (refusal,) = log.found(ids[1])
    assert log.mark_of(refusal) == mark(ids[1])


def test_a_mark_is_of_one_time_of_receipt(store: Store, log: RejectedLog):
    """Records of two lifetimes of the embedded broker had one id in an older version."""
    (one,) = fill(store, 1)
    store.insert("rejected_touchpoints", rows.rejected(rejected_id=one, received_at=DAY.format(1)))
    log.mark([mark(one)])
    (left,) = next(iter(log.open(RefusalSelection(), log.now_ms())))
    assert left.received_ms == parse_ms(DAY.format(1))


def test_marks_that_are_made_meanwhile_disturb_nothing(
    store: Store, log: RejectedLog, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(module, "_IDS", 2)
    expected = fill(store, 7)
    seen = []
    for page in log.open(RefusalSelection(), log.now_ms()):
        seen += [refusal.rejected_id for refusal in page]
        log.mark([mark(refusal.rejected_id) for refusal in page])
    assert seen == expected
    assert opened(log) == []


def test_what_comes_in_after_the_begin_is_not_taken_up(store: Store, log: RejectedLog):
    there = fill(store, 2)
    began = log.now_ms()
    later = rfc3339(began + 1)
    fill(store, 2, inserted_at=later)
    assert opened(log, now=began) == there
    assert len(opened(log, now=began + 1)) == 4


def test_refusals_are_chosen_by_source_reason_time_and_id(store: Store, log: RejectedLog):
    shop = fill(store, 2)
    crm = fill(store, 1, source="crm", received_at=DAY.format(1))
    late = fill(store, 1, reason="invalid", received_at=DAY.format(2))
    since, until = (parse_ms(DAY.format(day)) for day in (1, 2))
    assert opened(log, RefusalSelection(source="crm")) == crm
    assert opened(log, RefusalSelection(reason="invalid")) == late
    assert opened(log, RefusalSelection(since_ms=since)) == [*crm, *late]
    assert opened(log, RefusalSelection(since_ms=since, until_ms=until)) == crm
    assert opened(log, RefusalSelection(ids=(shop[1], late[0]))) == [shop[1], late[0]]
    assert opened(log, RefusalSelection(source="crm", ids=(shop[1],))) == []
    log.mark([mark(shop[0])])
    assert [(row["source"], row["reason"], row["n"], row["replayed"]) for row in
            log.counts(RefusalSelection())] == [
        ("crm", "unreadable", 1, 0), ("shop", "invalid", 1, 0), ("shop", "unreadable", 2, 1),
    ]  # fmt: skip
    listed = log.listed(RefusalSelection(), 2)
    assert [row["rejected_id"] for row in listed] == [*late, *crm]
    assert not any("payload" in name for row in listed for name in row)


def test_touches_that_are_there_are_found_by_day_and_lead(
    store: Store, log: RejectedLog, monkeypatch: pytest.MonkeyPatch
):
    def touches(*names: str) -> Sequence[touchpoint_row.TouchpointRow]:
        return [touchpoint_row.decode(rows.touchpoint(event_id=name)) for name in names]

    store.insert("touchpoints", rows.touchpoint(event_id="a"), rows.touchpoint(event_id="b'\\"))
    (one,) = touches("a")
    found = log.stored(touches("a", "b'\\", "c"))
    assert found == {TouchKey(one.source, name, one.lead_id) for name in ("a", "b'\\")}
    other = msgspec.structs.replace(one, lead_id=str(uuid.UUID(int=5)))
    assert log.stored([other]) == set()
    assert log.stored([]) == set()
    many = [
        msgspec.structs.replace(one, event_id=f"m{n}", lead_id=str(uuid.UUID(int=n)))
        for n in range(5_000)
    ]
    assert log.stored([*many, one]) == {TouchKey.of(one)}
    monkeypatch.setattr(module, "_PLACES", 1)
    assert log.stored([one, other]) == {TouchKey.of(one)}
    assert log.shown(one.source, ["a", "c", "b'\\"]) == {"a", "b'\\"}
    long = [f"{n}{'x' * 500}" for n in range(100)]
    assert log.shown(one.source, ["a", *long]) == {"a"}


def test_marks_and_refusals_outlive_epochs(store: Store, log: RejectedLog):
    ids = fill(store, 2)
    log.mark([mark(ids[0])])
    now = datetime(2026, 11, 25, tzinfo=UTC)
    store.epochs.begin("cluster-2", now)
    store.epochs.activate(2, now)
    store.epochs.drop_superseded()
    assert opened(log) == [ids[1]]


def test_what_stages_and_clickhouse_refused_since_is_counted(store: Store, log: RejectedLog):
    fill(store, 2, form="record")
    began = log.now_ms()
    assert log.refused_since(began) == 0
    fill(store, 1, form="record", inserted_at=rfc3339(began + 1))
    fill(store, 1, inserted_at=rfc3339(began + 1))
    assert log.refused_since(began) == 1
