"""Once a second: ticks of the stage, lag, expiry of event ids, and garbage collection."""

from __future__ import annotations

import asyncio
import gc
import time
from collections.abc import Callable

import structlog
from faust.types import TP

from processors.engine.metrics import TICK_FAILURES
from processors.engine.runner import Engine
from processors.engine.store import StorageError, due_moment
from processors.stage import Tick
from schemas import times
from schemas.topics import full_name

log = structlog.get_logger(__name__)

#: An older fetch does not tell whether records are waiting.
_FRESH_MS = 3000
#: The most slices of one tick, so that batches are not delayed.
_SLICES = 20
_EXPIRY_SECONDS = 0.1
_COLLECT_EVERY = 30.0
_STATE_EVERY = 10.0
#: Longer than any batch may take: a send timeout ends the process before.
_STUCK_SECONDS = 60.0


class Ticker:
    """The loop of ticks. It runs until it is cancelled."""

    def __init__(self, engine: Engine, clock_ms: Callable[[], int]) -> None:
        self._engine = engine
        self._clock_ms = clock_ms
        self._names = [full_name(engine.config.namespace, name) for name in engine.stage.inputs]
        self._collected = time.monotonic()
        self._stated: dict[int, float] = {}
        self._batches = 0
        #: The offset that each input waits for, and since when (monotonic seconds).
        self._waiting: dict[TP, tuple[int, float]] = {}

    async def run(self) -> None:
        """Run once a second (`tick_interval`); late ticks are skipped."""
        while True:
            await asyncio.sleep(self._engine.config.tick_interval)
            if self._engine.ready:
                for partition, tps in self._partitions().items():
                    await self._tick(partition, tps)
            self._collect()

    def _partitions(self) -> dict[int, list[TP]]:
        partitions: dict[int, list[TP]] = {}
        for tp in self._engine.app.consumer.assignment():
            if tp.topic in self._names:
                partitions.setdefault(tp.partition, []).append(tp)
        return dict(sorted(partitions.items()))

    async def _tick(self, partition: int, tps: list[TP]) -> None:
        for tp in tps:
            if tp not in self._engine.inputs:
                await self._engine.gaps.begin(tp)
        for _ in range(_SLICES):
            async with self._engine.scheduler.lock(partition):
                if not self._engine.ready:
                    return
                more = await self._once(partition, tps)
            if not more:
                return

    async def _once(self, partition: int, tps: list[TP]) -> bool:
        """Process one slice; return True if entries fired, so that there may be more."""
        engine = self._engine
        now_ms = self._clock_ms()
        since = times.now_ms() - _FRESH_MS
        highwaters = {tp: engine.app.consumer.polled_highwater(tp, since) for tp in tps}
        position = engine.inputs.position_ms(highwaters, now_ms)
        self._report(highwaters, now_ms)
        await self._unstick(highwaters)
        try:
            prepared = engine.decide_tick(
                partition,
                lambda store: engine.stage.tick(Tick(partition, now_ms, position), store),
            )
        except StorageError as error:
            engine.on_crash(error)
            return False
        except Exception as error:
            engine.partitions.drop_scratch(partition)
            engine.metrics.count(TICK_FAILURES, 1)
            log.error("tick_failed", stage=engine.stage.name, error=type(error).__name__)
            return False
        try:
            done = await engine.carry_out_tick(partition, prepared)
            if prepared.fired:
                late_ms = now_ms - min(due_moment(entry) for entry in prepared.fired)
                engine.metrics.fired(engine.stage.name, late_ms / 1000)
            self._expire(partition)
            if done:
                self._report_state(partition)
        except Exception as error:
            engine.on_crash(error)
            return False
        return done and bool(prepared.fired)

    async def _unstick(self, highwaters: dict[TP, int | None]) -> None:
        """Reread records that were fetched long ago and never came: see `GapDetector.follows`."""
        engine = self._engine
        for tp, highwater in highwaters.items():
            if highwater is None or tp not in engine.inputs:
                continue
            next_offset = engine.inputs[tp].next_offset
            before, since = self._waiting.get(tp, (-1, 0.0))
            handed_out = engine.app.consumer.handed_out(tp)
            if before != next_offset or handed_out is None or handed_out <= next_offset:
                self._waiting[tp] = next_offset, time.monotonic()
            elif time.monotonic() - since > _STUCK_SECONDS:
                self._waiting[tp] = next_offset, time.monotonic()
                log.error("input_stalled", topic=tp.topic, partition=tp.partition)
                await engine.app.consumer.rewind(tp, next_offset)

    def _report_state(self, partition: int) -> None:
        engine, now = self._engine, time.monotonic()
        if now - self._stated.get(partition, -_STATE_EVERY) >= _STATE_EVERY:
            self._stated[partition] = now
            keys, size = engine.partitions.rows(partition).size()
            engine.metrics.state(engine.stage.name, partition, keys, size)

    def _expire(self, partition: int) -> None:
        until = time.monotonic() + _EXPIRY_SECONDS
        while self._engine.partitions.expire_seen(partition) and time.monotonic() < until:
            pass

    def _report(self, highwaters: dict[TP, int | None], now_ms: int) -> None:
        engine = self._engine
        for tp, highwater in highwaters.items():
            if highwater is None or tp not in engine.inputs:
                continue
            position = engine.inputs[tp]
            behind = max(0, highwater - position.next_offset)
            age = (now_ms - position.time_ms) / 1000 if behind and position.time_ms else 0.0
            engine.metrics.lag(engine.stage.name, tp.topic, tp.partition, behind, max(0.0, age))

    def _collect(self) -> None:
        """Collect cyclic garbage when idle.

        The collector is off otherwise: it made batches three times slower.
        """
        idle = self._engine.batches == self._batches
        self._batches = self._engine.batches
        if idle or time.monotonic() - self._collected > _COLLECT_EVERY:
            self._collected = time.monotonic()
            gc.collect()
