"""The sink: from each topic to its table, in batches, at least once.

One consumer group per table, so that a slow or refused table delays no other. For each batch:
insert, then commit. While a batch is written the next one is read, and no more than that one; rows
that are read but not written when the sink stops are not committed and come again. A failed
operation is retried in place, for as long as it takes; the group's heartbeats go on meanwhile. A
row that ClickHouse cannot read is found by halving the batch and goes to `touchpoints.rejected`
with its bytes; the others are inserted. Duplicate rows change nothing, because tables replace by
version.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import math
import time
import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import structlog
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import KafkaError

from schemas.rejection import Origin
from schemas.times import DAY_MS
from schemas.topics import full_name
from sinks.backoff import Backoff, ShutdownRequested
from sinks.clickhouse.batch import Batch, Row, received_ms
from sinks.clickhouse.client import BadRows, ClickHouse, ClickHouseError
from sinks.clickhouse.config import SinkConfig
from sinks.clickhouse.migrate import Schema
from sinks.clickhouse.rejects import Rejects
from sinks.clickhouse.tables import REJECTED, Table, databases
from sinks.metrics import NoMetrics, SinkMetrics
from sinks.outage import OutageReporter
from sinks.threads import in_thread

log = structlog.get_logger(__name__)

_IDLE_MS = 500
#: After its linger a batch is read further while the previous one is written, in steps of this
#: length.
_BESIDE_MS = 100


async def run_sink(
    config: SinkConfig,
    stop: asyncio.Event,
    *,
    metrics: SinkMetrics | None = None,
    clock: Callable[[], float] = time.time,
) -> None:
    """Fill all tables until `stop` is set; return within 10 seconds of that.

    Neither Kafka nor ClickHouse need be available: the sink logs it and retries.
    """
    clickhouse = ClickHouse(config.clickhouse)
    rejects = Rejects(config.bootstrap_servers, config.topics, config.kafka_options)
    schema = Schema(clickhouse, config.namespace)
    context = SinkContext(clickhouse, schema, rejects, metrics or NoMetrics(), clock, stop)
    tasks = [
        asyncio.create_task(TableSink(table, config, context).run(), name=f"sink-{table.name}")
        for table in config.tables
    ]
    stopping = asyncio.create_task(stop.wait())
    try:
        # A task ends by itself only by a bug, and a bug must end the process.
        await asyncio.wait([*tasks, stopping], return_when=asyncio.FIRST_COMPLETED)
        stop.set()
        await asyncio.wait(tasks, timeout=config.stop_grace_s)
    finally:
        for task in (*tasks, stopping):
            task.cancel()
        results = await asyncio.gather(*tasks, return_exceptions=True)
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(rejects.close(), 1)
        clickhouse.close()
    for result in results:
        if isinstance(result, Exception):
            raise result


@dataclass(frozen=True, slots=True)
class SinkContext:
    """The objects that all tables share."""

    clickhouse: ClickHouse
    schema: Schema
    rejects: Rejects
    metrics: SinkMetrics
    clock: Callable[[], float]
    stop: asyncio.Event
    outages: OutageReporter = field(default_factory=OutageReporter)


class TableSink:
    """Fills one table from its topic."""

    def __init__(self, table: Table, config: SinkConfig, context: SinkContext) -> None:
        self.table = table
        self._config = config
        self._context = context
        self._metrics = context.metrics
        self._topic = full_name(config.topics, table.topic.name)
        self._database = databases(config.namespace).storage
        self._log = log.bind(table=table.name, topic=self._topic)
        #: True while a batch is being written, so that the next one may wait for more rows.
        self._writing = False

    async def run(self) -> None:
        """Read, insert and commit until stopped."""
        with contextlib.suppress(ShutdownRequested):
            consumer = await self._connect()
            try:
                await self._fill(consumer)
            finally:
                await _leave_group(consumer)

    async def _fill(self, consumer: Any) -> None:
        """Write one batch after another, each while the next one is read."""
        ahead = Batch()
        reading = asyncio.create_task(self._read_batch(consumer, ahead))
        try:
            while not self._context.stop.is_set():
                await reading
                batch, ahead = ahead, Batch()
                self._writing = True
                reading = asyncio.create_task(self._read_batch(consumer, ahead))
                await self._write(batch.rows)
                self._in_hand(ahead.rows)
                await self._commit(consumer, batch)
                self._writing = False
        finally:
            reading.cancel()
            await asyncio.gather(reading, return_exceptions=True)

    async def _connect(self) -> Any:
        backoff = self._backoff()
        while True:
            consumer = AIOKafkaConsumer(
                self._topic,
                bootstrap_servers=self._config.bootstrap_servers,
                client_id=f"touchline-sink-{self.table.name}",
                group_id=self.table.group(self._config.topics),
                enable_auto_commit=False,
                auto_offset_reset="earliest",
                session_timeout_ms=int(self._config.session_timeout_s * 1000),
                heartbeat_interval_ms=int(self._config.session_timeout_s * 1000) // 10,
                # While ClickHouse is down nothing is polled, on purpose; heartbeats go on.
                max_poll_interval_ms=DAY_MS,
                max_partition_fetch_bytes=4 * 1024 * 1024,
                metadata_max_age_ms=30_000,
                **self._config.kafka_options,
            )
            try:
                await consumer.start()
                self._context.outages.over("kafka_unreachable")
                # From here on aiokafka's reports matter: Kafka does not answer any more.
                logging.getLogger("aiokafka").setLevel(logging.ERROR)
                return consumer
            except asyncio.CancelledError:
                await _leave_group(consumer)
                raise
            except (KafkaError, OSError) as error:
                await _leave_group(consumer)
                self._metrics.retried(self.table.name, "connect")
                self._failed("kafka_unreachable", error, backoff)
            await backoff.wait()

    async def _read_batch(self, consumer: Any, batch: Batch) -> None:
        """Add arriving records: return at once if there are many, else after the linger."""
        config = self._config
        deadline = None
        while not self._context.stop.is_set() or batch.rows:
            wait_ms = _IDLE_MS
            if deadline is not None:
                left = deadline - time.monotonic()
                wait_ms = math.ceil(left * 1000) if left > 0 else _BESIDE_MS
            room = config.max_rows - len(batch.rows)
            for records in (await self._poll(consumer, wait_ms, room)).values():
                batch.add(records)
            if deadline is None and batch.next_offsets:
                deadline = time.monotonic() + config.linger_s
            full = len(batch.rows) >= config.max_rows or batch.size >= config.max_bytes
            late = deadline is not None and time.monotonic() >= deadline
            if full or (late and not self._writing):
                return

    async def _poll(self, consumer: Any, wait_ms: int, room: int) -> dict[Any, Any]:
        backoff = self._backoff()
        while True:
            try:
                found: dict[Any, Any] = await consumer.getmany(timeout_ms=wait_ms, max_records=room)
                return found
            except KafkaError as error:
                self._metrics.retried(self.table.name, "poll")
                self._failed("poll_failed", error, backoff)
            await backoff.wait()

    async def _write(self, rows: Sequence[Row]) -> None:
        """Insert all rows except those that ClickHouse cannot read, which are set aside."""
        if not rows:
            return
        waiting = [rows]
        while waiting:
            part = waiting.pop()
            try:
                await self._insert(part)
            except BadRows as error:
                if len(part) == 1:
                    await self._set_aside(part[0], error)
                else:
                    middle = len(part) // 2
                    waiting += [part[middle:], part[:middle]]

    async def _insert(self, rows: Sequence[Row]) -> None:
        """Insert, retrying until it succeeds. Raises `BadRows` and `ShutdownRequested`."""
        name, values = self.table.name, [row.value for row in rows]
        backoff = self._backoff()
        while True:
            began = time.monotonic()
            self._in_hand(rows)
            try:
                await in_thread(self._put, values)
                break
            except BadRows:
                raise
            except ClickHouseError as error:
                self._metrics.retried(name, "insert")
                self._failed("insert_failed", error, backoff)
            await backoff.wait()
        seconds = time.monotonic() - began
        self._metrics.inserted(name, len(rows), sum(map(len, values)), seconds)
        if backoff.attempts:
            self._context.outages.over("insert_failed")
            self._log.info("insert_recovered", rows=len(rows), attempts=backoff.attempts + 1)
        if self.table.timed:
            now = self._context.clock()
            self._metrics.queryable(name, [now - ms / 1000 for ms in received_ms(rows)])

    def _in_hand(self, rows: Sequence[Row]) -> None:
        """Report the age of the oldest row that is not written."""
        oldest = min([row.timestamp for row in rows], default=None)
        age = 0.0 if oldest is None else self._context.clock() - oldest / 1000
        self._metrics.unwritten(self.table.name, age)

    def _put(self, values: Sequence[bytes]) -> None:
        self._context.schema.require()
        self._context.clickhouse.insert(self._database, self.table.name, values)

    async def _set_aside(self, row: Row, error: BadRows) -> None:
        """Publish the row to `touchpoints.rejected`; a row read from that topic is only logged."""
        self._metrics.rejected(self.table.name, 1)
        self._log.error("row_rejected", partition=row.partition, offset=row.offset, code=error.code)
        if self.table is REJECTED:
            return
        place = f"{self._topic}/{row.partition}/{row.offset}/{row.timestamp}"
        topic, epoch = self.table.topic.name, self._config.epoch
        origin = Origin(
            "record",
            connector="sink",
            topic=topic,
            partition=row.partition,
            key=row.key or b"",
            epoch=epoch,
        )
        backoff = self._backoff()
        while True:
            try:
                await self._context.rejects.publish(
                    # The same at every attempt, so that a redelivery stays one row.
                    rejected_id=str(uuid.uuid5(uuid.NAMESPACE_URL, f"touchline:{place}")),
                    payload=row.value,
                    detail=f"table {self.table.name}: {error}",
                    received_ms=row.timestamp,
                    origin=origin,
                )
                return
            except (KafkaError, OSError) as problem:
                self._metrics.retried(self.table.name, "reject")
                self._failed("reject_failed", problem, backoff)
            await backoff.wait()

    async def _commit(self, consumer: Any, batch: Batch) -> None:
        """Commit the partitions still assigned. Uncommitted records come again without effect."""
        ours = consumer.assignment()
        offsets = {
            partition: offset
            for number, offset in batch.next_offsets.items()
            if (partition := TopicPartition(self._topic, number)) in ours
        }
        if not offsets:
            return
        try:
            await consumer.commit(offsets)
        except KafkaError as error:
            self._metrics.retried(self.table.name, "commit")
            self._log.warning("commit_failed", error=type(error).__name__)

    def _backoff(self) -> Backoff:
        return Backoff(self._context.stop, self._config.max_backoff_s)

    def _failed(self, event: str, error: Exception, backoff: Backoff) -> None:
        text = str(error) if isinstance(error, ClickHouseError) else type(error).__name__
        self._context.outages.failed(self._log, event, text, retry_in_s=round(backoff.next_s, 1))


async def _leave_group(consumer: Any) -> None:
    """Leave the group, so that its partitions move at once; bounded, as Kafka may be gone."""
    with contextlib.suppress(TimeoutError, KafkaError):
        await asyncio.wait_for(consumer.stop(), 2)
