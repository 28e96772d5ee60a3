"""One partition's way to Kafka: while a batch is under way, what comes in fills the next one.

`AIOKafkaProducer.send` costs a future and several calls a record. A lane packs whole requests
into record batches instead, a tenth of that, and needs one future a request.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any

from aiokafka import AIOKafkaProducer

from ingest.accept import Accepted
from ingest.publisher import Refused


class _Chunk:
    """The records of one request for this partition; `done` is set when all are acknowledged."""

    __slots__ = ("done", "packed", "records")

    def __init__(self, records: Sequence[Accepted | Refused], done: asyncio.Future[None]) -> None:
        self.records = records
        self.packed = 0
        self.done = done


class Lane:
    """Sends to one partition, in order, one batch at a time."""

    def __init__(
        self,
        producer: AIOKafkaProducer,
        topic: str,
        partition: int,
        *,
        linger_s: float,
        broken: Callable[[Exception], None],
    ) -> None:
        """`topic` by its name on the broker; `broken` hears of the error that ended the lane."""
        self._producer = producer
        self._topic = topic
        self._partition = partition
        self._linger_s = linger_s
        self._broken = broken
        self._chunks: deque[_Chunk] = deque()
        self._filled = asyncio.Event()
        #: Those whose last record is in the batch under way.
        self._under_way: list[_Chunk] = []
        self._task = asyncio.create_task(self._run(), name=f"lane-{topic}-{partition}")

    def put(self, records: Sequence[Accepted | Refused]) -> asyncio.Future[None]:
        """Send these next; the future is set once Kafka has all of them, or holds the error."""
        chunk = _Chunk(records, asyncio.get_running_loop().create_future())
        self._chunks.append(chunk)
        self._filled.set()
        return chunk.done

    async def flush(self) -> None:
        """Returns when nothing waits any more."""
        waiting = [c.done for c in (*self._under_way, *self._chunks)]
        if waiting:
            await asyncio.wait(waiting)

    async def close(self, error: Exception) -> None:
        """Send no more; what waits fails with `error`."""
        self._task.cancel()
        await asyncio.wait([self._task])
        self._fail(error)

    async def _run(self) -> None:
        try:
            while True:
                await self._filled.wait()
                if len(self._chunks) == 1:
                    await asyncio.sleep(self._linger_s)
                await self._send_batch()
        except Exception as error:  # what ends a lane, whatever it is, its senders must hear
            self._fail(error)
            self._broken(error)

    async def _send_batch(self) -> None:
        batch = self._producer.create_batch()
        while self._chunks and _pack(batch, self._chunks[0]):
            self._under_way.append(self._chunks.popleft())
        if not self._chunks:
            self._filled.clear()
        batch.close()
        delivery = await self._producer.send_batch(batch, self._topic, partition=self._partition)
        await delivery
        for chunk in self._under_way:
            chunk.done.set_result(None)
        self._under_way.clear()

    def _fail(self, error: Exception) -> None:
        for chunk in (*self._under_way, *self._chunks):
            chunk.done.set_exception(error)
        self._under_way.clear()
        self._chunks.clear()


def _pack(batch: Any, chunk: _Chunk) -> bool:
    """Pack what fits of a chunk; whether that was all. What is left goes into the next batch."""
    records = chunk.records
    for i in range(chunk.packed, len(records)):
        one = records[i]
        if batch.append(timestamp=None, key=one.key, value=one.value) is None:
            chunk.packed = i
            return False
    return True
