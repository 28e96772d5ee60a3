"""Scheduling of batches and ticks: one at a time per partition, two partitions at the same time.

While one waits for Kafka's acknowledgements the other one is decided. Batches of different
partitions share no state; records that they publish into the same output partition come from
different homes, whose relative order does not matter.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Awaitable, Callable

#: The number of batches processed at the same time; each has all of its outputs in memory.
_AT_ONCE = 2

Batch = Callable[[], Awaitable[None]]


class PartitionScheduler:
    """The locks and running batches of one engine."""

    def __init__(self) -> None:
        self._locks: defaultdict[int, asyncio.Lock] = defaultdict(asyncio.Lock)
        self._batches: dict[int, asyncio.Task[None]] = {}

    def lock(self, partition: int) -> asyncio.Lock:
        """Return the partition's lock; hold it while reading or writing anything of it."""
        return self._locks[partition]

    async def start(self, partition: int, batch: Batch) -> None:
        """Start a batch once the previous one of its partition has ended and a slot is free."""
        if before := self._batches.get(partition):
            await asyncio.wait([before])
        while len(self._batches) >= _AT_ONCE:
            await asyncio.wait(self._batches.values(), return_when=asyncio.FIRST_COMPLETED)
        self._batches[partition] = asyncio.create_task(self._run(partition, batch))

    async def wait_idle(self) -> None:
        """Wait for the batches and ticks that have begun."""
        if self._batches:
            await asyncio.wait(list(self._batches.values()))
        for lock in list(self._locks.values()):
            async with lock:
                pass

    async def stop(self) -> None:
        """Cancel the running batches at any point, as a crash does."""
        batches = list(self._batches.values())
        for batch in batches:
            batch.cancel()
        await asyncio.gather(*batches, return_exceptions=True)

    async def _run(self, partition: int, batch: Batch) -> None:
        try:
            await batch()
        finally:
            del self._batches[partition]
