"""The overrides of Faust that can be shown without a broker."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import faust
import pytest
from faust.stores.rocksdb import Store as RocksStore
from faust.types import TP
from mode.utils.queues import FlowControlEvent, FlowControlQueue

from processors.engine import EngineConfig, Hooks, changelogs
from processors.engine.app import EngineApp
from processors.engine.consumer import BatchScheduler
from processors.engine.runner import Engine
from processors.engine.store import FORMAT_KEY, StorageError
from processors.stage_topics import ROWS, group, tables
from schemas.rows import FORMAT
from tests.support.engine_doubles import Halted, Log, refuse_to_halt
from tests.support.engine_stages import CountingStage

CHANGELOG = TP("touchline-counting-rows-changelog", 0)


@pytest.fixture
async def app(tmp_path: Path) -> AsyncIterator[Any]:
    stage = CountingStage()
    config = EngineConfig("localhost:1", tmp_path, partitions=4)
    engine = Engine(stage, config, Log(refuse_to_halt), Hooks(halt=refuse_to_halt))
    made = EngineApp(engine, group(stage, ""), tmp_path)
    for name in tables(stage):
        made.add_table(name)
    engine.attach(made)
    made.finalize()
    made.conf.tabledir.mkdir(parents=True)
    yield made
    for table in made.tables.values():
        await table.data.stop()


PLAIN = TP("touchline-counting-plain-changelog", 0)


@pytest.fixture
async def plain_store(app: Any) -> AsyncIterator[RocksStore]:
    """The store that Faust would use."""
    table = faust.Table(app, name="plain", partitions=4, key_type=bytes, value_type=bytes)
    made = RocksStore("rocksdb://", app, table, driver="rocksdict")
    assert table.changelog_topic.get_topic_name() == PLAIN.topic
    yield made
    await made.stop()


def fetched(*offsets: int) -> list[Any]:
    return [
        SimpleNamespace(
            topic="touchpoints", partition=0, offset=offset, timestamp=7_000, timestamp_type=0
        )
        for offset in offsets
    ]


def test_a_fetch_becomes_one_message_for_each_partition() -> None:
    one, two = TP("touchpoints", 0), TP("touchpoints", 1)
    records = {one: fetched(1, 2, 3), two: fetched(9), TP("touchpoints", 2): []}
    assert list(BatchScheduler().iterate(records)) == [(one, records[one]), (two, records[two])]


async def test_a_message_stands_for_its_records_up_to_the_last(app: Any) -> None:
    message = app.consumer._to_message(TP("touchpoints", 0), fetched(4, 5, 9))
    assert (message.offset, message.timestamp, len(message.value)) == (9, 7.0, 3)


async def test_nothing_that_comes_again_is_dropped_and_no_gap_is_kept(app: Any) -> None:
    reads = app.consumer._read_offset
    reads[CHANGELOG] = 100
    reads.update({CHANGELOG: 100})
    assert reads[CHANGELOG] is None


async def test_an_ack_frees_the_message_and_commits_nothing(app: Any) -> None:
    consumer = app.consumer
    message = consumer._to_message(TP("touchpoints", 0), fetched(4))
    consumer.track_message(message)
    assert consumer.unacked
    assert consumer.ack(message)
    assert not consumer.unacked
    assert consumer._filter_tps_with_pending_acks() == []


async def test_what_is_flowing_survives_that_flow_is_resumed_again(app: Any) -> None:
    flow, queue = app.flow_control, app.FlowControlQueue(maxsize=2, clear_on_resume=True)
    flow.resume()
    queue.put_nowait(1)
    flow.resume()
    assert queue.qsize() == 1
    flow.suspend()
    flow.resume()
    assert queue.qsize() == 0, "what was there before a rebalance goes"


async def test_plain_faust_empties_its_queues_when_flow_is_resumed_again() -> None:
    flow = FlowControlEvent()
    queue: Any = FlowControlQueue(maxsize=2, flow_control=flow, clear_on_resume=True)
    flow.resume()
    queue.put_nowait(1)
    flow.resume()
    assert queue.empty()


async def test_a_revoked_partition_is_closed_and_not_opened_again(app: Any) -> None:
    store = app.tables[ROWS].data
    with pytest.raises(StorageError):
        store.database(0)
    await store.on_rebalance({CHANGELOG}, set(), {CHANGELOG})
    store.database(0).put(b"key", b"value")
    await store.on_rebalance(set(), {CHANGELOG}, set())
    with pytest.raises(StorageError):
        store.database(0)
    await store.on_rebalance({CHANGELOG}, set(), {CHANGELOG})
    assert store.database(0).get(b"key") == b"value"


async def test_a_database_that_a_later_release_wrote_to_ends_the_process(app: Any) -> None:
    """Also when none of its rows comes from the changelog again."""
    store = app.tables[ROWS].data
    await store.on_rebalance({CHANGELOG}, set(), {CHANGELOG})
    assert store.database(0).get(FORMAT_KEY) == b"%d" % FORMAT
    store.database(0).put(FORMAT_KEY, b"%d" % (FORMAT + 1))
    await store.on_rebalance(set(), {CHANGELOG}, set())
    with pytest.raises(Halted) as halted:
        await store.on_rebalance({CHANGELOG}, set(), {CHANGELOG})
    reason, said = halted.value.args
    assert (reason, said["where"]) == ("written_by_newer_release", str(store.partition_path(0)))


async def test_a_database_from_before_formats_were_noted_is_opened(app: Any) -> None:
    store = app.tables[ROWS].data
    await store.on_rebalance({CHANGELOG}, set(), {CHANGELOG})
    store.database(0).delete(FORMAT_KEY)
    store.database(0).put(b"key", b"value")
    await store.on_rebalance(set(), {CHANGELOG}, set())
    await store.on_rebalance({CHANGELOG}, set(), {CHANGELOG})
    assert store.database(0).get(b"key") == b"value"
    assert store.database(0).get(FORMAT_KEY) == b"%d" % FORMAT


async def test_plain_faust_opens_a_revoked_partition_again(plain_store: RocksStore) -> None:
    await plain_store.on_rebalance({PLAIN}, set(), {PLAIN})
    await plain_store.on_rebalance(set(), {PLAIN}, set())
    plain_store._db_for_partition(0).put(b"key", b"value")


async def test_changelog_events_of_a_foreign_topic_are_dropped(app: Any) -> None:
    store = app.tables[ROWS].data
    await store.on_rebalance({CHANGELOG}, set(), {CHANGELOG})
    foreign = SimpleNamespace(topic="another-changelog", partition=0, value=fetched(1))
    elsewhere = SimpleNamespace(topic=CHANGELOG.topic, partition=3, value=fetched(1))
    events = [SimpleNamespace(message=message) for message in (foreign, elsewhere)]
    store.apply_changelog_batch(events, None, None)
    assert store.persisted_offset(CHANGELOG) is None


async def test_plain_faust_applies_changelog_events_of_a_foreign_topic(
    plain_store: RocksStore,
) -> None:
    await plain_store.on_rebalance({PLAIN}, set(), {PLAIN})
    foreign = SimpleNamespace(
        tp=TP("another-changelog", 0), topic="another-changelog", partition=0, offset=1,
        key=b"key", value=b"value",
    )  # fmt: skip
    plain_store.apply_changelog_batch([SimpleNamespace(message=foreign)], bytes, bytes)
    assert plain_store._db_for_partition(0).get(b"key") == b"value"


async def test_the_changelogs_that_setup_creates_are_those_that_faust_reads(app: Any) -> None:
    assert app.tables.changelog_topics == {topic.name for topic in changelogs(CountingStage(), "")}


def test_a_send_may_not_outlast_the_session() -> None:
    with pytest.raises(ValueError, match="session"):
        EngineConfig("localhost:1", Path(), 4, session_timeout=20, send_timeout=20)
