"""The sink between the in-memory broker and the real engine."""

from __future__ import annotations

import random
import signal
import time
import uuid
from dataclasses import replace

from deploy.local.ports import free_port
from schemas import topics
from sinks.clickhouse.client import ClickHouse
from sinks.clickhouse.config import SinkConfig
from sinks.clickhouse.epochs import Epochs
from sinks.clickhouse.migrate import migrate
from sinks.clickhouse.tables import (
    CONFLICTS,
    ENGAGEMENT,
    IDENTITIES,
    LINKS,
    PROFILES,
    REJECTED,
    SEGMENT_CHANGES,
    SPLITS,
    TABLES,
    TOUCHPOINTS,
    VIOLATIONS,
    databases,
)
from tests.support import rows
from tests.support.clickhouse import LocalClickHouse
from tests.support.sinking import Producer, Store, committed, rewind, running, stored, until


async def test_every_topic_reaches_its_table(store: Store, config: SinkConfig, producer: Producer):
    every = {
        TOUCHPOINTS: rows.touchpoint(),
        REJECTED: rows.rejected(),
        IDENTITIES: rows.identity(),
        PROFILES: rows.profile(),
        SEGMENT_CHANGES: rows.segment_change(),
        ENGAGEMENT: rows.engagement(),
        CONFLICTS: rows.conflict(),
        LINKS: rows.link(),
        SPLITS: rows.split(),
        VIOLATIONS: rows.violation(),
    }
    assert set(every) == set(TABLES)
    for table, row in every.items():
        await producer.send(table, row)
    async with running(config) as seen:
        await until(lambda: all(stored(store, table.name) == 1 for table in TABLES))
        assert len(store.view("segment_members")) == 1
    assert sorted(seen.inserts) == sorted((table.name, 1) for table in TABLES)
    assert len(seen.latencies) == 2
    assert seen.ages[-1] == 0


async def test_a_row_is_queryable_soon_after_it_is_published(
    store: Store, config: SinkConfig, producer: Producer
):
    async with running(replace(config, tables=(TOUCHPOINTS,))):
        await producer.send(TOUCHPOINTS, rows.touchpoint())
        await until(lambda: stored(store, "touchpoints") == 1)
        began = time.monotonic()
        await producer.send(TOUCHPOINTS, rows.touchpoint(event_id="e2"))
        await until(lambda: stored(store, "touchpoints") == 2)
        assert time.monotonic() - began < 2


async def test_rows_that_arrive_together_go_in_together(
    store: Store, config: SinkConfig, producer: Producer
):
    many = [rows.touchpoint(event_id=str(number)) for number in range(2_000)]
    await producer.send(TOUCHPOINTS, *many)
    async with running(replace(config, tables=(TOUCHPOINTS,))) as seen:
        await until(lambda: stored(store, "touchpoints") == 2_000)
    assert len(seen.inserts) <= 4


async def test_a_batch_has_a_limit(store: Store, config: SinkConfig, producer: Producer):
    await producer.send(TOUCHPOINTS, *[rows.touchpoint(event_id=str(n)) for n in range(100)])
    limited = replace(config, tables=(TOUCHPOINTS,), max_rows=30)
    async with running(limited) as seen:
        await until(lambda: stored(store, "touchpoints") == 100)
    assert max(size for _, size in seen.inserts) <= 30


async def test_what_was_written_is_committed_and_a_restart_begins_there(
    store: Store, config: SinkConfig, producer: Producer
):
    one = replace(config, tables=(TOUCHPOINTS,))
    # A tombstone has no row, but its offset passes.
    await producer.send(TOUCHPOINTS, *[rows.touchpoint(event_id=str(n)) for n in range(20)], None)
    async with running(one):
        await until(lambda: stored(store, "touchpoints") == 20)
    offsets = await committed(one, TOUCHPOINTS)
    assert sum(offset or 0 for offset in offsets.values()) == 21
    async with running(one) as seen:
        await producer.send(TOUCHPOINTS, rows.touchpoint(event_id="new"))
        await until(lambda: stored(store, "touchpoints") == 21)
    assert seen.inserts == [("touchpoints", 1)]


