"""Whose turn it is: of a partition one batch or tick at a time, of different partitions two.

While one waits for Kafka's acknowledgements the other one is decided. Nothing that a batch reads or
writes belongs to two partitions; what they publish into the same output partition comes from
different homes, whose order means nothing.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Awaitable, Callable

#: Batches that are worked on at the same time; each has all of its outputs in memory.
_AT_ONCE = 2

Batch = Callable[[], Awaitable[None]]


class Turns:
    """The turns of one engine."""

    def __init__(self) -> None:
        self._locks: defaultdict[int, asyncio.Lock] = defaultdict(asyncio.Lock)
        self._batches: dict[int, asyncio.Task[None]] = {}

    def of(self, partition: int) -> asyncio.Lock:
        """To be held while anything is read or written of a partition."""
        return self._locks[partition]

    async def start(self, partition: int, batch: Batch) -> None:
        """Begin a batch once the one before it of its partition has ended, and there is room."""
        if before := self._batches.get(partition):
            await asyncio.wait([before])
        while len(self._batches) >= _AT_ONCE:
            await asyncio.wait(self._batches.values(), return_when=asyncio.FIRST_COMPLETED)
        self._batches[partition] = asyncio.create_task(self._run(partition, batch))

    async def settled(self) -> None:
        """Wait for the batches that have begun, and for the ticks that are being carried out."""
        if self._batches:
            await asyncio.wait(list(self._batches.values()))
        for lock in list(self._locks.values()):
            async with lock:
                pass

    async def stop(self) -> None:
        """End the batches where they are, as a crash does."""
        batches = list(self._batches.values())
        for batch in batches:
            batch.cancel()
        await asyncio.gather(*batches, return_exceptions=True)

    async def _run(self, partition: int, batch: Batch) -> None:
        try:
            await batch()
        finally:
            del self._batches[partition]
