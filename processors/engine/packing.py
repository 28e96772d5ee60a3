"""Record batches as they travel: as few as possible, each of them atomic on the broker."""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, NamedTuple

#: Of a record batch before compression; topics accept 1 MiB.
MAX_BATCH_BYTES = 900_000
_RECORD_OVERHEAD = 64
#: How full a record batch of an atomic stage is to be.
_FILL = 0.8
_SEEN_ENTRY = struct.Struct(">16sQI")
_SEEN_STORED = struct.Struct(">16s12s")
#: 28 bytes each: a packed record stays below 850 KB.
_SEEN_ENTRIES = 30_000


class TooLarge(Exception):
    """Rows or outputs that no record batch can carry. Sending again would not help."""


class Packed(NamedTuple):
    """A filled record batch (aiokafka's BatchBuilder) and where it goes, by its full name."""

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
    """How many records of this kind give rows that surely fit one record batch; at least one."""
    size = sum(len(key) + len(value or b"") + _RECORD_OVERHEAD for key, value in rows.items())
    return max(1, int(records * _FILL * MAX_BATCH_BYTES / max(size, 1)))


def pack_seen(seen: Mapping[bytes, int], times_ms: Mapping[int, int]) -> list[bytes]:
    """The changelog records for event ids: as many ids to a record as fit.

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
    """What a changelog record of `pack_seen` holds."""
    return (Seen(*entry) for entry in _SEEN_ENTRY.iter_unpack(packed))


def split_seen(packed: bytes) -> Iterator[tuple[bytes, bytes]]:
    """The same as pairs: hash, and offset and time as they stand there (12 bytes)."""
    return _SEEN_STORED.iter_unpack(packed)
