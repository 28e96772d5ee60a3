"""The number of records of an atomic stage that are decided at once."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from processors.engine.packing import MAX_BATCH_BYTES, fitting


def rows(records: int, size: int) -> dict[bytes, bytes]:
    """The rows of some records, each of one row of this size."""
    return {b"%06d" % number: bytes(size) for number in range(records)}


@given(records=st.integers(1, 300), size=st.integers(100, 20_000))
def test_so_many_more_records_of_the_same_kind_give_rows_for_one_record_batch(records, size):
    found = fitting(records, rows(records, size))
    assert found >= 1
    assert found * (6 + size) < MAX_BATCH_BYTES
    assert (found + 1) * (6 + size + 64) > 0.7 * MAX_BATCH_BYTES


def test_records_that_changed_nothing_say_nothing_of_others():
    assert fitting(10, {}) > 1_000_000
