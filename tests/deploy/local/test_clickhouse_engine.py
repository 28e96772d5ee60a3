"""Taking an INSERT apart from its data."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deploy.local.clickhouse_engine import Engine, EngineUnavailable, Insert, split_insert


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            b'INSERT INTO t FORMAT JSONEachRow\n{"a":1}\n\n\nSELECT 1',
            Insert("INSERT INTO t ", "JSONEachRow", b'{"a":1}\n\n\nSELECT 1'),
        ),
        (
            b"insert into `FORMAT x`.t (`VALUES`, a) settings x = 'FORMAT CSV' format TSV\r\n1\t2",
            Insert(
                "insert into `FORMAT x`.t (`VALUES`, a) ",
                "TSV",
                b"1\t2",
                "settings x = 'FORMAT CSV' ",
            ),
        ),
        (b"INSERT INTO t VALUES (1), (2)", Insert("INSERT INTO t ", "Values", b" (1), (2)")),
        (
            b"-- FORMAT\n/* VALUES */ INSERT INTO t FORMAT Native \n\nx",
            Insert("-- FORMAT\n/* VALUES */ INSERT INTO t ", "Native", b"\nx"),
        ),
        (
            b"INSERT INTO settings (settings) SETTINGS a = 1, b = 2 VALUES (1)",
            Insert("INSERT INTO settings (settings) ", "Values", b" (1)", "SETTINGS a = 1, b = 2 "),
        ),
        (b"INSERT INTO t (a)", Insert("INSERT INTO t (a)", "TabSeparated", b"")),
        (b"INSERT INTO t SELECT 1 FORMAT JSON", None),
        (b"INSERT INTO t (a) WITH 1 AS x SELECT x", None),
        (b"SELECT 'INSERT INTO t VALUES (1)'", None),
        (b"", None),
    ],
)
def test_an_insert_is_taken_apart(text: bytes, expected: Insert | None):
    assert split_insert(text, "TabSeparated") == expected


@given(st.binary())
def test_data_is_never_read_as_a_statement(data: bytes):
    text = b"INSERT INTO t (a) FORMAT RowBinary\n" + data
    assert split_insert(text, "TabSeparated") == Insert("INSERT INTO t (a) ", "RowBinary", data)


def test_a_folder_that_chdb_would_misread_is_refused(tmp_path: Path):
    with pytest.raises(EngineUnavailable, match="must not have a"):
        Engine(tmp_path / "what?mode=ro")
    assert list(tmp_path.iterdir()) == []
