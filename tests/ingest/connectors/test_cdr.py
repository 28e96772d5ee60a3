"""Call detail records: which way a call went, who the customer is, and what became of it."""

from __future__ import annotations

import json
from itertools import permutations
from pathlib import Path
from typing import Any

import pytest

from ingest.connector import FileProblem, original
from ingest.connectors.cdr import calls
from ingest.connectors.cdr.connector import ALWAYS, MASTER, Cdr
from ingest.connectors.cdr.contract import CdrContract
from ingest.files.identity import identify
from ingest.intake.accept import Accepted
from ingest.registry import ConnectorError, Registry
from schemas.rejection import Rejection
from schemas.touchpoint import Touchpoint
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


@pytest.mark.parametrize("own", ["+81 3-9999-0000", "0081399990000", "+81399990000"])
def test_an_own_number_is_the_companys_in_every_international_writing(tmp_path: Path, own: str):
    for written in ("+81399990000", "+81 (3) 9999-0000", "0081399990000"):
        record = {**IN, "src": "09012345678", "dst": written}
        row = one(tmp_path, record, own_numbers=[own])
        assert (row["direction"], row["lead_value"]) == ("inbound", "+819012345678")


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


# Calls of several records

LEG = {**IN, "peeraccount": "", "linkedid": "1763630100.66"}


def leg(outcome: str, number: int, **more: str) -> dict[str, str]:
    answered = outcome in ("ANSWERED", "voicemail")
    changed = {
        "start": f"2026-11-20 09:15:{number:02}",
        "disposition": "ANSWERED" if answered else outcome,
        "lastapp": "VoiceMail" if outcome == "voicemail" else "Queue",
        "billsec": "30" if answered else "0",
        "uniqueid": f"1763630100.{66 + number}",
        "sequence": str(7 + number),
    }
    return {**LEG, **changed, **more}


@pytest.mark.parametrize(
    ("outcomes", "best"),
    [
        (["NO ANSWER", "ANSWERED", "BUSY"], "answered"),
        (["NO ANSWER", "voicemail", "BUSY"], "voicemail"),
        (["voicemail", "ANSWERED"], "answered"),
        (["NO ANSWER", "BUSY"], "busy"),
        (["FAILED", "NO ANSWER"], "no_answer"),
        (["Parked", "CONGESTION"], "failed"),
    ],
)
def test_the_legs_of_a_call_are_one_touch_whatever_their_order(
    tmp_path: Path, outcomes: list[str], best: str
):
    legs = [leg(outcome, number) for number, outcome in enumerate(outcomes)]
    for order in permutations(legs):
        between = line({**OUT, "peeraccount": "", "linkedid": OUT["uniqueid"]}, MASTER)
        lines = [text for one in order for text in (line(one, MASTER), between)]
        first, second = sorted(
            read(tmp_path, *lines, zone="Asia/Tokyo"), key=lambda row: row["event_id"]
        )
        assert (first["outcome"], first["event_id"]) == (best, "1763630100.66-7")
        assert first["type"] == ("call_completed" if best == "answered" else "call_missed")
        assert first["occurred_at"] == "2026-11-20T00:15:00.000Z"
        assert first.get("duration_s", 0) == (30 if best == "answered" else 0)
        assert second["event_id"] == OUT["uniqueid"]


def test_without_linkedid_the_uniqueid_tells_the_call(tmp_path: Path):
    missed = {**IN, "disposition": "NO ANSWER", "billsec": "0"}
    for lines in ([missed, IN], [IN, missed]):
        (row,) = read(tmp_path, *map(line, lines))
        assert (row["outcome"], row["event_id"]) == ("answered", IN["uniqueid"])


def test_a_column_may_be_named_that_tells_the_call(tmp_path: Path):
    columns = ("src", "dst", "disposition", "start", "callid")
    rows = [{**IN, "disposition": "BUSY", "callid": "a"}, {**IN, "callid": "a"}]
    named = {"columns": columns, "call_column": "callid"}
    (row,) = read(tmp_path, *(line(row, columns) for row in rows), **named)
    assert row["outcome"] == "answered"
    rows[1]["callid"] = "b"
    assert len(read(tmp_path, *(line(row, columns) for row in rows), **named)) == 2


