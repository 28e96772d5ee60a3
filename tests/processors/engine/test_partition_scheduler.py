"""Batches of one partition one after another, of two partitions at the same time."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

import pytest

from processors.engine.partition_scheduler import PartitionScheduler


class Work:
    """Batches that wait until they are let go, and the order of what happened."""

    def __init__(self) -> None:
        self.scheduler = PartitionScheduler()
        self.said: list[str] = []
        self.gates: dict[str, asyncio.Event] = {}

    def batch(self, name: str, partition: int) -> Callable[[], Coroutine[Any, Any, None]]:
        self.gates[name] = asyncio.Event()

        async def run() -> None:
            async with self.scheduler.lock(partition):
                self.said.append(f"{name} begins")
                await self.gates[name].wait()
                self.said.append(f"{name} ends")

        return run

    def start(self, name: str, partition: int) -> asyncio.Task[None]:
        return asyncio.create_task(self.scheduler.start(partition, self.batch(name, partition)))

    async def all_that_can(self) -> None:
        for _ in range(10):
            await asyncio.sleep(0)


@pytest.fixture
def work() -> Work:
    return Work()


async def test_two_partitions_at_once_and_no_third(work: Work):
    starting = [work.start(name, number) for number, name in enumerate("abc")]
    await work.all_that_can()
    assert work.said == ["a begins", "b begins"]
    work.gates["b"].set()
    await work.all_that_can()
    assert work.said[2:] == ["b ends", "c begins"]
    work.gates["a"].set()
    work.gates["c"].set()
    await asyncio.gather(*starting)
    await work.scheduler.wait_idle()
    assert sorted(work.said[4:]) == ["a ends", "c ends"]


async def test_a_partition_s_batches_keep_their_order(work: Work):
    first, second = work.start("first", 3), work.start("second", 3)
    await work.all_that_can()
    assert work.said == ["first begins"]
    work.gates["first"].set()
    work.gates["second"].set()
    await asyncio.gather(first, second)
    await work.scheduler.wait_idle()
    assert work.said == ["first begins", "first ends", "second begins", "second ends"]


async def test_settled_waits_for_all_partitions(work: Work):
    await asyncio.gather(work.start("a", 1), work.start("b", 2))
    await work.all_that_can()
    settled = asyncio.create_task(work.scheduler.wait_idle())
    work.gates["a"].set()
    await work.all_that_can()
    assert not settled.done()
    work.gates["b"].set()
    await settled
    assert sorted(work.said) == ["a begins", "a ends", "b begins", "b ends"]


async def test_a_stop_ends_what_is_under_way_and_leaves_the_turn_free(work: Work):
    await work.start("a", 1)
    await work.all_that_can()
    await work.scheduler.stop()
    await work.scheduler.wait_idle()
    assert work.said == ["a begins"]
