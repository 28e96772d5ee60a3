"""The step: a decision, packed into the records to log and publish and the rows to apply.

A stage's decision is checked and packed completely here. So a row that is too large, or a bug in
the stage, is found before anything is written, and the engine can try smaller batches.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from processors.engine.config import EngineConfig
from processors.engine.packing import Packed, TooLarge, pack, pack_seen
from processors.engine.seen import PartitionSeen
from processors.engine.store import (
    RESERVED,
    Deadline,
    PartitionMemory,
    PartitionRows,
    Rows,
    due_entries,
)
from processors.stage import Decision, Output
from schemas.topics import full_name, partition_of


class StageStore:
    """`processors.stage.Store` for one batch: it caches what it read, which `prepare` needs."""

    def __init__(
        self,
        rows: PartitionRows,
        seen: PartitionSeen | None,
        memory: PartitionMemory,
        now_s: int,
    ) -> None:
        self.rows = rows
        self.memory = memory.scratch
        self.read: dict[bytes, bytes | None] = {}
        self._seen = seen
        self._now_s = now_s

    def get(self, key: bytes) -> bytes | None:
        """Return a row; see `processors.stage.Store`."""
        return self.get_many((key,))[0]

    def get_many(self, keys: Sequence[bytes]) -> list[bytes | None]:
        """Return rows; see `processors.stage.Store`."""
        values = self.rows.get_many(keys)
        self.read.update(zip(keys, values, strict=True))
        return values

    def scan(self, prefix: bytes, limit: int, after: bytes = b"") -> list[tuple[bytes, bytes]]:
        """Return rows by prefix, without the engine's own entries; see `processors.stage.Store`."""
        found = self.rows.scan(prefix, limit, after)
        if not prefix.startswith(RESERVED):
            found = [item for item in found if not item[0].startswith(RESERVED)]
        return found

    def seen_many(self, hashes: Sequence[bytes]) -> list[int | None]:
        """Return offsets of first deliveries; see `processors.stage.Store`."""
        if self._seen is None:
            raise TypeError("the stage does not declare `deduplicates`")
        return self._seen.offsets(hashes, self._now_s)

    def due(self, until: int, limit: int) -> Iterator[tuple[bytes, bytes]]:
        """Yield due entries; see `processors.stage.Store`."""
        return iter(self.rows.due(until, limit))

    def stored(self, keys: Sequence[bytes]) -> dict[bytes, bytes | None]:
        """Return the rows of `keys` as last applied; read only those that are not read yet."""
        missing = [key for key in keys if key not in self.read]
        self.get_many(missing)
        return {key: self.read[key] for key in keys}


@dataclass(frozen=True, slots=True)
class Step:
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
class Preparer:
    """A factory of steps. `create` returns an empty record batch."""

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
    ) -> Step:
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
        return Step(
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
