"""The local rows: the stage's reads, and the changes by batches and changelogs.

One RocksDB per table and partition. It also stores, under keys that no row may begin with, Faust's
changelog offset, the index of deadlines and the rows to log again. All of it changes in the same
WriteBatch as the rows.
"""

from __future__ import annotations

import errno
import itertools
import os
import struct
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

import structlog
from rocksdict import WriteBatch

from processors.stage import M
from schemas.rows import FORMAT, NewerFormat, order

#: Index of deadlines: `w:` | deadline in ms (8 bytes, big-endian) | row key, without a value.
DUE = b"w:"
#: Rows whose newest version is not the last in the changelog: prefix | row key, without a value.
RELOG = b"__relog:"
OFFSET = b"__faust\0offset__"
#: The latest `schemas.rows.FORMAT` of the releases that opened this database.
FORMAT_KEY = b"__format"
RESERVED = (DUE, b"__")

_DEADLINE = struct.Struct(">Q")
_DUE_SIZE = len(DUE) + _DEADLINE.size
_MAX_DEADLINE = 2**64 - 1

log = structlog.get_logger(__name__)

#: Returns the time (ms) at which a row is due, None for never; None instead of a function if no row
#: ever is.
Deadline = Callable[[bytes, bytes], int | None] | None
#: Changed rows: key -> value, or None for a deletion.
Rows = Mapping[bytes, bytes | None]


class StorageError(Exception):
    """A failure of the local database: neither the records nor the stage are to blame."""


def open_by_this_release(db: Any, where: str) -> None:
    """Mark a database as one that this release writes to.

    Raises `NewerFormat` if a later one did: it may hold rows that this one would misread.
    """
    known = int(db.get(FORMAT_KEY) or 0)
    if known > FORMAT:
        raise NewerFormat(where, known)
    if known < FORMAT:
        db.put(FORMAT_KEY, b"%d" % FORMAT)


def disk_is_full(error: BaseException | None) -> bool:
    """Return True if an error, or one of its causes, means that the disk is full."""
    while error is not None:
        # RocksDB's errors have no number, only the system's text.
        if any(os.strerror(number) in str(error) for number in (errno.ENOSPC, errno.EDQUOT)):
            return True
        error = error.__cause__ or error.__context__
    return False


def due_entry(deadline: int, key: bytes) -> bytes:
    """Return the index entry of a row's deadline (ms)."""
    return DUE + _DEADLINE.pack(min(max(deadline, 0), _MAX_DEADLINE)) + key


def due_moment(entry: bytes) -> int:
    """Return the deadline (ms) of an index entry."""
    moment: int = _DEADLINE.unpack_from(entry, len(DUE))[0]
    return moment


def due_entries(deadline: Deadline, rows: Rows) -> dict[bytes, bytes]:
    """Return the index entries of rows: row key -> entry."""
    entries: dict[bytes, bytes] = {}
    if deadline is None:
        return entries
    for key, value in rows.items():
        moment = deadline(key, value) if value is not None else None
        if moment is not None:
            entries[key] = due_entry(moment, key)
    return entries


