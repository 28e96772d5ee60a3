"""Packing of records into record batches: as few as possible, each of them atomic on the broker."""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, NamedTuple

#: The limit of a record batch before compression; topics accept 1 MiB.
MAX_BATCH_BYTES = 900_000
_RECORD_OVERHEAD = 64
#: The target fill level of a record batch of an atomic stage.
_FILL = 0.8
_SEEN_ENTRY = struct.Struct(">16sQI")
_SEEN_STORED = struct.Struct(">16s12s")
#: The most ids in a record, 28 bytes each: a packed record stays below 850 KB.
_SEEN_ENTRIES = 30_000


class TooLarge(Exception):
    """Rows or outputs that do not fit any record batch. Sending them again would not help."""


class Packed(NamedTuple):
    """A filled record batch (aiokafka's BatchBuilder) and its destination, by full topic name."""

    topic: str
    partition: int
    batch: Any


class Seen(NamedTuple):
    """An event id that was seen: its 16-byte hash, offset and record time (seconds)."""

    hash: bytes
    offset: int
    time_s: int


def pack(
    create: Callable[[], Any], items: Iterable[tuple[bytes | None, bytes | None]]
) -> list[Any]:
    """Fill batches with (key, value) pairs, keeping their order.

    Raises:
        TooLarge: one pair alone does not fit.
    """
    batches: list[Any] = []
    batch: Any = None
    for key, value in items:
        if len(key or b"") + len(value or b"") + _RECORD_OVERHEAD > MAX_BATCH_BYTES:
            raise TooLarge(f"a record of {len(value or b'')} bytes")
        if batch is None or batch.append(key=key, value=value, timestamp=None) is None:
            batch = create()
            batches.append(batch)
            batch.append(key=key, value=value, timestamp=None)
    return batches


def fitting(records: int, rows: Mapping[bytes, bytes | None]) -> int:
    """Return the number of similar records whose rows surely fit one record batch; at least one."""
    size = sum(len(key) + len(value or b"") + _RECORD_OVERHEAD for key, value in rows.items())
    return max(1, int(records * _FILL * MAX_BATCH_BYTES / max(size, 1)))


def pack_seen(seen: Mapping[bytes, int], times_ms: Mapping[int, int]) -> list[bytes]:
    """Return the changelog records for event ids, with as many ids in each as fit.

    `times_ms` is the record time of each offset that `seen` names.
    """
    entries = [
        _SEEN_ENTRY.pack(digest, offset, times_ms[offset] // 1000)
        for digest, offset in seen.items()
    ]
    return [
        b"".join(entries[start : start + _SEEN_ENTRIES])
        for start in range(0, len(entries), _SEEN_ENTRIES)
    ]


def unpack_seen(packed: bytes) -> Iterator[Seen]:
    """Yield the entries of a changelog record of `pack_seen`."""
    return (Seen(*entry) for entry in _SEEN_ENTRY.iter_unpack(packed))


def split_seen(packed: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Yield the entries as pairs: hash, and offset and time in packed form (12 bytes)."""
    return _SEEN_STORED.iter_unpack(packed)
