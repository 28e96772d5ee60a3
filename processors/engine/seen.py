"""The event ids that a partition has seen, forgotten by Kafka's record time.

The wall clock is not used: after an outage of days the backlog still finds the ids it may repeat,
and a rebuild of years in an hour forgets them at the same record time as the original run.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Sequence
from typing import Any

from rocksdict import WriteBatch

from processors.engine.packing import split_seen, unpack_seen
from processors.engine.store import OFFSET, StorageError

_HASH = b"h"
#: Expiry: `x` | time in s | changelog offset -> the ids logged there, packed.
_EXPIRY = b"x"
_EXPIRY_KEY = struct.Struct(">IQ")
_VALUE = struct.Struct(">QI")


class PartitionSeen:
    """The seen table of one partition: reads and writes on its database."""

    def __init__(self, db: Any, window_s: int) -> None:
        self._db = db
        self._window_s = window_s

    def offsets(self, hashes: Sequence[bytes], now_s: int) -> list[int | None]:
        """Return each hash's offset of the first delivery within the window before `now_s`."""
        if not hashes:
            return []
        since = now_s - self._window_s
        found: list[int | None] = []
        for value in self._get([_HASH + digest for digest in hashes]):
            offset, time_s = _VALUE.unpack(value) if value is not None else (None, 0)
            found.append(offset if time_s >= since else None)
        return found

    def apply(self, packed: Iterable[tuple[int, bytes]]) -> None:
        """Store (changelog offset, packed ids).

        Logged ids count as known, so a recovery may store them again.
        """
        batch = WriteBatch(raw_mode=True)
        last = -1
        for log_offset, entries in packed:
            newest = b"\0\0\0\0"
            for digest, value in split_seen(entries):
                batch.put(_HASH + digest, value)
                newest = max(newest, value[-4:])
            until = int.from_bytes(newest, "big")
            batch.put(_EXPIRY + _EXPIRY_KEY.pack(until, log_offset), entries)
            last = max(last, log_offset)
        if last >= 0:
            batch.put(OFFSET, b"%d" % last)
            self._write(batch)

    def expire(self, now_s: int) -> bool:
        """Forget one changelog record's ids that left the window before `now_s`.

        Return True if there may be more.
        """
        until = _EXPIRY + _EXPIRY_KEY.pack(max(now_s - self._window_s, 0), 0)
        try:
            key, packed = next(iter(self._db.items(from_key=_EXPIRY)), (b"", b""))
        except Exception as error:
            raise StorageError("scan") from error
        if not _EXPIRY < key < until:
            return False
        entries = list(unpack_seen(packed))
        batch = WriteBatch(raw_mode=True)
        batch.delete(key)
        values = self._get([_HASH + entry.hash for entry in entries])
        for entry, value in zip(entries, values, strict=True):
            # An id that came again later belongs to the later record.
            if value == _VALUE.pack(entry.offset, entry.time_s):
                batch.delete(_HASH + entry.hash)
        self._write(batch)
        return True

    def _get(self, keys: list[bytes]) -> list[bytes | None]:
        try:
            found: list[bytes | None] = self._db.get(keys)
        except Exception as error:
            raise StorageError("read") from error
        return found

    def _write(self, batch: Any) -> None:
        try:
            self._db.write(batch)
        except Exception as error:
            raise StorageError("write") from error
