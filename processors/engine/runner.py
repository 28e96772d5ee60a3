"""The engine: carries out a stage's decisions, in the order that survives a crash at any point.

Decide, log, apply, publish, commit (see `processors.stage`). Batches and ticks of a partition run
one at a time (`processors.engine.partition_scheduler`). An error that must not be passed over ends
the process by `halt`; the next start recovers the decisions from the changelog.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Any

import rocksdict
import structlog
from faust.exceptions import ConsistencyError
from faust.types import TP

from processors.engine.config import EngineConfig
from processors.engine.decision_packer import DecisionPacker, PreparedDecision
from processors.engine.gap_detector import GapDetector
from processors.engine.hooks import Hooks
from processors.engine.inputs import Inputs
from processors.engine.metrics import FAILED_RECORDS, RELOGGED_ROWS
from processors.engine.packing import Packed, fitting, pack
from processors.engine.partition_scheduler import PartitionScheduler
from processors.engine.partitions import Partitions
from processors.engine.producer import EngineProducer
from processors.engine.rejects import rejected
from processors.engine.stage_store import StageStore
from processors.engine.store import StorageError, disk_is_full
from processors.stage import Decision, Failure, Output, Record, Stage
from processors.stage_topics import ROWS, SEEN, group
from schemas.error_location import error_location
from schemas.rows import FORMAT, NewerFormat, refuse_newer
from schemas.topics import full_name

log = structlog.get_logger(__name__)

_RELOG_ROWS = 1000


class Engine:
    """The engine of one stage."""

    app: Any

    def __init__(
        self,
        stage: Stage,
        config: EngineConfig,
        producer: EngineProducer,
        hooks: Hooks,
    ) -> None:
        self.stage = stage
        self.config = config
        self.metrics = hooks.metrics
        self.probe = hooks.probe
        self.halt = hooks.halt
        self.inputs = Inputs()
        self.gaps = GapDetector(stage.name, self.inputs, hooks.metrics)
        self.partitions = Partitions(stage, config)
        self.scheduler = PartitionScheduler()
        self.ready = False
        self.batches = 0
        self.cache = rocksdict.Cache(config.cache_bytes)
        self._producer = producer
        self._logical = {full_name(config.namespace, name): name for name in stage.inputs}
        name = group(stage, config.namespace)
        self._changelogs = {table: f"{name}-{table}-changelog" for table in (ROWS, SEEN)}
        self._deadline = stage.deadline if stage.timed else None
        self._packer = DecisionPacker(
            config,
            producer.create_batch,
            self._deadline,
            stage.atomic,
            self._changelogs[ROWS],
            self._changelogs[SEEN],
        )
        #: The number of records that are decided together. For an atomic stage it is the number
        #: whose rows lately filled one record batch: deciding too many and then again costs twice.
        self._at_once = config.max_batch_records
        #: The offset that our next record in a changelog partition must get.
        self._expected: dict[tuple[str, int], int] = {}

    def attach(self, app: Any) -> None:
        """Set the Faust application that runs this engine; call it before anything else."""
        self.app = self.gaps.app = app
        self.partitions.tables = app.tables

    # --- batches -----------------------------------------------------------------------------

    async def on_message(self, message: Any) -> None:
        """Process one fetched batch of a partition, completely or not at all."""
        async with self.scheduler.lock(message.tp.partition):
            try:
                await self._on_batch(message.tp, message.value, message.generation_id)
            except Exception as error:
                self._give_up("batch", error)

    async def _on_batch(self, tp: TP, fetched: Sequence[Any], generation: int) -> None:
        if not self._owns(tp.partition, generation):
            return
        started = time.perf_counter()
        topic = self._logical[tp.topic]
        records = [
            Record(topic, tp.partition, r.offset, r.timestamp, r.key, r.value or b"")
            for r in fetched
        ]
        if tp not in self.inputs:
            await self.gaps.begin(tp, records[0].offset)
        if not self._owns(tp.partition, generation):
            return
        if not await self.gaps.follows(tp, records[0].offset):
            return
        if await self._process(records, generation):
            last = records[-1]
            self.inputs.advance(tp, generation, last.offset + 1, last.timestamp_ms)
            self.batches += 1
            elapsed = time.perf_counter() - started
            self.metrics.batch(self.stage.name, len(records), elapsed)

    async def _process(self, records: Sequence[Record], generation: int) -> bool:
        """Process these records; return False if the partition was lost meanwhile."""
        if len(records) > self._at_once:
            return await self._process_apart(records, self._at_once, generation)
        partition = records[0].partition
        try:
            prepared = self._decide(records)
        except (StorageError, MemoryError):
            raise
        except Exception as error:
            self.partitions.drop_scratch(partition)
            if len(records) == 1:
                return await self._reject(records[0], error)
            return await self._process_apart(records, len(records) // 2, generation)
        if self.stage.atomic and len(records) > 1:
            # A single record says little about others: a heavy one must not slow down all that
            # follow.
            self._at_once = fitting(len(records), prepared.rows)
        return await self._carry_out(partition, prepared, generation)

    async def _process_apart(self, records: Sequence[Record], size: int, generation: int) -> bool:
        start = 0
        while start < len(records):
            part = records[start : start + size]
            if not await self._process(part, generation):
                return False
            start += len(part)
            size = max(size, self._at_once)
        return True

    def _decide(self, records: Sequence[Record]) -> PreparedDecision:
        partition, began = records[0].partition, time.monotonic()
        self.partitions.reached(partition, min(record.timestamp_ms for record in records))
        store = self.partitions.view(partition)
        decision = self.stage.decide(records, store)
        if decision.failed:
            decision.outputs += [self._rejection(failure) for failure in decision.failed]
            decision.counts[FAILED_RECORDS] = len(decision.failed)
        times = {r.offset: r.timestamp_ms for r in records} if decision.seen else {}
        prepared = self._packer.prepare(partition, decision, store, times_ms=times, began=began)
        self.probe("decide")
        return prepared

    def decide_tick(
        self, partition: int, decide: Callable[[StageStore], Decision]
    ) -> PreparedDecision:
        """Return the decision of a tick, ready to be carried out."""
        store, began = self.partitions.view(partition), time.monotonic()
        return self._packer.prepare(partition, decide(store), store, times_ms={}, began=began)

    async def carry_out_tick(self, partition: int, prepared: PreparedDecision) -> bool:
        """Log, apply and publish a tick's decision; there is nothing to commit."""
        return await self._carry_out(partition, prepared, self.app.consumer_generation_id)

    async def _carry_out(self, partition: int, prepared: PreparedDecision, generation: int) -> bool:
        self._stop_if_outlived(prepared)
        offsets = await self._log([*prepared.rows_log, *prepared.seen_log])
        self._stop_if_outlived(prepared)
        self.probe("log")
        if not self._owns(partition, generation):
            self.partitions.drop_scratch(partition)
            return False
        self._apply(partition, prepared, offsets)
        self.probe("apply")
        await self._producer.send(prepared.outputs)
        self.probe("publish")
        if not self._owns(partition, generation):
            return False
        if prepared.fired:
            self.partitions.rows(partition).forget(prepared.fired)
        for name, increment in prepared.counts.items():
            self.metrics.count(name, increment)
        return True

    def _stop_if_outlived(self, prepared: PreparedDecision) -> None:
        """End a process that was paused for longer than Kafka's session timeout.

        Another process may own the partition although this one was not told yet. If both publish a
        revision with different content, the one that came last would win.
        """
        seconds = time.monotonic() - prepared.began
        if seconds > self.config.session_timeout:
            self.halt("outlived_session", stage=self.stage.name, seconds=round(seconds, 1))

    async def _log(self, batches: Sequence[Packed]) -> list[int]:
        """Write to the changelogs; return the offset of each batch's last record."""
        first = await self._producer.send(batches)
        last = []
        for packed, offset in zip(batches, first, strict=True):
            changelog = (packed.topic, packed.partition)
            if offset != self._expected.get(changelog):
                # Another process writes this partition's rows: our state may be out of date.
                self.halt("foreign_writer", topic=packed.topic, partition=packed.partition)
            self._expected[changelog] = offset + packed.batch.record_count()
            last.append(self._expected[changelog] - 1)
        return last

    def _apply(self, partition: int, prepared: PreparedDecision, offsets: Sequence[int]) -> None:
        if prepared.rows:
            logged = offsets[len(prepared.rows_log) - 1]
            self.partitions.rows(partition).apply(
                prepared.rows, prepared.entries, prepared.old_entries, prepared.fired, logged
            )
        if prepared.seen:
            # One changelog record each, in the order of the batches that hold them.
            of_seen = offsets[len(prepared.rows_log) :]
            last = of_seen[-1]
            starts = range(last - len(prepared.seen) + 1, last + 1)
            self.partitions.seen(partition).apply(zip(starts, prepared.seen, strict=True))

    async def _reject(self, record: Record, error: Exception) -> bool:
        output = self._rejection(Failure.of(record, error))
        await self._producer.send(self._packer.pack_outputs([output]))
        self.metrics.count(FAILED_RECORDS, 1)
        return True

    def _rejection(self, failure: Failure) -> Output:
        record = failure.record
        log.error(
            "record_failed",
            stage=self.stage.name,
            topic=record.topic,
            partition=record.partition,
            offset=record.offset,
            error=failure.error,
            where=failure.where,
        )
        return rejected(failure, self.stage.name, self.config.epoch)

    # --- assignment --------------------------------------------------------------------------

    def _owns(self, partition: int, generation: int) -> bool:
        consumer = self.app.consumer
        return generation == self.app.consumer_generation_id and any(
            TP(topic, partition) in consumer.assignment() for topic in self._logical
        )

    # --- callbacks of Faust ------------------------------------------------------------------

    def committable(self) -> dict[TP, int]:
        """Return the next offsets of published input, of the present generation."""
        return self.inputs.committable(self.app.consumer_generation_id)

    def recover(self, table: str, partition: int, records: Sequence[Any]) -> None:
        """Apply records of a changelog partition, in the order of the log."""
        try:
            if table == SEEN:
                self.partitions.seen(partition).apply((r.offset, r.value) for r in records)
            else:
                changes = [(r.key, r.value) for r in records]
                where = f"{self._changelogs[ROWS]}/{partition}"
                refuse_newer(where, (value for _, value in changes))
                rows = self.partitions.rows(partition)
                rows.recover(changes, self._deadline, records[-1].offset)
        except Exception as error:
            # Faust would log it, go on without these records and wait for ever.
            self._give_up("recover", error)

    async def on_recovered(self, changelogs: set[TP]) -> None:
        """Finish the recovery of the rows. Called once for each table, before any input."""
        try:
            highwaters = self.app.tables.recovery.active_highwaters
            for tp in changelogs:
                self._expected[tp.topic, tp.partition] = highwaters[tp] + 1
                if tp.topic == self._changelogs[ROWS]:
                    await self._relog(tp.partition)
        except Exception as error:
            self._give_up("relog", error)

    async def _relog(self, partition: int) -> None:
        while rows := self.partitions.rows(partition).to_relog(_RELOG_ROWS):
            batches = pack(self._producer.create_batch, rows.items())
            topic = self._changelogs[ROWS]
            offsets = await self._log([Packed(topic, partition, batch) for batch in batches])
            self.partitions.rows(partition).relogged(rows, offsets[-1])
            self.metrics.count(RELOGGED_ROWS, len(rows))
            log.warning("rows_relogged", topic=topic, partition=partition, rows=len(rows))

    def suspend(self) -> None:
        """Stop ticks until `resume`."""
        self.ready = False

    def resume(self) -> None:
        """Resume ticks: all partitions are recovered and read."""
        self.ready = True

    def forget_partitions(self) -> None:
        """Forget all partitions: another assignment begins, and nothing remembered is valid."""
        self.partitions.clear()
        self._expected.clear()
        self.inputs.clear()

    def on_crash(self, reason: BaseException) -> None:
        """End the process because a part of Faust has failed."""
        if isinstance(reason, ConsistencyError):
            self.halt(
                "changelog_behind_state",
                stage=self.stage.name,
                hint="a changelog was created anew or lost records: rebuild the stage",
            )
        self._give_up("faust", reason)

    def _give_up(self, during: str, error: BaseException) -> None:
        if disk_is_full(error):
            self.halt(
                "disk_full",
                stage=self.stage.name,
                folder=str(self.config.data_dir),
                hint="nothing is lost: make room, then it goes on from the changelog",
            )
        if isinstance(error, NewerFormat):
            self.halt(
                "written_by_newer_release",
                stage=self.stage.name,
                where=error.where,
                format=error.format,
                known=FORMAT,
                hint="start that release again, or rebuild with this one",
            )
        self.halt(
            "engine_failed", during=during, error=type(error).__name__, where=error_location(error)
        )
