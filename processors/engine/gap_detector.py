"""Gaps of the input: each batch continues at the partition's position, or is read again."""

from __future__ import annotations

from typing import Any

import structlog
from aiokafka.errors import KafkaError
from faust.types import TP

from processors.engine.inputs import Inputs
from processors.engine.metrics import INPUT_GAP, EngineMetrics

log = structlog.get_logger(__name__)

#: A batch that comes this often with the same first offset has no record before it in the log
#: (markers of transactions use offsets too).
_HOLE_AFTER = 3


class GapDetector:
    """Compares the offset of each batch with the next one expected. `app` is Faust's, set first."""

    app: Any

    def __init__(self, stage: str, inputs: Inputs, metrics: EngineMetrics) -> None:
        self._stage = stage
        self._inputs = inputs
        self._metrics = metrics

    async def begin(self, tp: TP, fallback: int | None = None) -> None:
        """Note the offset at which reading of a partition starts: its commit, or its first record.

        Records that were deleted before that are reported. `fallback` is for a broker that does not
        answer now.
        """
        generation = self.app.consumer_generation_id
        committed = self.app.consumer.committed_offset(tp)
        earliest = await self._earliest(tp)
        start = max(committed or 0, earliest or 0)
        if committed is None and earliest is None:
            if fallback is None:
                return
            start = fallback
        if tp not in self._inputs and generation == self.app.consumer_generation_id:
            self._inputs.begin(tp, generation, start)
            self._report_gap(tp, start, start - committed if committed is not None else 0)

    async def follows(self, tp: TP, first: int) -> bool:
        """Return True if a batch continues at the partition's position; else read from there again.

        A gap is either in the log, whose oldest records may be gone, or Faust lost a batch on its
        way here: then skipping it would lose events, so the partition is read again.
        """
        if not self._inputs.gap(tp, first):
            return True
        earliest = await self._earliest(tp)
        position = self._inputs[tp]
        start = max(position.next_offset, earliest or 0)
        if start >= first or self._inputs.suspect(tp, first) >= _HOLE_AFTER:
            start = first
        self._report_gap(tp, start, start - position.next_offset)
        position.next_offset = start
        if start == first:
            return True
        log.warning("batch_out_of_order", topic=tp.topic, partition=tp.partition, offset=first)
        await self.app.consumer.rewind(tp, start)
        return False

    async def _earliest(self, tp: TP) -> int | None:
        try:
            offsets = await self.app.consumer.earliest_offsets(tp)
        except (KafkaError, TimeoutError):
            return None
        earliest: int | None = offsets.get(tp)
        return earliest

    def _report_gap(self, tp: TP, first: int, missing: int) -> None:
        if missing > 0:
            log.error(
                "input_gap",
                stage=self._stage,
                topic=tp.topic,
                partition=tp.partition,
                offset=first,
                missing=missing,
            )
            self._metrics.count(INPUT_GAP, missing)
