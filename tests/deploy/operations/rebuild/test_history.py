"""The history that a rebuild reads: links and splits by position, touches by receipt, each once."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from deploy.operations.rebuild.history import History
from schemas import touchpoint_row
from schemas.messages import LinkRequest, SplitCommand, decode_link
from schemas.times import parse_ms
from sinks.clickhouse.client import ClickHouse, ClickHouseConfig
from sinks.clickhouse.epochs import Epochs
from sinks.clickhouse.migrate import migrate
from tests.support import rows
from tests.support.clickhouse import LocalClickHouse
from tests.support.sinking import Store


@pytest.fixture
def store(clickhouse: LocalClickHouse, namespace: str) -> Store:
    connection = ClickHouse(ClickHouseConfig(clickhouse.url))
    migrate(connection, namespace)
    return Store(clickhouse, connection, namespace)


def links(store: Store, epoch: int = 1, before: int | None = None) -> list[object]:
    history = History(store.clickhouse, store.namespace, epoch, before)
    return [decode_link(message.value) for page in history.links() for message in page]


def test_links_and_splits_come_in_the_order_of_their_positions(store: Store):
    store.insert(
        "identity_links",
        rows.link(position=9, event_id="ninth"),
        rows.link(position=2, event_id="second", verdict="refused", reason="unique"),
        # What followed from a split is decided again by the split itself.
        rows.link(position=5, verdict="voided", reason="split", split_id="s"),
        rows.link(position=5, verdict="withdrawn", reason="split", split_id="s"),
        rows.link(epoch=2, position=1, event_id="other"),
    )
    store.insert("identity_links", rows.link(position=9, event_id="ninth"))
    store.insert("identity_splits", rows.split(position=5, split_id="s"))
    found = links(store)
    assert [type(one) for one in found] == [LinkRequest, SplitCommand, LinkRequest]
    assert [one.event_id for one in found if isinstance(one, LinkRequest)] == ["second", "ninth"]
    assert [type(one) for one in links(store, before=9)] == [LinkRequest, SplitCommand]
    counts = History(store.clickhouse, store.namespace, 1).counts()
    assert (counts.links, counts.splits, counts.end) == (2, 1, 10)


def test_a_link_has_the_times_of_its_touch_and_of_its_decision(store: Store):
    store.insert(
        "identity_links",
        rows.link(
            position=0,
            occurred_at="2026-01-02T03:04:05.678Z",
            received_at="2026-01-02T03:04:06.000Z",
            decided_at="2026-01-02T03:04:07.001Z",
        ),
    )
    [[message]] = History(store.clickhouse, store.namespace, 1).links()
    request = decode_link(message.value)
    assert isinstance(request, LinkRequest)
    assert request.occurred_ms == parse_ms("2026-01-02T03:04:05.678Z")
    assert request.received_ms == parse_ms("2026-01-02T03:04:06.000Z")
    assert message.timestamp_ms == parse_ms("2026-01-02T03:04:07.001Z")
    assert message.partition == 0


def test_touches_come_by_receipt_each_once_and_as_they_were(store: Store):
    late = rows.touchpoint(event_id="late", received_at="2026-11-20T10:00:00.002Z")
    early = rows.touchpoint(
        event_id="early",
        occurred_at="2020-01-01T00:00:00.000Z",
        received_at="2026-11-20T10:00:00.001Z",
    )
    again = rows.touchpoint(event_id="late", received_at="2026-11-29T10:00:00.000Z")
    store.insert("touchpoints", late, early, again)
    history = History(store.clickhouse, store.namespace, 1)
    assert history.put_in_order("rebuild_7") == 2
    messages = [message for page in history.touches("rebuild_7") for message in page]
    decoded = [touchpoint_row.decode(message.value) for message in messages]
    assert [row.event_id for row in decoded] == ["early", "late"]
    assert decoded[1] == touchpoint_row.decode(late)
    assert [message.timestamp_ms for message in messages] == [
        parse_ms(row.received_at) for row in decoded
    ]
    assert messages[0].key == decoded[0].lead_id.encode()
    history.drop("rebuild_7")
    assert not store.server.query(f"SHOW TABLES FROM {store.storage} LIKE 'rebuild%'")


def test_touches_of_many_pages_and_days_all_come(store: Store, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("deploy.operations.rebuild.history._PAGE", 7)
    monkeypatch.setattr("deploy.operations.rebuild.history._CHUNK", 10)
    store.insert(
        "touchpoints",
        *(
            rows.touchpoint(
                event_id=f"e{n:02}",
                occurred_at=f"2026-10-{1 + n % 30:02}T00:00:00.000Z",
                received_at=f"2026-11-01T00:00:{59 - n // 3:02}.000Z",
            )
            for n in range(60)
        ),
    )
    history = History(store.clickhouse, store.namespace, 1)
    assert history.put_in_order("rebuild_7") == 60
    found = [
        touchpoint_row.decode(message.value)
        for page in history.touches("rebuild_7")
        for message in page
    ]
    assert len({row.event_id for row in found}) == 60
    assert [row.received_at for row in found] == sorted(row.received_at for row in found)


def test_what_an_unfinished_epoch_has_derived_can_be_discarded(store: Store):
    epochs = Epochs(store.clickhouse, store.namespace)
    now = datetime.now(UTC)
    epochs.begin("cluster", now, "policy")
    epochs.begin("cluster", now)
    for number in (1, 2):
        store.insert("profiles", rows.profile(epoch=number))
        store.insert("segment_changes", rows.segment_change(epoch=number))
    epochs.discard(1)
    epochs.discard(2)
    epochs.discard(3)
    for table in ("profiles", "segment_changes", "segment_membership"):
        sql = f"SELECT DISTINCT epoch FROM {store.storage}.{table}"
        assert store.server.query(sql) == [{"epoch": 1}], table
    shown = epochs.shown()
    assert shown is not None
    assert shown.policy == "policy"