async def test_a_redelivery_changes_nothing(store: Store, config: SinkConfig, producer: Producer):
    values = [rows.profile(version=n, profile_id=str(uuid.UUID(int=n % 7))) for n in range(50)]
    shuffled = values * 2
    random.Random(1).shuffle(shuffled)
    one = replace(config, tables=(PROFILES,))
    await producer.send(PROFILES, *values)
    async with running(one):
        await until(lambda: stored(store, "profiles") == 7)
        once = store.view("profiles", "* EXCEPT engagement_score", "ORDER BY profile_id")
        await producer.send(PROFILES, *shuffled)
        await until(lambda: stored(store, "profiles") == 7)
    assert store.view("profiles", "* EXCEPT engagement_score", "ORDER BY profile_id") == once
    versions = store.server.query(f"SELECT version FROM {store.storage}.profiles FINAL")
    assert sorted(row["version"] for row in versions) == list(range(43, 50))


POISON = {
    b'{"event_id":': 26,
    rows.touchpoint(received_at="yesterday"): 41,
    rows.touchpoint(value_amount="1e99"): 69,
    rows.touchpoint(sentiment="sad"): 72,
    rows.touchpoint(lead_id="nobody"): 376,
    rows.touchpoint(consent={"marketing": "perhaps"}): 467,
    b"\x00\xff not JSON\n\n\nDROP TABLE x": 27,
}


async def test_rows_that_cannot_be_read_go_to_rejected_and_the_others_go_in(
    store: Store, config: SinkConfig, producer: Producer
):
    mixed = [rows.touchpoint(event_id=str(number)) for number in range(200)]
    for place, poison in enumerate(POISON):
        mixed.insert(place * place * 5, poison)
    await producer.send(TOUCHPOINTS, *mixed)
    async with running(replace(config, tables=(TOUCHPOINTS, REJECTED), epoch=7)) as seen:
        await until(lambda: stored(store, "rejected_touchpoints") == len(POISON))
        await until(lambda: stored(store, "touchpoints") == 200)
    assert seen.rejects == ["touchpoints"] * len(POISON)
    found = store.view("rejected_touchpoints", "reason, detail, hex(payload) AS payload")
    assert {row["reason"] for row in found} == {"sink_rejected"}
    assert all("table touchpoints" in row["detail"] for row in found)
    assert not any("hanako" in row["detail"] for row in found)
    codes = {bytes.fromhex(row["payload"]): row["detail"].split("(")[-1] for row in found}
    assert codes == {poison: f"{code})" for poison, code in POISON.items()}
    origins = store.server.query(
        "SELECT DISTINCT form, connector, topic, length(base64Decode(key_base64)) AS key, epoch "
        f"FROM {store.storage}.rejected_touchpoints"
    )
    assert origins == [
        {
            "form": "record",
            "connector": "sink",
            "topic": "touchpoints.accepted",
            "key": 36,
            "epoch": 7,
        }
    ]

    await rewind(config, TOUCHPOINTS)
    async with running(replace(config, tables=(TOUCHPOINTS, REJECTED))) as again:
        await until(lambda: len(again.rejects) == len(POISON))
        await until(lambda: sum(n for name, n in again.inserts if name == REJECTED.name))
    assert stored(store, "touchpoints") == 200
    assert stored(store, "rejected_touchpoints") == len(POISON)


async def test_poison_of_the_rejected_themselves_is_passed_over(
    store: Store, config: SinkConfig, producer: Producer
):
    await producer.send(REJECTED, rows.rejected(), b"poison", rows.rejected(rejected_id=rows.LEAD))
    async with running(replace(config, tables=(REJECTED,))) as seen:
        await until(lambda: stored(store, "rejected_touchpoints") == 2)
        await until(lambda: seen.rejects == ["rejected_touchpoints"])
    offsets = await committed(config, REJECTED)
    assert sum(offset or 0 for offset in offsets.values()) == 3


