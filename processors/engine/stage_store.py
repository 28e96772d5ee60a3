"""The rows and the memory of a partition, as a stage may read them for one decision."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from processors.engine.seen import PartitionSeen
from processors.engine.store import RESERVED, PartitionMemory, PartitionRows
from processors.stage import M


class StageStore:
    """`processors.stage.Store` for one batch: it caches the rows it read, for the index."""

    def __init__(
        self,
        rows: PartitionRows,
        seen: PartitionSeen | None,
        memory: PartitionMemory,
        now_s: int,
    ) -> None:
        self.rows = rows
        self.read: dict[bytes, bytes | None] = {}
        self._memory = memory
        self._seen = seen
        self._now_s = now_s

    def memory(self, kind: type[M]) -> M:
        """Return the stage's memory; see `processors.stage.Store`."""
        return self._memory.scratch(kind)

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
