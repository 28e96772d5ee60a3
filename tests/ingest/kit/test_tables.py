"""CSV as bytes: records cut out of any bytes, and the encodings in which that is possible."""

from __future__ import annotations

import csv
import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest.kit.tables import Dialect, encoding_name, records

#: Without those that Shift_JIS writes like another character.
CELLS = st.text(st.characters(codec="cp932", exclude_characters="\0¢£¬‖−〜"), max_size=12)


@given(
    table=st.lists(st.lists(CELLS, min_size=2, max_size=4), min_size=1, max_size=6),
    end=st.sampled_from(["\n", "\r\n"]),
)
def test_records_are_those_of_pythons_csv_whatever_is_in_the_cells(
    table: list[list[str]], end: str
):
    text = io.StringIO(newline="")
    csv.writer(text, lineterminator=end, quoting=csv.QUOTE_ALL).writerows(table)
    data = text.getvalue().encode("cp932")
    dialect = Dialect("cp932")
    found = list(records(io.BytesIO(data), len(data), dialect))
    assert b"".join(record.data for record in found) == data
    assert [dialect.cells(record.data)[0] for record in found] == table
    assert found[-1].lines == data.count(b"\n")


@given(data=st.binary(max_size=300))
def test_any_bytes_are_taken_apart_without_an_exception(data: bytes):
    found = list(records(io.BytesIO(data), len(data), Dialect(), longest=60))
    ends = [record.end for record in found]
    assert ends == sorted(ends)
    if data:
        assert ends[-1] == len(data)


@pytest.mark.parametrize(
    "name", ["utf-16", "utf-16le", "utf-7", "iso2022_jp", "hz", "nothing", "hex", "utf_32", "cp500"]
)
def test_encodings_in_which_a_quote_may_be_part_of_a_character_are_refused(name: str):
    with pytest.raises(ValueError, match="must be utf-8"):
        encoding_name(name)
