"""The sample purchases: complete, shifted, and nothing else changed."""

from __future__ import annotations

import csv
import gzip
import io
from collections import defaultdict
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from importlib import resources
from itertools import pairwise

from deploy.demo import cdnow
from schemas.times import from_ms, to_ms

TODAY = date(2026, 11, 22)


def raw_rows() -> list[list[str]]:
    packed = (resources.files("deploy.demo") / "data" / cdnow.FILE).read_bytes()
    return list(csv.reader(io.StringIO(gzip.decompress(packed).decode())))[1:]


def gaps(moments: list[datetime]) -> list[timedelta]:
    return [later - earlier for earlier, later in pairwise(moments)]


def test_totals_are_those_of_the_data_set_to_the_cent() -> None:
    assert cdnow.totals(cdnow.purchases(TODAY)) == (69_659, 23_570, Decimal("2500315.63"))


def test_the_last_purchase_is_yesterday_and_gaps_are_unchanged() -> None:
    rows = cdnow.purchases(TODAY)
    assert max(from_ms(row.at_ms).date() for row in rows) == date(2026, 11, 21)
    assert max(row.at_ms for row in rows) < to_ms(datetime(2026, 11, 22, tzinfo=UTC))
    shifted, original = defaultdict(list), defaultdict(list)
    for row, (customer, day, _, _) in zip(rows, raw_rows(), strict=True):
        shifted[customer].append(from_ms(row.at_ms))
        original[customer].append(datetime.fromisoformat(day))
    for customer, moments in original.items():
        assert gaps(moments) == gaps(shifted[customer])


def test_amounts_and_order_are_those_of_the_file_and_ids_are_distinct() -> None:
    rows = cdnow.purchases(TODAY)
    assert [(r.customer_id, r.cds, r.dollars) for r in rows] == [
        (customer, int(cds), Decimal(dollars)) for customer, _, cds, dollars in raw_rows()
    ]
    assert len({row.event_id for row in rows}) == len(rows)


def test_a_later_day_only_moves_the_purchases() -> None:
    one, other = cdnow.purchases(TODAY), cdnow.purchases(TODAY + timedelta(days=3))
    assert {from_ms(b.at_ms) - from_ms(a.at_ms) for a, b in zip(one, other, strict=True)} == {
        timedelta(days=3)
    }
