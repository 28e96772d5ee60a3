"""Reading the next batch while one is written: no more than one, and nothing of it is lost.

The sink's consumer is given a deserializer that notes what it hands out.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from dataclasses import replace

import pytest

from sinks.clickhouse.config import SinkConfig
from sinks.clickhouse.tables import TOUCHPOINTS
from sinks.clickhouse.writer import run_sink
from tests.support import rows
from tests.support.clickhouse_front import Front, front_of
from tests.support.sinking import Producer, Seen, Store, committed, running, stored, until

_BATCH = 10
_SENT = 45


class Taken:
    """Count the records that the sink took, and the most that were not inserted yet."""

    def __init__(self) -> None:
        self.seen = Seen()
        self.records = 0
        self.in_hand = 0

    def note(self, value: bytes) -> bytes:
        self.records += 1
        self.in_hand = max(self.in_hand, self.records - self.inserted)
        return value

    @property
    def inserted(self) -> int:
        return sum(count for _, count in self.seen.inserts)


@pytest.fixture
def taken() -> Taken:
    return Taken()


@pytest.fixture
def front(store: Store) -> Iterator[Front]:
    with front_of(store.server.url) as front:
        yield front


@pytest.fixture
def small(config: SinkConfig, front: Front, taken: Taken) -> SinkConfig:
    """One table, in batches of ten, behind the front."""
    return replace(
        config,
        clickhouse=replace(config.clickhouse, url=front.url, timeout_s=20),
        kafka_options={"value_deserializer": taken.note},
        tables=(TOUCHPOINTS,),
        max_rows=_BATCH,
    )


async def send(producer: Producer) -> None:
    await producer.send(TOUCHPOINTS, *[rows.touchpoint(event_id=str(n)) for n in range(_SENT)])


async def offsets(config: SinkConfig) -> int:
    return sum(offset or 0 for offset in (await committed(config, TOUCHPOINTS)).values())


async def test_one_batch_is_read_while_another_is_written_and_no_more(
    store: Store, small: SinkConfig, producer: Producer, front: Front, taken: Taken
):
    await send(producer)
    front.hold()
    async with running(small, taken.seen):
        await until(lambda: taken.records >= 2 * _BATCH)
        assert taken.inserted == 0
        front.release()
        await until(lambda: stored(store, "touchpoints") == _SENT)
    assert taken.in_hand == 2 * _BATCH
    assert await offsets(small) == _SENT


async def test_the_batch_ahead_fills_up_until_the_one_before_it_is_written(
    store: Store, small: SinkConfig, producer: Producer, front: Front, taken: Taken
):
    """However long that takes: otherwise a slow ClickHouse would be given many small batches."""
    front.hold()
    async with running(replace(small, linger_s=0.01), taken.seen):
        for number in range(6):
            # Each is taken by itself, after the linger of the one before it.
            await producer.send(TOUCHPOINTS, rows.touchpoint(event_id=str(number)))
            await until(lambda number=number: taken.records == number + 1)
        front.release()
        await until(lambda: stored(store, "touchpoints") == 6)
    assert len(taken.seen.inserts) == 2


async def test_a_stop_leaves_what_was_read_ahead_to_the_next_start(
    store: Store, small: SinkConfig, producer: Producer, front: Front, taken: Taken
):
    """The batch under way is finished and committed, the one that was only read is not."""
    await send(producer)
    front.hold()
    stop = asyncio.Event()
    task = asyncio.create_task(run_sink(small, stop, metrics=taken.seen))
    await until(lambda: taken.records == 2 * _BATCH)
    stop.set()
    front.release()
    await asyncio.wait_for(task, 10)
    assert await offsets(small) == stored(store, "touchpoints") == _BATCH
    async with running(small):
        await until(lambda: stored(store, "touchpoints") == _SENT)
    assert await offsets(small) == _SENT


async def test_an_insert_that_fails_commits_neither_its_batch_nor_the_one_ahead(
    store: Store, small: SinkConfig, producer: Producer, front: Front, taken: Taken
):
    await send(producer)
    front.refuse(241, "MEMORY_LIMIT_EXCEEDED")
    async with running(small, taken.seen):
        await until(lambda: taken.records == 2 * _BATCH and len(taken.seen.retries) >= 2)
    assert taken.records == 2 * _BATCH
    assert await offsets(small) == stored(store, "touchpoints") == 0
    front.heal()
    async with running(small):
        await until(lambda: stored(store, "touchpoints") == _SENT)
    assert await offsets(small) == _SENT


async def test_what_was_read_ahead_counts_as_unwritten(
    store: Store, small: SinkConfig, producer: Producer, front: Front, taken: Taken
):
    await producer.send(TOUCHPOINTS, *[rows.touchpoint(event_id=str(n)) for n in range(2 * _BATCH)])
    front.hold()
    async with running(small, taken.seen):
        await until(lambda: taken.records == 2 * _BATCH)
        front.release()
        await until(lambda: stored(store, "touchpoints") == 2 * _BATCH)
    # Before and after each of two inserts: only after the second is nothing in hand.
    assert [age > 0 for age in taken.seen.ages[:4]] == [True, True, True, False]
