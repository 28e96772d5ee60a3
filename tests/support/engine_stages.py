"""Small stages to run the engine with."""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Sequence

from processors.stage import Decision, Failure, Output, Record, Store, Tick
from schemas import rows

_COUNT = struct.Struct(">QQ")
_NOTHING = (-1, 0, 0, 0)


class CountingStage:
    """Counts records per key; each output is a key's present count.

    The value is the event's id. `poison` as a value fails, `unreadable` is set aside, `forget…`
    deletes the key's row. A row is due 1,000 ms after the record time of its newest record, and
    then publishes `late` once.
    """

    atomic = False
    timed = True
    deduplicates = True

    def __init__(
        self,
        name: str = "counting",
        inputs: tuple[str, ...] = ("touchpoints",),
        *,
        deduplicates: bool = True,
        deadlines: bool = False,
        atomic: bool = False,
        padding: int = 0,
    ) -> None:
        self.name = name
        self.inputs = inputs
        self.deduplicates = deduplicates
        self.atomic = atomic
        self._deadlines = deadlines
        self._padding = b"." * padding

    def decide(self, records: Sequence[Record], store: Store) -> Decision:
        decision = Decision()
        hashes = [hashlib.blake2b(r.value, digest_size=16).digest() for r in records]
        known = store.seen_many(hashes) if self.deduplicates else [None] * len(records)
        keys = list(dict.fromkeys(r.key or b"" for r in records))
        old = dict(zip(keys, store.get_many(keys), strict=True))
        state = {key: unpack(value) for key, value in old.items()}
        for record, digest, before in zip(records, hashes, known, strict=True):
            if record.value == b"poison":
                raise ValueError("cannot be processed")
            if record.value == b"unreadable":
                decision.failed.append(Failure(record, "ValueError", "here"))
                continue
            first = decision.seen.get(digest, before)
            if first is not None and first < record.offset:
                decision.counts["duplicates"] = decision.counts.get("duplicates", 0) + 1
                continue
            if self.deduplicates:
                decision.seen[digest] = record.offset
            applied, rev, count, time_ms = state[record.key or b""]
            if record.value.startswith(b"forget"):
                state[record.key or b""] = _NOTHING
            elif record.offset > applied:
                newest = max(time_ms, record.timestamp_ms)
                state[record.key or b""] = (record.offset, rev + 1, count + 1, newest)
        for key in keys:
            applied, rev, count, time_ms = state[key]
            value = pack(applied, rev, count, time_ms) + self._padding if rev else None
            if value != old[key]:
                decision.rows[key] = value
            decision.outputs.append(Output("profiles", key, b"%d" % count))
        return decision

    def tick(self, tick: Tick, store: Store) -> Decision:
        decision = Decision()
        for entry, key in store.due(tick.position_ms, 2):
            decision.fired.append(entry)
            row = store.get(key)
            applied, rev, count, _ = unpack(row)
            # A deadline in the far future: nothing is due until the next record.
            decision.rows[key] = pack(applied, rev + 1, count, 2**62)
            decision.outputs.append(Output("segment.changes", key, b"late"))
        return decision

    def deadline(self, key: bytes, value: bytes) -> int | None:
        return unpack(value)[3] + 1000 if self._deadlines else None


def pack(applied: int, rev: int, count: int, time_ms: int) -> bytes:
    return rows.pack(1, applied, rev, _COUNT.pack(count, time_ms))


def unpack(row: bytes | None) -> tuple[int, int, int, int]:
    """Applied offset, revision, count, newest record time."""
    if row is None:
        return _NOTHING
    header = rows.header(row)
    return header.applied, header.rev, *_COUNT.unpack_from(row, rows.SIZE)