class PartitionRows:
    """The rows table of one partition: reads and writes on its database.

    Created anew for each batch, because a rebalance closes databases; `PartitionMemory` holds the
    memory between batches.
    """

    def __init__(self, db: Any, memory: PartitionMemory) -> None:
        self._db = db
        self._memory = memory

    def get_many(self, keys: Sequence[bytes]) -> list[bytes | None]:
        """Return the rows of `keys`, in their order."""
        if not keys:
            return []
        try:
            found: list[bytes | None] = self._db.get(list(keys))
        except Exception as error:
            raise StorageError("read") from error
        return found

    def scan(self, prefix: bytes, limit: int, after: bytes = b"") -> list[tuple[bytes, bytes]]:
        """Return at most `limit` entries whose key begins with `prefix`, sorted, after `after`."""
        start = max(prefix, after + b"\0") if after else prefix
        return list(itertools.islice(self._from(start, prefix), limit))

    def due(self, until: int, limit: int) -> list[tuple[bytes, bytes]]:
        """Return at most `limit` (entry, row key) with a deadline up to `until` ms, earliest first.

        Begins at the low mark, below which no entry was ever found or written: removed entries
        leave tombstones, and skipping them every second would cost more each time.
        """
        end = due_entry(until + 1, b"")
        found: list[tuple[bytes, bytes]] = []
        first = end
        for entry, _ in self._from(self._memory.low_mark, DUE):
            first = min(first, entry[:_DUE_SIZE])
            if entry >= end or len(found) >= limit:
                break
            found.append((entry, entry[_DUE_SIZE:]))
        self._memory.low_mark = max(first, self._memory.low_mark)
        return found

    def size(self) -> tuple[int, int]:
        """Return the number of entries, as RocksDB estimates it, and the bytes of its files."""
        keys = self._db.property_int_value("rocksdb.estimate-num-keys")
        size = self._db.property_int_value("rocksdb.total-sst-files-size")
        return keys or 0, size or 0

    def apply(
        self,
        rows: Rows,
        entries: Mapping[bytes, bytes],
        old_entries: Mapping[bytes, bytes],
        fired: Iterable[bytes],
        offset: int | None,
    ) -> None:
        """Write rows, their index and the changelog offset that contains them, atomically.

        `entries` and `old_entries` are the rows' index entries now and before. An old entry that
        was just fired stays until `forget`, because its outputs are not published yet.
        """
        batch = WriteBatch(raw_mode=True)
        keep = set(fired)
        for key, value in rows.items():
            old, new = old_entries.get(key), entries.get(key)
            if old is not None and old != new and old not in keep:
                batch.delete(old)
            if new is not None and new != old:
                batch.put(new, b"")
                self._memory.low_mark = min(self._memory.low_mark, new[:_DUE_SIZE])
            if value is None:
                batch.delete(key)
            else:
                batch.put(key, value)
        if offset is not None:
            batch.put(OFFSET, b"%d" % offset)
        self._write(batch)

    def forget(self, entries: Iterable[bytes]) -> None:
        """Remove index entries that were processed."""
        batch = WriteBatch(raw_mode=True)
        for entry in entries:
            batch.delete(entry)
        self._write(batch)

    def recover(
        self, changes: Iterable[tuple[bytes, bytes | None]], deadline: Deadline, offset: int
    ) -> int:
        """Apply changelog records in the order of the log; return the number of rows to log again.

        Of two versions of a row the newer one wins, whichever came later: a writer that had already
        lost the partition may have logged the older one last. `offset` is that of the last of these
        records.
        """
        changes = list(changes)
        keys = list(dict.fromkeys(key for key, _ in changes))
        before = dict(zip(keys, self.get_many(keys), strict=True))
        rows, behind = dict(before), set[bytes]()
        for key, value in changes:
            present = rows[key]
            if value is None or present is None or order(value) >= order(present):
                rows[key] = value
                behind.discard(key)
            else:
                behind.add(key)
        changed = {key: value for key, value in rows.items() if value != before[key]}
        old = {key: before[key] for key in changed}
        if behind or self.scan(RELOG, 1):
            self._mark(keys, behind)
        entries, old_entries = _tolerant(deadline, changed), _tolerant(deadline, old)
        self.apply(changed, entries, old_entries, (), offset)
        return len(behind)

    def _mark(self, keys: Iterable[bytes], behind: set[bytes]) -> None:
        # Written before the offset moves on: a crash between the two finds the same records again.
        batch = WriteBatch(raw_mode=True)
        for key in keys:
            if key in behind:
                batch.put(RELOG + key, b"")
            else:
                batch.delete(RELOG + key)
        self._write(batch)

    def to_relog(self, limit: int) -> dict[bytes, bytes]:
        """Return at most `limit` rows whose newest version has to be logged again."""
        keys = [marker[len(RELOG) :] for marker, _ in self.scan(RELOG, limit)]
        rows = zip(keys, self.get_many(keys), strict=True)
        return {key: value for key, value in rows if value is not None}

    def relogged(self, keys: Iterable[bytes], offset: int) -> None:
        """Note that these rows were logged again, the last at `offset` of the changelog."""
        batch = WriteBatch(raw_mode=True)
        for key in keys:
            batch.delete(RELOG + key)
        batch.put(OFFSET, b"%d" % offset)
        self._write(batch)

    def _from(self, start: bytes, prefix: bytes) -> Iterator[tuple[bytes, bytes]]:
        try:
            for key, value in self._db.items(from_key=start):
                if not key.startswith(prefix):
                    return
                yield key, value
        except Exception as error:
            raise StorageError("scan") from error

    def _write(self, batch: Any) -> None:
        try:
            self._db.write(batch)
        except Exception as error:
            raise StorageError("write") from error


class PartitionMemory:
    """The memory of a partition between batches; a rebalance clears it."""

    __slots__ = ("_scratch", "low_mark", "seen_clock")

    def __init__(self) -> None:
        self._scratch: object = None
        self.low_mark = DUE
        #: Record time (seconds) that the partition's input has reached.
        self.seen_clock = 0

    def scratch(self, kind: type[M]) -> M:
        """Return the stage's scratch memory: see `processors.stage.Store.memory`."""
        if not isinstance(self._scratch, kind):
            self._scratch = kind()
        return self._scratch

    def drop_scratch(self) -> None:
        """Forget the stage's scratch memory."""
        self._scratch = None


def _tolerant(deadline: Deadline, rows: Rows) -> dict[bytes, bytes]:
    # A row that the stage cannot read must not prevent the recovery of the whole partition.
    try:
        return due_entries(deadline, rows)
    except Exception:
        log.warning("deadlines_read_one_by_one", rows=len(rows))
    entries: dict[bytes, bytes] = {}
    for key, value in rows.items():
        try:
            entries |= due_entries(deadline, {key: value})
        except Exception as error:
            log.error("deadline_failed", error=type(error).__name__)
    return entries
