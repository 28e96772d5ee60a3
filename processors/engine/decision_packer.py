"""Packing of a decision: the record batches to log and publish, and the rows to apply.

A stage's decision is checked and packed completely here. So a row that is too large, or a bug in
the stage, is found before anything is written, and the engine can try smaller batches.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from processors.engine.config import EngineConfig
from processors.engine.packing import Packed, TooLarge, pack, pack_seen
from processors.engine.stage_store import StageStore
from processors.engine.store import (
    RESERVED,
    Deadline,
    Rows,
    due_entries,
)
from processors.stage import Decision, Output
from schemas.topics import full_name, partition_of


@dataclass(frozen=True, slots=True)
class PreparedDecision:
    """A decision, ready to be carried out. `began` is the start of deciding it (monotonic)."""

    began: float
    rows: Rows
    entries: Mapping[bytes, bytes]
    old_entries: Mapping[bytes, bytes]
    fired: Sequence[bytes]
    seen: Sequence[bytes]
    #: Record batches of rows for the changelog; of seen ids; of outputs.
    rows_log: Sequence[Packed]
    seen_log: Sequence[Packed]
    outputs: Sequence[Packed]
    counts: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class DecisionPacker:
    """Packs the decisions of one stage. `create` returns an empty record batch."""

    config: EngineConfig
    create: Callable[[], Any]
    deadline: Deadline
    atomic: bool
    rows_changelog: str
    seen_changelog: str

    def prepare(
        self,
        partition: int,
        decision: Decision,
        store: StageStore,
        *,
        times_ms: Mapping[int, int],
        began: float,
    ) -> PreparedDecision:
        """Check and pack a decision of this partition.

        Raises:
            TooLarge: a record does not fit a batch, or an atomic stage's rows do not fit one.
        """
        rows = decision.rows
        for key in rows:
            if key.startswith(RESERVED):
                raise ValueError("row keys may not begin with w: or __")
        entries = due_entries(self.deadline, rows)
        old_entries = self._old_entries(rows, store)
        rows_log = pack(self.create, rows.items())
        if self.atomic and len(rows_log) > 1:
            raise TooLarge("the rows of one decision")
        seen = pack_seen(decision.seen, times_ms)
        return PreparedDecision(
            began,
            rows,
            entries,
            old_entries,
            decision.fired,
            seen,
            [Packed(self.rows_changelog, partition, batch) for batch in rows_log],
            [
                Packed(self.seen_changelog, partition, batch)
                for batch in pack(self.create, ((None, value) for value in seen))
            ],
            self.pack_outputs(decision.outputs),
            decision.counts,
        )

    def _old_entries(self, rows: Rows, store: StageStore) -> dict[bytes, bytes]:
        if self.deadline is None:
            return {}
        return due_entries(self.deadline, store.stored(list(rows)))

    def pack_outputs(self, outputs: Sequence[Output]) -> list[Packed]:
        """Pack outputs into as few record batches as possible, in order within a partition."""
        targets: dict[tuple[str, int], list[tuple[bytes | None, bytes | None]]] = {}
        for topic, key, value, chosen in outputs:
            partition = chosen
            if partition is None:
                partition = partition_of(key, self.config.partitions_of(topic))
            targets.setdefault((topic, partition), []).append((key, value))
        return [
            Packed(full_name(self.config.namespace, topic), partition, batch)
            for (topic, partition), items in targets.items()
            for batch in pack(self.create, items)
        ]
