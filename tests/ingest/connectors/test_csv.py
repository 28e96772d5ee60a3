"""CSV files: cutting records out of bytes, mapping their columns, and saying what is wrong."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from ingest.connector import Context, FileProblem
from ingest.connectors.csv.connector import CsvFile
from ingest.connectors.csv.contract import CsvContract
from ingest.files.identity import identify
from ingest.intake.accept import Accepted
from ingest.intake.replay_context import ReplayContext
from ingest.registry import ConnectorError, Registry
from schemas.rejection import Rejection
from tests.support.files import NOW_MS, judged, reading, results, rows

MAP: dict[str, Any] = {
    "type": "order_completed",
    "channel": "store",
    "identifiers": {"email": "mail", "phone": ["tel", "mobile"]},
    "value": "total",
}
HEADER = "mail,tel,mobile,total,note\n"


def written(tmp_path: Path, text: str | bytes, name: str = "f.csv", **how: Any) -> Path:
    path = tmp_path / name
    path.write_bytes(text if isinstance(text, bytes) else text.encode(**how))
    return path


def one(tmp_path: Path, line: str, **changes: Any) -> Any:
    """The row that a line becomes, or its rejection."""
    path = written(tmp_path, HEADER + line + "\n")
    (found,) = results(reading("csv", map={**MAP, **changes}), path)
    return json.loads(found.value) if isinstance(found, Accepted) else found


class TestCsv(CsvContract):
    pass


def test_a_row_becomes_a_touch_and_what_is_not_mapped_a_property(tmp_path: Path):
    row = one(tmp_path, 'Ada@Example.com,03-1234-5678,,12.5,"a ""note"", and more"')
    assert row["identifiers"] == {"email": ["ada@example.com"], "phone": ["+81312345678"]}
    assert (row["type"], row["channel"]) == ("order_completed", "store")
    assert (row["value_amount"], row["value_currency"]) == ("12.5", "JPY")
    assert json.loads(row["properties"]) == {"note": 'a "note", and more'}


def test_rows_are_named_by_file_and_number_so_equal_rows_are_different_purchases(tmp_path: Path):
    path = written(tmp_path, HEADER + "a@example.com,,,1,\n" * 3)
    file, _ = identify(path, ())
    found = rows(reading("csv", map=MAP), path)
    assert [row["event_id"] for row in found] == [f"{file.id}-{n}" for n in (1, 2, 3)]
    other = written(tmp_path, HEADER + "a@example.com,,,1,\n" * 4, "g.csv")
    assert not {r["event_id"] for r in found} & {
        r["event_id"] for r in rows(reading("csv", map=MAP), other)
    }


@pytest.mark.parametrize(
    ("how", "named"),
    [
        ({"encoding": "utf-8"}, "utf-8"),
        ({"encoding": "utf-8-sig"}, "utf-8"),
        ({"encoding": "utf-8-sig"}, "utf-8-sig"),
        ({"encoding": "cp932"}, "cp932"),
        ({"encoding": "cp932"}, "Shift_JIS"),
        ({"encoding": "euc_jp"}, "euc-jp"),
    ],
)
def test_encodings_with_quoted_line_ends_and_japanese_headers(
    tmp_path: Path, how: dict[str, str], named: str
):
    # The second byte of ポ and ソ in Shift_JIS is | and \.
    text = '会員,品名|\r\nL-1,"ポソ能\r\n表①"|\r\n' if how["encoding"] == "cp932" else ""
    text = text or '会員,品名|\r\nL-1,"ポソ能\r\n表高"|\r\n'
    path = written(tmp_path, text.replace("|", ""), **how)
    mapping = {**MAP, "identifiers": {"loyalty_id": "会員"}, "value": {"amount": {"value": "1"}}}
    (row,) = rows(reading("csv", map=mapping, encoding=named), path)
    expected = text.split('"')[1]
    assert json.loads(row["properties"]) == {"品名": expected}
    assert row["lead_value"] == "L-1"


def test_delimiters_and_files_without_a_header(tmp_path: Path):
    mapping = {**MAP, "identifiers": {"email": "1"}, "value": "2"}
    for delimiter, word in ((";", ";"), ("\t", "tab"), ("|", "|")):
        path = written(tmp_path, f"a@example.com{delimiter}5{delimiter}x\n")
        it = reading("csv", map=mapping, header=False, delimiter=word)
        (row,) = rows(it, path)
        assert json.loads(row["properties"]) == {"3": "x"}
    names = ["mail", "total", "what"]
    it = reading("csv", map={**MAP, "identifiers": {"email": "mail"}}, header=names, delimiter="|")
    (row,) = rows(it, path)
    assert json.loads(row["properties"]) == {"what": "x"}


def test_times_in_formats_zones_and_two_columns(tmp_path: Path):
    def at(cell: str, **how: Any) -> str:
        mapping = {**MAP, "occurred_at": {"column": "note", **how}}
        row = one(tmp_path, f'a@example.com,,,1,"{cell}"', **mapping)
        return row["occurred_at"] if isinstance(row, dict) else row.detail

    assert at("2026-11-01T10:00:00+09:00") == "2026-11-01T01:00:00.000Z"
    assert at("2026-11-01 10:00", zone="Asia/Tokyo") == "2026-11-01T01:00:00.000Z"
    assert at("2026-11-01") == "2026-11-01T00:00:00.000Z"
    assert at("01.11.26 10:00", format="%d.%m.%y %H:%M") == "2026-11-01T10:00:00.000Z"
    assert at("1764547200", format="unix") == "2025-12-01T00:00:00.000Z"
    assert at("1764547200000", format="unix_ms") == "2025-12-01T00:00:00.000Z"
    assert at("", optional=True) == "2026-11-20T08:00:00.000Z"
    assert at("2001-02-03") == "2001-02-03T00:00:00.000Z", "however long ago"
    for wrong in ("1 November", "2026-13-01", "1764547200", ""):
        assert at(wrong).startswith("column note: "), wrong
        assert not wrong or wrong not in at(wrong)
    assert (
        at("9e99", format="unix") == "column note: must be seconds since 1970, up to the year 2100"
    )
    assert at("2101-01-01") == "occurred_at: the year must be from 1970 to 2100"


def test_values_are_translated_and_types_from_a_column_are_snake_case(tmp_path: Path):
    kinds = {"column": "note", "values": {"S": "order_completed", "R": "order_refunded"}}
    assert one(tmp_path, "a@example.com,,,1,R", type=kinds)["type"] == "order_refunded"
    assert one(tmp_path, "a@example.com,,,1,Gift Card", type=kinds)["type"] == "gift_card"
    other = {**kinds, "default": "order_placed"}
    assert one(tmp_path, "a@example.com,,,1,Gift Card", type=other)["type"] == "order_placed"
    assert one(tmp_path, "a@example.com,,,1,", type=other)["type"] == "order_placed"
    missing = one(tmp_path, "a@example.com,,,1,", type=kinds)
    assert (missing.reason, missing.detail) == ("invalid", "column note: Field required")


def test_amounts_consent_traits_and_campaign(tmp_path: Path):
    row = one(
        tmp_path,
        'a@example.com,,yes,"1.234,50",spring',
        value={"amount": "total", "currency": "EUR", "decimal": ",", "thousands": "."},
        consent={"marketing": "mobile"},
        traits={"wave": "note", "kind": {"value": "b2b"}},
        campaign={"name": "note"},
        identifiers={"email": "mail"},
        direction="outbound",
        properties=[],
    )
    assert (row["value_amount"], row["value_currency"]) == ("1234.5", "EUR")
    assert row["consent"] == {"marketing": True}
    assert row["traits"] == {"wave": "spring", "kind": "b2b"}
    assert (row["campaign_name"], row["direction"]) == ("spring", "outbound")
    assert row.get("properties", "{}") == "{}"
    wrong = one(tmp_path, "a@example.com,,,1 apple,", consent={"marketing": "note"})
    assert wrong.detail == "column total: must be a number"
    wrong = one(tmp_path, "a@example.com,,,1,maybe", consent={"marketing": "note"})
    assert wrong.detail.startswith("column note: is none of the words for consent")
    own = {"column": "note", "given": ["ja"], "refused": ["nein"]}
    assert one(tmp_path, "a@example.com,,,1,NEIN", consent={"m": own})["consent"] == {"m": False}


def test_a_wrong_row_costs_only_itself_and_is_named_by_file_line_and_column(tmp_path: Path):
    lines = [
        'a@example.com,,,1,"two',  # lines 2 and 3
        'lines"',
        ",,,2,nobody",  # 4
        "b@example.com,,,much,",  # 5
        "",  # 6
        "c@example.com,,3",  # 7
        "d@example.com,,,4,x,y",  # 8
        'e@example.com,,,5,"x"y',  # 9
        "f@example.com,,,6,x,,",  # 10: empty cells behind
        ",,,,",  # 11: a row of empty cells
        'g@example.com,,,7,"open',  # 12
        "h@example.com,,,8,",  # 13
    ]
    path = written(tmp_path, HEADER + "\n".join(lines) + "\n")
    it = reading("csv", map=MAP)
    batch = next(it.batches(None, identify(path, ())[0]))
    assert [json.loads(row.value)["lead_value"][0] for row in batch.accepted] == ["a", "f", "h"]
    assert batch.details == [
        "f.csv:4: column mail, column tel, column mobile: names no customer (no_identifier)",
        "f.csv:5: column total: must be a number (invalid)",
        "f.csv:7: the row: has 3 cells, and there are 5 columns (invalid)",
        "f.csv:8: the row: has 6 cells, and there are 5 columns (invalid)",
        "f.csv:9: the row: is not CSV: ',' expected after '\"' (unreadable)",
        "f.csv:12: the row: a quote is not closed within 1048576 bytes (unreadable)",
    ]


def test_bytes_that_are_no_text_are_refused_with_their_row(tmp_path: Path):
    path = written(tmp_path, HEADER.encode() + b"a@example.com,,,1,\xff\nb@example.com,,,1,\n")
    found = results(reading("csv", map=MAP), path)
    assert isinstance(found[0], Rejection)
    assert (found[0].reason, found[0].detail) == ("unreadable", "the row: is no text in utf-8")
    assert found[0].payload == b"a@example.com,,,1,\xff\n"
    assert isinstance(found[1], Accepted)


def test_what_is_refused_is_read_again_by_what_is_kept_of_it(tmp_path: Path):
    """A replay reads it with a mapping that is mended; header and row are Shift_JIS."""
    path = written(tmp_path, "会員,時刻\r\nL-1,昨日\r\nL-2,2026-11-01\r\n", encoding="cp932")
    mapping = {**MAP, "identifiers": {"loyalty_id": "会員"}, "occurred_at": "時刻"}
    del mapping["value"]
    it = reading("csv", map=mapping, encoding="cp932")
    first, second = judged(it, path)
    (refused,) = first.results
    assert isinstance(refused, Rejection)
    origin = first.origins.of(refused)
    assert origin.form == "event"
    assert refused.payload == "L-1,昨日\r\n".encode("cp932")
    again = ReplayContext.of(origin.request).request(refused.payload)
    del mapping["occurred_at"]
    mended = Registry().create("csv", {"map": mapping, "encoding": "cp932"})
    assert isinstance(mended, CsvFile)
    (touch,) = mended.parse(again, Context("files", NOW_MS))
    assert not isinstance(touch, Rejection)
    (good,) = second.results
    assert isinstance(good, Accepted)
    assert touch.event_id.rpartition("-")[2] == "1"
    assert touch.event_id.rpartition("-")[0] == good.event_id.rpartition("-")[0]
    assert touch.properties == {"時刻": "昨日"}


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"mail,tel,total\n", "f.csv:1: there is no column mobile; it has: mail, tel, total"),
        (b"mail,mail,tel,mobile,total\n", "f.csv:1: there are two columns mail"),
        (b"mail,tel,mobile,total\rx,,,1\r", "f.csv:1: lines end with CR alone"),
        (b'mail,"tel\n', "f.csv:1: a quote is not closed"),
        ("会員\n".encode("cp932"), "f.csv:1: is no text in utf-8"),
    ],
)
def test_a_file_that_does_not_fit_its_mapping_ends_before_anything_is_read(
    tmp_path: Path, content: bytes, said: str
):
    with pytest.raises(FileProblem) as problem:
        judged(reading("csv", map=MAP), written(tmp_path, content))
    assert str(problem.value).startswith(said)


def test_an_empty_file_or_one_with_a_header_alone_has_no_rows(tmp_path: Path):
    for content in (b"", b"\xef\xbb\xbf", HEADER.encode(), HEADER.encode() + b"\r\n\r\n"):
        assert not judged(reading("csv", map=MAP), written(tmp_path, content))


def test_it_goes_on_behind_each_row_with_the_same_numbers_and_lines(tmp_path: Path):
    text = HEADER + 'a@example.com,,,1,"x\ny"\n\nb@example.com,,,x,\nc@example.com,,,3,'
    it, path = reading("csv", map=MAP), written(tmp_path, text)
    whole = judged(it, path)
    for number, row in enumerate(whole, 1):
        rest = judged(it, path, row.position.cursor)
        assert [(r.place, r.results) for r in rest] == [
            (r.place, r.results) for r in whole[number:]
        ]
    assert whole[-1].position.progress == 1


def test_a_last_line_that_was_not_complete_is_said_and_one_that_was_goes_on(tmp_path: Path):
    it, path = reading("csv", map=MAP), written(tmp_path, HEADER + "a@example.com,,,1,")
    (row,) = judged(it, path)
    written(tmp_path, HEADER + "a@example.com,,,1,\nb@example.com,,,2,\n")
    (more,) = judged(it, path, row.position.cursor)
    assert more.place == "f.csv:3"
    written(tmp_path, HEADER + "a@example.com,,,1,more\n")
    with pytest.raises(FileProblem, match="2: was imported before it was complete"):
        judged(it, path, row.position.cursor)


def test_a_line_without_end_is_refused_in_bounded_memory(tmp_path: Path):
    path = tmp_path / "f.csv"
    with path.open("wb") as file:
        file.write(HEADER.encode())
        for _ in range(40):
            file.write(b"x" * 100_000)
        file.write(b"\na@example.com,,,1,\n")
    first, second = results(reading("csv", map=MAP), path)
    assert isinstance(first, Rejection)
    assert first.reason == "too_large"
    assert len(first.payload) < 1_100_000
    assert isinstance(second, Accepted)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({}, "map is missing"),
        ({"map": {**MAP, "typ": "x"}}, "typ: is no part of a mapping, expected event_id"),
        ({"map": {"type": "x", "channel": "y"}}, "identifiers: is missing"),
        ({"map": {**MAP, "identifiers": {}}}, "identifiers: at least one kind"),
        ({"map": {**MAP, "identifiers": {"E-Mail": "m"}}}, "identifiers: a kind is a word"),
        ({"map": {**MAP, "traits": {"x": 1}}}, "traits.x: must be a column"),
        ({"map": {**MAP, "traits": {"x": {}}}}, "traits.x: needs either a column or a value"),
        ({"map": {**MAP, "consent": {"m": {"column": "x", "given": True}}}}, "consent.m.given: "),
        ({"map": {**MAP, "occurred_at": {"column": "x", "format": "%H:%M"}}}, "occurred_at.format"),
        ({"map": {**MAP, "occurred_at": {"column": "x", "zone": "JST+9"}}}, "occurred_at.zone"),
        ({"map": {**MAP, "value": {"currency": "EUR"}}}, "value.amount: is missing"),
        ({"map": MAP, "encoding": "utf-16"}, "encoding: must be utf-8, cp932"),
        ({"map": MAP, "delimiter": ",,"}, "delimiter: must be one character"),
        ({"map": MAP, "sheet": 1}, "sheet is no option of this connector"),
    ],
)
def test_a_wrong_configuration_says_which_part_and_what_was_expected(
    options: dict[str, Any], said: str
):
    with pytest.raises(ConnectorError) as problem:
        Registry().create("csv", options)
    assert said in str(problem.value)