async def test_a_table_that_is_not_there_is_waited_for(
    clickhouse: LocalClickHouse, config: SinkConfig, producer: Producer
):
    """`setup` may come after the sink: nothing is rejected, nothing is lost."""
    await producer.send(TOUCHPOINTS, rows.touchpoint())
    client = ClickHouse(config.clickhouse)
    async with running(replace(config, tables=(TOUCHPOINTS, REJECTED))) as seen:
        await until(lambda: seen.retries.count(("touchpoints", "insert")) >= 2)
        migrate(client, config.namespace)
        store = Store(clickhouse, client, config.namespace)
        await until(lambda: stored(store, "touchpoints") == 1)
    assert seen.rejects == []


async def test_clickhouse_killed_in_the_middle_loses_nothing(
    own_clickhouse: LocalClickHouse, config: SinkConfig, producer: Producer
):
    at = replace(config.clickhouse, url=own_clickhouse.url)
    client = ClickHouse(at)
    migrate(client, config.namespace)
    store = Store(own_clickhouse, client, config.namespace)
    one = replace(config, clickhouse=at, tables=(TOUCHPOINTS,), max_rows=50)
    async with running(one) as seen:
        for number in range(30):
            ids = range(number * 10, number * 10 + 10)
            await producer.send(TOUCHPOINTS, *[rows.touchpoint(event_id=str(n)) for n in ids])
            if number == 10:
                own_clickhouse.stop(signal.SIGKILL)
        await until(lambda: ("touchpoints", "insert") in seen.retries)
        own_clickhouse.start()
        await until(lambda: stored(store, "touchpoints") == 300)
    assert seen.rejects == []
    offsets = await committed(one, TOUCHPOINTS)
    assert sum(offset or 0 for offset in offsets.values()) == 300


async def test_a_stop_while_clickhouse_is_down_is_quick_and_loses_nothing(
    own_clickhouse: LocalClickHouse, config: SinkConfig, producer: Producer
):
    at = replace(config.clickhouse, url=own_clickhouse.url)
    client = ClickHouse(at)
    migrate(client, config.namespace)
    one = replace(config, clickhouse=at, tables=(TOUCHPOINTS,), max_backoff_s=5)
    own_clickhouse.stop()
    await producer.send(TOUCHPOINTS, rows.touchpoint())
    async with running(one) as seen:
        await until(lambda: len(seen.retries) >= 3)
        began = time.monotonic()
    assert time.monotonic() - began < 5
    assert set((await committed(one, TOUCHPOINTS)).values()) <= {None}
    own_clickhouse.start()
    async with running(one):
        store = Store(own_clickhouse, client, config.namespace)
        await until(lambda: stored(store, "touchpoints") == 1)


async def test_kafka_that_is_not_there_is_waited_for(config: SinkConfig):
    nowhere = replace(config, bootstrap_servers=f"127.0.0.1:{free_port()}", tables=(TOUCHPOINTS,))
    async with running(nowhere) as seen:
        await until(lambda: seen.retries.count(("touchpoints", "connect")) >= 2)


def test_groups_and_topics_carry_the_namespace():
    assert TOUCHPOINTS.group("brand") == "brand.touchline-sink-touchpoints"
    assert TOUCHPOINTS.group("") == "touchline-sink-touchpoints"
    assert databases("brand") == ("touchline_brand", "touchline_bi_brand")
    assert databases("") == ("touchline", "touchline_bi")
    assert TOUCHPOINTS.topic is topics.DEDUPLICATED


def test_epochs_are_of_a_namespace(store: Store):
    other = Epochs(store.clickhouse, store.namespace)
    assert other.newest() == store.epochs.newest()
