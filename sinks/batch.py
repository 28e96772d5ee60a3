"""What one insert holds: rows as they came, and the offsets to commit once they are in."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any, NamedTuple

from schemas.times import parse_ms

_RECEIVED_AT = re.compile(rb'"received_at":"([^"\\]{20,32})"')
_SAMPLE = 50


class Row(NamedTuple):
    """A record's value and where it stands; `timestamp_ms` is Kafka's record time."""

    value: bytes
    partition: int
    offset: int
    timestamp_ms: int
    key: bytes = b""


class Batch:
    """Rows in the order of their arrival."""

    def __init__(self) -> None:
        self.rows: list[Row] = []
        self.size = 0
        #: Partition -> the offset after the last record taken.
        self.next_offsets: dict[int, int] = {}

    def add(self, records: Sequence[Any]) -> None:
        """Take aiokafka's records of one partition. A record without a value has no row."""
        for record in records:
            self.next_offsets[record.partition] = record.offset + 1
            if record.value is not None:
                row = Row(
                    record.value,
                    record.partition,
                    record.offset,
                    record.timestamp,
                    record.key or b"",
                )
                self.rows.append(row)
                self.size += len(row.value)


def received_ms(rows: Sequence[Row]) -> list[int]:
    """When the gateway received what caused the rows, of at most about 50 of them.

    Read from the bytes, because decoding each row would cost more than inserting it.
    """
    times = []
    for row in rows[:: max(1, len(rows) // _SAMPLE)]:
        if found := _RECEIVED_AT.search(row.value):
            try:
                times.append(parse_ms(found.group(1).decode()))
            except ValueError:
                continue
    # A profile that no touch has made yet was received at no time.
    return [ms for ms in times if ms > 0]
