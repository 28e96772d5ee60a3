"""The rows of one partition of a stage, in memory."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from processors.stage import Decision, M, Stage


class MemoryStore:
    """`processors.stage.Store` in memory."""

    def __init__(self, stage: Stage) -> None:
        self.stage = stage
        self.rows: dict[bytes, bytes] = {}
        self.seen: dict[bytes, int] = {}
        self.index: dict[bytes, bytes] = {}
        self._memory: object = None

    def memory(self, kind: type[M]) -> M:
        if not isinstance(self._memory, kind):
            self._memory = kind()
        return self._memory

    def forget(self) -> None:
        """Forget as the engine does when a decision was not carried out, or at a new start."""
        self._memory = None

    def get(self, key: bytes) -> bytes | None:
        return self.rows.get(key)

    def get_many(self, keys: Sequence[bytes]) -> list[bytes | None]:
        return [self.rows.get(key) for key in keys]

    def scan(self, prefix: bytes, limit: int, after: bytes = b"") -> list[tuple[bytes, bytes]]:
        keys = sorted(key for key in self.rows if key.startswith(prefix) and key > after)
        return [(key, self.rows[key]) for key in keys[:limit]]

    def seen_many(self, hashes: Sequence[bytes]) -> list[int | None]:
        return [self.seen.get(one) for one in hashes]

    def due(self, until: int, limit: int) -> Iterator[tuple[bytes, bytes]]:
        ready = sorted(entry for entry in self.index if int.from_bytes(entry[:8], "big") <= until)
        return iter([(entry, self.index[entry]) for entry in ready[:limit]])

    def apply(self, decision: Decision) -> None:
        fired = set(decision.fired)
        for key, value in decision.rows.items():
            old = self.rows.pop(key, None)
            for row, change in ((old, self._forget(fired)), (value, self.index.__setitem__)):
                moment = None if row is None else self.stage.deadline(key, row)
                if moment is not None:
                    change(moment.to_bytes(8, "big") + key, key)
            if value is not None:
                self.rows[key] = value
        self.seen.update(decision.seen)

    def _forget(self, fired: set[bytes]) -> Any:
        def forget(entry: bytes, _: bytes) -> None:
            if entry not in fired:
                self.index.pop(entry, None)

        return forget
