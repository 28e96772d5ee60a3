"""JSON lines: touchpoints as they are, with a mapping, and bodies of webhooks."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest.connector import Context, Request, Row, RowConnector
from ingest.connectors.jsonl.connector import JsonLines, JsonLinesOptions
from ingest.connectors.jsonl.contract import JsonLinesContract
from ingest.connectors.sendgrid.contract import public_key
from ingest.files.identity import identify
from ingest.intake.accept import Accepted
from ingest.intake.replay_context import ReplayContext
from ingest.kit.lines import LONGEST_LINE
from ingest.registry import Registry
from schemas.rejection import Rejection
from tests.support.files import NOW_MS, judged, reading, results, rows

WHO = [{"kind": "email", "value": "ada@example.com"}]
TOUCH = {"event_id": "e1", "channel": "web", "type": "seen", "identifiers": WHO}
MAP: dict[str, Any] = {
    "type": {"column": "what"},
    "channel": "web",
    "identifiers": {"email": "who.mail", "customer_id": "who.id"},
    "event_id": "id",
}


def written(tmp_path: Path, *lines: Any) -> Path:
    path = tmp_path / "f.jsonl"
    texts = [line if isinstance(line, str) else json.dumps(line) for line in lines]
    path.write_text("\n".join(texts) + "\n", encoding="utf-8")
    return path


class TestJsonLines(JsonLinesContract):
    pass


def test_touchpoints_need_no_mapping_and_no_id(tmp_path: Path):
    path = written(tmp_path, "\ufeff" + json.dumps(TOUCH), "", {**TOUCH, "event_id": None, "x": 1})
    file, _ = identify(path, ())
    first, second = rows(reading("jsonl"), path)
    assert (first["event_id"], second["event_id"]) == ("e1", f"{file.id}-2")
    assert json.loads(second["properties"]) == {"x": 1}


def test_columns_are_paths_and_values_keep_their_types(tmp_path: Path):
    event = {
        "id": 7,
        "what": "Plan Upgraded",
        "who": {"mail": "Ada@example.com", "id": 12, "plan": {"name": "pro", "seats": 3}},
        "a.b": "dotted",
        "sum": 1.5,
        "empty": "",
        "tags": ["x"],
    }
    mapping = {
        **MAP,
        "traits": {"seats": "who.plan.seats", "dotted": "a.b"},
        "value": "sum",
        "subject": {"column": ["what", "id"]},
    }
    (row,) = rows(reading("jsonl", map=mapping), written(tmp_path, event))
    assert (row["event_id"], row["type"]) == ("7", "plan_upgraded")
    assert row["identifiers"] == {"customer_id": ["12"], "email": ["ada@example.com"]}
    assert row["traits"] == {"seats": "3", "dotted": "dotted"}
    assert (row["value_amount"], row["subject"]) == ("1.5", "Plan Upgraded 7")
    assert json.loads(row["properties"]) == {"who": {"plan": {"name": "pro"}}, "tags": ["x"]}


def test_wrong_lines_cost_only_themselves(tmp_path: Path):
    path = written(tmp_path, TOUCH, "{", "[]", {"event_id": "e2"}, {**TOUCH, "event_id": "e3"})
    batch = next(reading("jsonl").batches(None, identify(path, ())[0]))
    assert [one.event_id for one in batch.accepted] == ["e1", "e3"]
    assert batch.details == [
        "f.jsonl:2: the body: is not JSON in UTF-8 (unreadable)",
        "f.jsonl:3: the line: must be a JSON object (unreadable)",
        "f.jsonl:4: channel: Field required; type: Field required; identifiers: Field required "
        "(invalid)",
    ]
    wrong = judged(reading("jsonl", map=MAP), written(tmp_path, {"what": "x", "who": {"id": 1}}))
    assert wrong[0].results[0].detail == "column id: is empty, and should be the event id"


def test_a_refused_line_is_read_again_by_what_is_kept_of_it(tmp_path: Path):
    (row,) = judged(reading("jsonl"), written(tmp_path, {**TOUCH, "event_id": "", "channel": 5}))
    (refused,) = row.results
    assert isinstance(refused, Rejection)
    again = ReplayContext.of(row.origins.of(refused).request).request(
        refused.payload.replace(b"5", b'"web"')
    )
    connector = Registry().create("jsonl", {})
    assert isinstance(connector, RowConnector)
    (touch,) = connector.parse(again, Context("files", NOW_MS))
    assert not isinstance(touch, Rejection)
    assert touch.event_id.endswith("-1")
    assert len(touch.event_id) == 34


def test_each_line_is_a_body_for_a_webhooks_connector(tmp_path: Path):
    event = {"event_id": "e1", "email": "ada@example.com", "timestamp": 1_764_547_200}
    lines = [[{**event, "event": "open", "sg_event_id": f"{n}-{m}"} for m in "ab"] for n in "12"]
    path = written(tmp_path, *lines, "[{]")
    it = reading("sendgrid", public_key=public_key("k"))
    found = judged(it, path)
    ids = [one.event_id for row in found for one in row.results if isinstance(one, Accepted)]
    assert ids == ["1-a", "1-b", "2-a", "2-b"]
    assert found[1].position.cursor.endswith(":2:2")
    (refused,) = found[2].results
    assert isinstance(refused, Rejection)
    origin = found[2].origins.of(refused)
    assert (origin.form, origin.connector) == ("body", "sendgrid")
    assert ReplayContext.of(origin.request).path == "/hooks/files"
    assert judged(it, path, found[0].position.cursor)[0].results == found[1].results


def test_a_line_that_is_too_long_is_refused_in_bounded_memory(tmp_path: Path):
    path = tmp_path / "f.jsonl"
    with path.open("wb") as file:
        for _ in range(30):
            file.write(b"x" * (LONGEST_LINE // 10))
        file.write(b"\n" + json.dumps(TOUCH).encode())
    first, second = results(reading("jsonl"), path)
    assert isinstance(first, Rejection)
    assert first.reason == "too_large"
    assert len(first.payload) <= LONGEST_LINE
    assert isinstance(second, Accepted)


@given(
    value=st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(
                st.sampled_from(["id", "what", "who", "mail", "x"]), inner, max_size=4
            )
        ),
        max_leaves=8,
    )
)
@pytest.mark.parametrize("mapping", [None, MAP])
def test_any_json_is_a_touch_or_a_rejection(value: Any, mapping: dict[str, Any] | None):
    options = {} if mapping is None else {"map": mapping}
    connector = JsonLines(JsonLinesOptions(**options))
    request = Request("POST", "/files/f/1", "", "", {}, json.dumps(value).encode())
    found = list(connector.parse(request, Context("files", NOW_MS)))
    assert len(found) == 1
    assert found == list(connector.parse(request, Context("files", NOW_MS)))


def test_rows_are_found_without_reading_all_of_the_file(tmp_path: Path):
    it = reading("jsonl")
    path = written(tmp_path, *[TOUCH] * 3)
    file, _ = identify(path, ())
    connector = it.source.connector
    assert isinstance(connector, RowConnector)
    first: Row = next(iter(connector.rows(None, it.context(file))))
    assert first.place == "f.jsonl:1"
