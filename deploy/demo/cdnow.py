"""The sample purchases, shifted to the present.

Dates are shifted so that the last day of the file is the day before `today`; amounts and the days
between two purchases are unchanged. The file has dates without times: each customer gets one time
of day, derived from the customer's id, so that the gaps are unchanged in seconds too.
"""

from __future__ import annotations

import csv
import gzip
import io
import zlib
from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from importlib import resources
from typing import NamedTuple

from schemas.times import DAY_MS, SECOND_MS, to_ms

FILE = "cdnow.csv.gz"
CURRENCY = "USD"


class Purchase(NamedTuple):
    """One row of the file: its number (from 1), customer, time (ms UTC), CDs, dollars."""

    row: int
    customer_id: str
    at_ms: int
    cds: int
    dollars: Decimal

    @property
    def event_id(self) -> str:
        """The event id, made of file and row number: equal rows may be different purchases."""
        return f"cdnow:{self.row:05d}"


class Totals(NamedTuple):
    """Totals of the file."""

    purchases: int
    customers: int
    dollars: Decimal


def purchases(today: date) -> list[Purchase]:
    """Return all purchases in the file's order; the last day is the day before `today` (UTC)."""
    packed = (resources.files("deploy.demo") / "data" / FILE).read_bytes()
    rows = list(csv.reader(io.StringIO(gzip.decompress(packed).decode("ascii"))))[1:]
    days = [_day(day) for _, day, _, _ in rows]
    shift = today - timedelta(days=1) - max(days)
    starts = {day: _midnight_ms(day + shift) for day in set(days)}
    return [
        Purchase(
            number, customer, starts[day] + time_of_day_ms(customer), int(cds), Decimal(dollars)
        )
        for number, ((customer, _, cds, dollars), day) in enumerate(
            zip(rows, days, strict=True), start=1
        )
    ]


def totals(rows: Sequence[Purchase]) -> Totals:
    """Return the number of purchases, of customers, and the dollars of these rows."""
    return Totals(
        len(rows),
        len({row.customer_id for row in rows}),
        sum((row.dollars for row in rows), Decimal(0)),
    )


def time_of_day_ms(customer_id: str) -> int:
    """Return the customer's time of day, ms after midnight: the same on every day."""
    return zlib.crc32(customer_id.encode()) % (DAY_MS // SECOND_MS) * SECOND_MS


def _day(text: str) -> date:
    return date(int(text[:4]), int(text[4:6]), int(text[6:]))


def _midnight_ms(day: date) -> int:
    return to_ms(datetime(day.year, day.month, day.day, tzinfo=UTC))
