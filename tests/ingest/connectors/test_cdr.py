"""Call detail records: which way a call went, who the customer is, and what became of it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from ingest.connector import FileProblem
from ingest.connectors.cdr.connector import ALWAYS, MASTER
from ingest.connectors.cdr.contract import CdrContract
from ingest.intake.accept import Accepted
from ingest.registry import ConnectorError, Registry
from schemas.rejection import Rejection
from tests.support.files import judged, reading, results

#: As cdr_csv writes them: an incoming call, an outgoing one, one within the company.
IN = {
    "accountcode": "",
    "src": "0312345678",
    "dst": "201",
    "dcontext": "from-trunk",
    "clid": '"Yamada, Hanako" <0312345678>',
    "channel": "PJSIP/carrier-00000042",
    "dstchannel": "PJSIP/201-00000043",
    "lastapp": "Dial",
    "lastdata": "PJSIP/201,30",
    "start": "2026-11-20 09:15:00",
    "answer": "2026-11-20 09:15:08",
    "end": "2026-11-20 09:17:20",
    "duration": "140",
    "billsec": "132",
    "disposition": "ANSWERED",
    "amaflags": "DOCUMENTATION",
    "uniqueid": "1763630100.66",
    "userfield": "",
}
OUT = {
    **IN,
    "src": "201",
    "dst": "09012345678",
    "dcontext": "from-internal",
    "channel": "PJSIP/201-00000044",
    "dstchannel": "PJSIP/carrier-00000045",
    "uniqueid": "1763630200.68",
}
INTERNAL = {**OUT, "dst": "202", "dstchannel": "PJSIP/202-00000046"}


def line(record: dict[str, str], columns: tuple[str, ...] = MASTER[:18]) -> str:
    """Texts in quotes, numbers without, as append_string and append_int do."""
    numbers = ("duration", "billsec", "sequence")
    cells = [
        record.get(name, "")
        if name in numbers
        else '"{}"'.format(record.get(name, "").replace('"', '""'))
        for name in columns
    ]
    return ",".join(cells)


def read(tmp_path: Path, *lines: str, **options: Any) -> list[Any]:
    path = tmp_path / "Master.csv"
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    found = results(reading("cdr", **options), path)
    return [json.loads(one.value) if isinstance(one, Accepted) else one for one in found]


def one(tmp_path: Path, record: dict[str, str], **options: Any) -> Any:
    (found,) = read(tmp_path, line(record), **options)
    return found


class TestCdr(CdrContract):
    pass


def test_of_an_incoming_call_the_caller_is_the_customer(tmp_path: Path):
    row = one(tmp_path, IN, zone="Asia/Tokyo")
    assert (row["channel"], row["type"], row["outcome"]) == ("phone", "call_completed", "answered")
    assert row["identifiers"] == {"phone": ["+81312345678"]}
    assert row["direction"] == "inbound"
    assert (row["occurred_at"], row["duration_s"]) == ("2026-11-20T00:15:00.000Z", 132)
    assert row["event_id"] == "1763630100.66"
    properties = json.loads(row["properties"])
    assert (properties["dst"], properties["clid"]) == ("201", IN["clid"])


def test_of_an_outgoing_call_the_callee_is_the_customer(tmp_path: Path):
    row = one(tmp_path, OUT)
    assert (row["direction"], row["identifiers"]) == ("outbound", {"phone": ["+819012345678"]})
    assert row["occurred_at"] == "2026-11-20T09:15:00.000Z"


def test_calls_within_the_company_are_none_of_a_customers(tmp_path: Path):
    for dst in ("202", "s", "*97", "ivr-1"):
        found = one(tmp_path, {**INTERNAL, "dst": dst})
        assert isinstance(found, Rejection)
        assert (found.reason, found.detail) == (
            "unsupported",
            "src, dst: is a call within the company",
        )
        assert found.event_id == INTERNAL["uniqueid"]


@pytest.mark.parametrize(
    ("options", "src", "dst", "direction"),
    [
        ({}, "0312345678", "s", "inbound"),
        ({"own_numbers": ["03-9999-0000"]}, "09012345678", "0399990000", "inbound"),
        ({"own_numbers": ["0399990000"]}, "0399990000", "09012345678", "outbound"),
        ({"contexts": {"from-trunk*": "inbound"}}, "09012345678", "0399990000", "inbound"),
        ({"contexts": {"from-*": "outbound"}}, "0399990000", "09012345678", "outbound"),
        ({"trunks": ["PJSIP/carrier-"]}, "09012345678", "0399990000", "inbound"),
        ({"extensions": r"0399\d+"}, "0399990000", "09012345678", "outbound"),
        ({"extensions": r"8\d{6}"}, "0312345678", "8123456", "inbound"),
    ],
)
def test_the_way_is_told_by_context_trunk_own_numbers_or_extensions(
    tmp_path: Path, options: dict[str, Any], src: str, dst: str, direction: str
):
    row = one(tmp_path, {**IN, "src": src, "dst": dst}, **options)
    assert row["direction"] == direction
    customer = src if direction == "inbound" else dst
    assert row["lead_value"] == f"+81{customer[1:]}"


def test_an_outgoing_trunk_is_told_by_the_other_channel(tmp_path: Path):
    record = {**OUT, "src": "0399990000"}
    row = one(tmp_path, record, trunks=["PJSIP/carrier-"])
    assert (row["direction"], row["lead_value"]) == ("outbound", "+819012345678")


def test_the_first_rule_that_knows_wins(tmp_path: Path):
    rules = {"contexts": {"from-trunk": "internal"}, "trunks": ["PJSIP/carrier-"]}
    assert one(tmp_path, IN, **rules).reason == "unsupported"


def test_where_nothing_tells_the_way_it_is_said_what_would(tmp_path: Path):
    found = one(tmp_path, {**IN, "dst": "0399990000"})
    assert found.reason == "unsupported"
    assert found.detail.endswith("name own_numbers, trunks or contexts")


def test_a_withheld_number_names_no_customer(tmp_path: Path):
    for src in ("", "anonymous", "Unknown"):
        found = one(tmp_path, {**IN, "src": src})
        assert (found.reason, found.detail) == (
            "no_identifier",
            "column src: is no number of a customer",
        )


@pytest.mark.parametrize(
    ("disposition", "kind", "outcome"),
    [
        ("ANSWERED", "call_completed", "answered"),
        ("NO ANSWER", "call_missed", "no_answer"),
        ("BUSY", "call_missed", "busy"),
        ("FAILED", "call_missed", "failed"),
        ("CONGESTION", "call_missed", "failed"),
        ("8", "call_completed", "answered"),
        ("4", "call_missed", "busy"),
        ("Parked", "cdr_call_parked", "parked"),
    ],
)
def test_the_disposition_is_the_outcome(tmp_path: Path, disposition: str, kind: str, outcome: str):
    row = one(tmp_path, {**IN, "disposition": disposition, "answer": "", "billsec": "0"})
    assert (row["type"], row["outcome"]) == (kind, outcome)


def test_records_of_one_call_are_told_apart_by_their_sequence(tmp_path: Path):
    more = {**IN, "peeraccount": "", "linkedid": "1763630100.66"}
    rows = read(
        tmp_path, *(line({**more, "sequence": n}, MASTER) for n in ("7", "8")), zone="Asia/Tokyo"
    )
    assert [row["event_id"] for row in rows] == ["1763630100.66-7", "1763630100.66-8"]


def test_a_master_file_without_ids_names_calls_by_file_and_row(tmp_path: Path):
    rows = read(tmp_path, line(IN, ALWAYS), line(IN, ALWAYS))
    ids = [row["event_id"] for row in rows]
    assert [one.rpartition("-")[2] for one in ids] == ["1", "2"]


def test_columns_of_cdr_custom_and_files_with_a_header(tmp_path: Path):
    custom = ("clid", "src", "dst", "start", "billsec", "disposition", "uniqueid", "sequence")
    record = {**IN, "start": "1763597700", "billsec": "132.41", "sequence": "9"}
    (row,) = read(tmp_path, line(record, custom), columns=custom, format="unix")
    assert (row["duration_s"], row["occurred_at"]) == (132.41, "2025-11-20T00:15:00.000Z")
    database = ("calldate", "src", "dst", "disposition", "uniqueid")
    header = ",".join(database)
    record = {**IN, "calldate": "2026-11-20 09:15:00"}
    (row,) = read(tmp_path, header, line(record, database), header=True)
    assert row["occurred_at"] == "2026-11-20T09:15:00.000Z"
    with pytest.raises(FileProblem, match="there is no column disposition"):
        read(tmp_path, "src,dst,start", "1,2,3", header=True)


@pytest.mark.parametrize(
    ("record", "said"),
    [
        ({**IN, "start": "yesterday"}, "column start: must be an ISO 8601 time"),
        ({**IN, "start": ""}, "column start: is empty, and should be the time"),
        ({**IN, "billsec": "long"}, "column billsec: Input should be a valid number"),
        ({**IN, "disposition": ""}, "column disposition: is empty"),
    ],
)
def test_a_wrong_record_is_said_by_its_column(tmp_path: Path, record: dict[str, str], said: str):
    found = one(tmp_path, record)
    assert isinstance(found, Rejection)
    assert found.detail.startswith(said)


def test_a_short_row_is_refused(tmp_path: Path):
    (found,) = read(tmp_path, line(IN, ALWAYS[:15]))
    assert found.detail == "the row: has 15 cells, and there are 21 columns"


def test_a_growing_master_file_goes_on(tmp_path: Path):
    path = tmp_path / "Master.csv"
    path.write_text(line(IN) + "\n")
    (first,) = judged(reading("cdr"), path)
    path.write_text(line(IN) + "\n" + line(OUT) + "\n")
    (second,) = judged(reading("cdr"), path, first.position.cursor)
    assert second.place == "Master.csv:2"
    (touch,) = second.results
    assert isinstance(touch, Accepted)
    assert touch.event_id == OUT["uniqueid"]


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"columns": ["src", "dst"]}, "columns: must have disposition, start"),
        ({"zone": "Mars/Base"}, "zone: must be the name of a time zone"),
        ({"format": "%H"}, "format: must be unix"),
        ({"extensions": "("}, "extensions: must be a regular expression"),
        ({"contexts": {"x": "sideways"}}, "contexts.x: Input should be 'inbound'"),
    ],
)
def test_a_wrong_configuration_says_what_was_expected(options: dict[str, Any], said: str):
    with pytest.raises(ConnectorError) as problem:
        Registry().create("cdr", options)
    assert said in str(problem.value)