def test_a_leg_within_the_company_is_a_part_of_the_call(tmp_path: Path):
    within = {**INTERNAL, "peeraccount": "", "linkedid": LEG["linkedid"], "sequence": "9"}
    withheld = leg("ANSWERED", 2, src="anonymous")
    for order in permutations(
        [line(one, MASTER) for one in (leg("ANSWERED", 0), within, withheld)]
    ):
        (row,) = read(tmp_path, *order)
        assert row["lead_value"] == "+81312345678"
    (refused,) = read(tmp_path, line(within, MASTER), line({**within, "sequence": "10"}, MASTER))
    assert refused.reason == "unsupported"


def test_a_wrong_leg_is_refused_and_costs_no_other(tmp_path: Path):
    wrong = leg("BUSY", 1, billsec="long")
    row, refused = read(tmp_path, *(line(one, MASTER) for one in (wrong, leg("ANSWERED", 0))))
    assert (row["outcome"], refused.reason) == ("answered", "invalid")


def test_two_customers_of_a_conference_are_two_touches(tmp_path: Path):
    other = leg("ANSWERED", 1, src="0398765432")
    rows = read(tmp_path, line(leg("BUSY", 0), MASTER), line(other, MASTER))
    assert {row["lead_value"]: row["outcome"] for row in rows} == {
        "+81312345678": "busy",
        "+81398765432": "answered",
    }


def test_records_with_one_id_by_mistake_stay_apart(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(calls, "MOST_LEGS", 3)
    rows = read(tmp_path, *(line(leg("ANSWERED", number), MASTER) for number in range(4)))
    assert len({row["event_id"] for row in rows}) == 4


def test_an_import_goes_on_within_a_call(tmp_path: Path):
    path = tmp_path / "Master.csv"
    legs = [leg("NO ANSWER", 0), OUT, leg("ANSWERED", 1), {**OUT, "uniqueid": "1763630300.70"}]
    path.write_text("".join(line(one, MASTER) + "\n" for one in legs))
    whole = judged(reading("cdr"), path)
    assert [row.place for row in whole] == ["Master.csv:2", "Master.csv:3", "Master.csv:4"]
    for number, row in enumerate(whole):
        rest = judged(reading("cdr"), path, row.position.cursor)
        assert [one.results for one in rest] == [one.results for one in whole[number + 1 :]]


def test_a_leg_that_comes_later_changes_no_id(tmp_path: Path):
    path = tmp_path / "Master.csv"
    path.write_text(line(leg("NO ANSWER", 0), MASTER) + "\n")
    (first,) = judged(reading("cdr"), path)
    with path.open("a") as file:
        file.write(line(leg("ANSWERED", 1), MASTER) + "\n")
    (second,) = judged(reading("cdr"), path, first.position.cursor)
    ids = [one.event_id for row in (first, second) for one in row.results]
    assert ids == ["1763630100.66-7", "1763630100.66-7"]


def test_a_refused_call_can_be_read_again_by_its_bytes(tmp_path: Path):
    path = tmp_path / "Master.csv"
    header = ",".join(MASTER) + "\n"
    path.write_text(header + "".join(line(leg("BUSY", n), MASTER) + "\n" for n in (0, 1)))
    it = reading("cdr", header=True)
    connector = it.source.connector
    assert isinstance(connector, Cdr)
    context = it.context(identify(path, ())[0])
    (row,) = connector.rows(None, context)
    (touch,) = connector.parse(row.request, context)
    assert isinstance(touch, Touchpoint)
    assert touch.event_id == "1763630100.66-7"
    around = b"".join((connector.around(row.request) or (b"", b""))[:1])
    assert around + original(touch) == row.request.body


def test_a_message_left_with_a_machine_is_a_missed_call(tmp_path: Path):
    row = one(tmp_path, {**IN, "lastapp": "VoiceMail"})
    assert (row["type"], row["outcome"]) == ("call_missed", "voicemail")
    assert "duration_s" not in row
    assert json.loads(row["properties"])["billsec"] == "132"


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
