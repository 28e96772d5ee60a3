"""What one insert holds: rows as they came, and the offsets to commit once they are in."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any, Protocol

from schemas.times import parse_ms

_RECEIVED_AT = re.compile(rb'"received_at":"([^"\\]{20,32})"')
_SAMPLE = 50


class Row(Protocol):
    """A record of Kafka's that has a value, as aiokafka gives it: a row and where it stands."""

    @property
    def value(self) -> bytes:
        """The row, a line of JSON."""

    @property
    def key(self) -> bytes | None:
        """The record's key."""

    @property
    def partition(self) -> int:
        """Where it stands…"""

    @property
    def offset(self) -> int:
        """…and at which place there."""

    @property
    def timestamp(self) -> int:
        """Kafka's record time in milliseconds."""


class Batch:
    """Rows in the order of their arrival."""

    def __init__(self) -> None:
        self.rows: list[Row] = []
        self.size = 0
        #: Partition -> the offset after the last record taken.
        self.next_offsets: dict[int, int] = {}

    def add(self, records: Sequence[Any]) -> None:
        """Take aiokafka's records of one partition, one or more, in their order.

        A record without a value has no row.
        """
        last = records[-1]
        self.next_offsets[last.partition] = last.offset + 1
        rows = [record for record in records if record.value is not None]
        self.rows += rows
        self.size += sum([len(row.value) for row in rows])


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
