"""The engine's state of its partitions: databases, and the memory between batches."""

from __future__ import annotations

from typing import Any

from processors.engine.config import EngineConfig
from processors.engine.seen import PartitionSeen
from processors.engine.stage_store import StageStore
from processors.engine.store import PartitionMemory, PartitionRows
from processors.stage import Stage
from processors.stage_topics import ROWS, SEEN


class Partitions:
    """The tables of the assigned partitions. Do not hold a partition's objects across an await."""

    def __init__(self, stage: Stage, config: EngineConfig) -> None:
        self._deduplicates = stage.deduplicates
        self._window_s = int(config.seen_window)
        self._memories: dict[int, PartitionMemory] = {}
        #: Faust's tables by name, once they exist.
        self.tables: Any = {}

    def rows(self, partition: int) -> PartitionRows:
        """Return a partition's rows. Raises `StorageError` if it is not assigned."""
        db = self.tables[ROWS].data.database(partition)
        return PartitionRows(db, self._memory(partition))

    def seen(self, partition: int) -> PartitionSeen:
        """Return a partition's seen ids. Raises `StorageError` if it is not assigned."""
        return PartitionSeen(self.tables[SEEN].data.database(partition), self._window_s)

    def view(self, partition: int) -> StageStore:
        """Return the store that the stage may read for one decision."""
        memory = self._memory(partition)
        seen = self.seen(partition) if self._deduplicates else None
        return StageStore(self.rows(partition), seen, memory, memory.seen_clock)

    def reached(self, partition: int, time_ms: int) -> None:
        """Note that the partition's input has reached this record time; it never goes back."""
        memory = self._memory(partition)
        memory.seen_clock = max(memory.seen_clock, time_ms // 1000)

    def expire_seen(self, partition: int) -> bool:
        """Forget some event ids that left the window; return True if there may be more."""
        clock = self._memory(partition).seen_clock
        return self._deduplicates and self.seen(partition).expire(clock)

    def drop_scratch(self, partition: int) -> None:
        """Drop the stage's scratch memory: it may be of a decision not carried out."""
        self._memory(partition).drop_scratch()

    def clear(self) -> None:
        """Forget everything: another assignment begins."""
        self._memories.clear()

    def _memory(self, partition: int) -> PartitionMemory:
        return self._memories.setdefault(partition, PartitionMemory())
