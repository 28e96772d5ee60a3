"""The content of one insert: rows as they came, and the offsets to commit after it."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any, Protocol

from schemas.times import parse_ms

_RECEIVED_AT = re.compile(rb'"received_at":"([^"\\]{20,32})"')
_SAMPLE = 50


class Row(Protocol):
    """A Kafka record that has a value, as aiokafka returns it: a row and its position."""

    @property
    def value(self) -> bytes:
        """Return the row, a line of JSON."""

    @property
    def key(self) -> bytes | None:
        """Return the record's key."""

    @property
    def partition(self) -> int:
        """Return the record's partition."""

    @property
    def offset(self) -> int:
        """Return the record's offset in its partition."""

    @property
    def timestamp(self) -> int:
        """Return Kafka's record time in milliseconds."""


class Batch:
    """Rows in the order of their arrival."""

    def __init__(self) -> None:
        self.rows: list[Row] = []
        self.size = 0
        #: Partition -> the offset after the last record added.
        self.next_offsets: dict[int, int] = {}

    def add(self, records: Sequence[Any]) -> None:
        """Add aiokafka's records of one partition, one or more, in their order.

        A record without a value has no row.
        """
        last = records[-1]
        self.next_offsets[last.partition] = last.offset + 1
        rows = [record for record in records if record.value is not None]
        self.rows += rows
        self.size += sum([len(row.value) for row in rows])


def received_ms(rows: Sequence[Row]) -> list[int]:
    """Return the times (ms) at which the gateway received the cause of at most about 50 rows.

    They are read from the bytes, because decoding each row would cost more than inserting it.
    """
    times = []
    for row in rows[:: max(1, len(rows) // _SAMPLE)]:
        if found := _RECEIVED_AT.search(row.value):
            try:
                times.append(parse_ms(found.group(1).decode()))
            except ValueError:
                continue
    # A profile without any touch yet has no time of receipt.
    return [ms for ms in times if ms > 0]
