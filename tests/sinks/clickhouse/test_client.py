"""Errors of ClickHouse, told apart; and what a batch is."""

from __future__ import annotations

import contextlib
import json
import threading
from collections.abc import Iterator
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, HTTPServer
from types import SimpleNamespace

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from deploy.local.ports import free_port
from sinks.clickhouse.batch import Batch, received_ms
from sinks.clickhouse.client import (
    DATA_ERRORS,
    TRANSIENT_ERRORS,
    BadRows,
    ClickHouse,
    ClickHouseConfig,
    RequestRejected,
    Unreachable,
)
from tests.support import rows
from tests.support.sinking import Store

ROWS = {
    "touchpoints": rows.touchpoint(),
    "profiles": rows.profile(),
    "identities": rows.identity(),
    "segment_changes": rows.segment_change(),
    "engagement": rows.engagement(),
    "identity_conflicts": rows.conflict(),
    "rejected_touchpoints": rows.rejected(),
}


def test_the_codes_have_the_names_that_clickhouse_gives_them(store: Store):
    known = {**DATA_ERRORS, **TRANSIENT_ERRORS}
    codes = ", ".join(map(str, known))
    named = store.clickhouse.rows(
        f"SELECT code, errorCodeToName(code) AS name FROM (SELECT arrayJoin([{codes}]) AS code)"
    )
    assert {row["code"]: row["name"] for row in named} == known
    assert not DATA_ERRORS.keys() & TRANSIENT_ERRORS.keys()


def test_nobody_there_is_transient_and_said_in_one_line():
    nowhere = ClickHouse(ClickHouseConfig(url=f"http://127.0.0.1:{free_port()}"))
    with pytest.raises(Unreachable, match=r"^ClickHouse at http://127.0.0.1:\d+ does not answer$"):
        nowhere.rows("SELECT 1")


def test_a_row_that_cannot_be_read_is_named_without_its_values(store: Store):
    with pytest.raises(BadRows) as error:
        store.insert("touchpoints", rows.touchpoint(), rows.touchpoint(sentiment="hanako"))
    assert str(error.value) == "ClickHouse cannot read it: CANNOT_PARSE_NUMBER (72)"
    assert store.view("touchpoints") == []


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=30),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3)
    ),
    max_leaves=5,
)


@given(data=st.data())
@settings(
    max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None
)
def test_whatever_a_row_holds_it_goes_in_or_is_found_bad(store: Store, data: st.DataObject):
    """Anything else would hold up its table for ever."""
    table, row = data.draw(st.sampled_from(sorted(ROWS.items())))
    if data.draw(st.booleans()):
        fields = json.loads(row)
        fields[data.draw(st.sampled_from(sorted(fields)))] = data.draw(JSON)
        row = json.dumps(fields).encode()
    else:
        place, length = data.draw(st.integers(0, len(row))), data.draw(st.integers(0, 20))
        row = row[:place] + data.draw(st.binary(max_size=5)) + row[place + length :]
    with contextlib.suppress(BadRows):
        store.insert(table, row)


def test_what_needs_an_operator_is_refused(store: Store):
    with pytest.raises(
        RequestRejected, match=r"refused the insert into nowhere: UNKNOWN_TABLE \(60\)$"
    ):
        store.insert("nowhere", b"{}")
    with pytest.raises(
        RequestRejected, match=r"UNKNOWN_IDENTIFIER \(47\): Unknown expression .*`?nothing"
    ):
        store.clickhouse.run("SELECT nothing")


@pytest.mark.parametrize("url", ["localhost:8123", "ftp://localhost", "http://"])
def test_an_address_that_is_none_is_refused(url: str):
    with pytest.raises(RequestRejected, match=r"^clickhouse.url must be http"):
        ClickHouse(ClickHouseConfig(url=url)).rows("SELECT 1")


@pytest.fixture
def other_server() -> Iterator[SimpleNamespace]:
    """Something that is not ClickHouse, answering with a status that the test sets."""
    state = SimpleNamespace(status=200, url="")

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.send_response(state.status)
            self.end_headers()
            self.wfile.write(b"<html>hello</html>")

        do_GET = do_POST

        def log_message(self, *_: object) -> None:
            pass

    server = HTTPServer(("127.0.0.1", 0), Handler)
    state.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield state
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.mark.parametrize(
    ("status", "kind"), [(404, RequestRejected), (401, RequestRejected), (502, Unreachable)]
)
def test_a_server_that_is_not_clickhouse_is_told_apart(
    other_server: SimpleNamespace, status: int, kind: type[Exception]
):
    other_server.status = status
    with pytest.raises(kind):
        ClickHouse(ClickHouseConfig(url=other_server.url)).rows("SELECT 1")


def test_a_web_page_is_not_taken_for_clickhouse(other_server: SimpleNamespace):
    with pytest.raises(RequestRejected, match="does not answer like ClickHouse"):
        ClickHouse(ClickHouseConfig(url=other_server.url)).rows("SELECT 1")


def test_the_password_is_in_no_text():
    config = replace(ClickHouseConfig(), password="geheim")
    assert "geheim" not in repr(config)


def test_a_batch_knows_its_rows_and_the_offsets_after_them():
    batch = Batch()
    batch.add([record(2, 7, 500, b"abc"), record(2, 9, 400, None)])
    batch.add([record(0, 3, 450, b"de")])
    assert batch.next_offsets == {2: 10, 0: 4}
    assert [row.value for row in batch.rows] == [b"abc", b"de"]
    assert batch.size == 5


def test_the_time_of_receipt_is_read_from_a_sample():
    found = received_ms([record(0, n, 0, rows.touchpoint()) for n in range(1_000)])
    assert set(found) == {1_795_334_746_123}
    assert 0 < len(found) <= 100
    assert received_ms([record(0, 0, 0, b'{"received_at":"x"}'), record(0, 1, 0, b"")]) == []
    # A value that looks like the field stands escaped.
    tricky = rows.line({"url": '"received_at":"2000-01-01T00:00:00.000Z"'})
    assert received_ms([record(0, 0, 0, tricky)]) == []


def record(partition: int, offset: int, timestamp: int, value: bytes | None) -> SimpleNamespace:
    return SimpleNamespace(
        partition=partition, offset=offset, timestamp=timestamp, key=b"key", value=value
    )
