"""The HTTP front of chDB, as clickhouse-connect, curl and an operator see it."""

from __future__ import annotations

import gzip
import json
import signal
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from decimal import Decimal
from email.message import Message
from pathlib import Path
from typing import NamedTuple
from urllib.parse import urlencode

import clickhouse_connect
import cramjam
import pytest
from clickhouse_connect.driver.client import Client
from clickhouse_connect.driver.exceptions import DatabaseError

from tests.support.clickhouse import LocalClickHouse, QueryError


class Reply(NamedTuple):
    status: int
    body: bytes
    headers: Message


def http(
    server: LocalClickHouse,
    path: str = "/",
    body: bytes | None = None,
    headers: dict[str, str] | None = None,
    **arguments: str,
) -> Reply:
    url = f"{server.url}{path}?{urlencode(arguments)}"
    request = urllib.request.Request(url, data=body, headers=headers or {})
    try:
        with urllib.request.urlopen(request, timeout=20) as response:
            return Reply(response.status, response.read(), response.headers)
    except urllib.error.HTTPError as error:
        return Reply(error.code, error.read(), error.headers)


@pytest.fixture
def client(clickhouse: LocalClickHouse, namespace: str) -> Iterator[Client]:
    """clickhouse-connect with its defaults, in a database of its own."""
    clickhouse.query(f"CREATE DATABASE {namespace}")
    client = clickhouse_connect.get_client(
        host="127.0.0.1",
        port=clickhouse.port,
        username="anyone",
        password="anything",
        database=namespace,
        autogenerate_session_id=False,
    )
    client.command(
        "CREATE TABLE t (a UInt64, b String, c Decimal(38, 6)) ENGINE = MergeTree ORDER BY a"
    )
    yield client
    client.close()


def test_clickhouse_connect_takes_it_for_a_server(client: Client):
    client.insert("t", [[1, "あ\n\n😀;", Decimal("0.1")], [2, "\0'", Decimal("1e31")]])
    summary = client.raw_insert(
        "t", ["a", "b"], insert_block=b'{"a":3,"b":"x"}\n\n\n{"a":4,"b":"y"}', fmt="JSONEachRow"
    )
    assert summary.written_rows == 2
    found = client.query("SELECT a, b, c FROM t WHERE a < {most:UInt64} ORDER BY a", {"most": 3})
    assert found.result_rows == [(1, "あ\n\n😀;", Decimal("0.1")), (2, "\0'", Decimal("1e31"))]
    assert client.query("SELECT * FROM t LIMIT 0").column_names == ("a", "b", "c")
    assert client.command("SELECT count() FROM t") == 4
    assert client.ping()
    assert client.server_version is not None


def test_parameters_keep_their_bytes(client: Client):
    text = "tab\t newline\n quote' backslash\\ 日本"
    moment = datetime(2026, 11, 22, 8, 5, 46, 123000)
    found = client.query(
        "SELECT {text:String}, {list:Array(String)}, {moment:DateTime64(3)}",
        {"text": text, "list": [text, ""], "moment": moment},
    )
    assert found.result_rows == [(text, [text, ""], moment)]


@pytest.mark.parametrize("compression", ["lz4", "zstd", "gzip", False])
def test_compressed_both_ways(clickhouse: LocalClickHouse, client: Client, compression: str | bool):
    other = clickhouse_connect.get_client(
        host="127.0.0.1", port=clickhouse.port, database=client.database, compress=compression
    )
    other.insert("t", [[number, "x" * 50, 1] for number in range(2_000)])
    assert len(other.query("SELECT * FROM t").result_rows) == 2_000
    other.close()


def test_errors_carry_the_code_and_the_text_of_clickhouse(client: Client):
    with pytest.raises(DatabaseError, match="UNKNOWN_TABLE") as missing:
        client.query("SELECT * FROM nowhere")
    assert missing.value.code == 60
    with pytest.raises(DatabaseError) as bad:
        client.raw_insert("t", insert_block=b'{"a":1}\n{"a":"x"}', fmt="JSONEachRow")
    assert (bad.value.code, bad.value.name) == (27, "CANNOT_PARSE_INPUT_ASSERTION_FAILED")
    assert client.command("SELECT count() FROM t") == 0


def test_an_insert_that_could_not_be_written_is_an_error(client: Client):
    """A 200 means that the rows are in the table, whatever fails behind the parser."""
    client.command("CREATE TABLE checked (a UInt64, CONSTRAINT c CHECK a < 3) ENGINE = Memory")
    with pytest.raises(DatabaseError) as violated:
        client.raw_insert("checked", insert_block=b'{"a":1}\n{"a":3}', fmt="JSONEachRow")
    assert violated.value.code == 469
    client.command("ALTER TABLE t MODIFY SETTING parts_to_throw_insert = 1")
    client.command("SYSTEM STOP MERGES t")
    client.raw_insert("t", insert_block=b'{"a":1}', fmt="JSONEachRow")
    with pytest.raises(DatabaseError) as too_many:
        client.raw_insert("t", insert_block=b'{"a":2}', fmt="JSONEachRow")
    assert too_many.value.code == 252
    assert client.command("SELECT count() FROM t") == 1


def test_an_insert_takes_settings_and_every_format(client: Client, clickhouse: LocalClickHouse):
    at = {"database": str(client.database)}
    for sql in (
        b"INSERT INTO t (a) SETTINGS max_block_size = 1 FORMAT TSV\n1\n",
        b"INSERT INTO t (a) SETTINGS max_block_size = 1 VALUES (2), (3)",
    ):
        assert http(clickhouse, body=sql, **at).status == 200
    refused = http(clickhouse, body=b"INSERT INTO t (a) SETTINGS nonsense = 1 VALUES (4)", **at)
    assert refused.headers["X-ClickHouse-Exception-Code"] == "115"
    assert client.query("SELECT a FROM t ORDER BY a").result_rows == [(1,), (2,), (3,)]


def test_errors_have_the_status_of_a_server(clickhouse: LocalClickHouse):
    def status(sql: str) -> tuple[int, str | None]:
        reply = http(clickhouse, body=sql.encode())
        return reply.status, reply.headers["X-ClickHouse-Exception-Code"]

    assert status("SELECT * FROM nowhere") == (404, "60")
    assert status("SELECT (1") == (400, "62")
    assert status("SELECT throwIf(1)") == (500, "395")
    assert http(clickhouse, body=b"SELECT 1", nonsense="1").status == 404
    reply = http(clickhouse, body=b"SELECT '\xff\xfe' + 1")
    assert reply.body.startswith(b"Code: 43. DB::Exception: ")


def test_settings_and_database_end_with_the_request(clickhouse: LocalClickHouse):
    sql = "SELECT currentDatabase() AS d, getSetting('max_block_size') AS s"
    (before,) = clickhouse.query(sql)
    (inside,) = clickhouse.query(sql, database="system", max_block_size="77")
    assert inside == {"d": "system", "s": 77}
    clickhouse.query("SET max_block_size = 78")
    clickhouse.query("USE system")
    assert clickhouse.query(sql) == [before]


def test_a_get_only_reads(clickhouse: LocalClickHouse):
    reply = http(clickhouse, query="SELECT 1 AS one", default_format="JSONEachRow")
    assert (reply.status, json.loads(reply.body)) == (200, {"one": 1})
    assert reply.headers["X-ClickHouse-Format"] == "JSONEachRow"
    assert json.loads(reply.headers["X-ClickHouse-Summary"])["read_rows"] == "1"
    refused = http(clickhouse, query="CREATE DATABASE no")
    assert refused.headers["X-ClickHouse-Exception-Code"] == "164"


def test_the_query_may_stand_in_the_address_and_the_data_in_the_body(
    clickhouse: LocalClickHouse, client: Client
):
    at = {"database": str(client.database)}
    into = {"query": "INSERT INTO t (a, b) FORMAT CSV", **at}
    assert http(clickhouse, body=b'1,"x\n\ny"\n', **into).status == 200
    zipped = gzip.compress(b"2,z\n")
    assert http(clickhouse, body=zipped, headers={"Content-Encoding": "gzip"}, **into).status == 200
    empty = http(clickhouse, body=b"INSERT INTO t FORMAT JSONEachRow", **at)
    assert (empty.status, empty.body) == (200, b"")
    assert client.query("SELECT a, b FROM t ORDER BY a").result_rows == [(1, "x\n\ny"), (2, "z")]


def test_what_it_does_not_do_it_says(clickhouse: LocalClickHouse):
    reply = http(clickhouse, body=b"SELECT 1", compress="1")
    assert (reply.status, reply.headers["X-ClickHouse-Exception-Code"]) == (501, "48")
    reply = http(clickhouse, body=b"x", headers={"Content-Encoding": "snappy"}, query="SELECT 1")
    assert b"does not support Content-Encoding 'snappy'" in reply.body
    reply = http(clickhouse, body=b"x", headers={"Content-Encoding": "gzip"}, query="SELECT 1")
    assert (reply.status, reply.headers["X-ClickHouse-Exception-Code"]) == (500, "271")


def test_without_a_query_it_says_ok(clickhouse: LocalClickHouse):
    assert http(clickhouse).body == b"Ok.\n"
    assert http(clickhouse, "/ping").body == b"Ok.\n"


@pytest.mark.parametrize(
    ("asked", "got", "decompress"),
    [
        ("gzip, deflate", "gzip", cramjam.gzip.decompress),
        ("deflate", "deflate", cramjam.zlib.decompress),
        ("snappy, zstd;q=1", "zstd", cramjam.zstd.decompress),
        ("lz4", "lz4", cramjam.lz4.decompress),
        ("br", "br", cramjam.brotli.decompress),
        ("snappy", None, bytes),
    ],
)
def test_answers_are_compressed_as_the_client_asks(
    clickhouse: LocalClickHouse, asked: str, got: str | None, decompress: Callable[[bytes], bytes]
):
    sql = b"SELECT repeat('a', 5000)"
    reply = http(clickhouse, body=sql, headers={"Accept-Encoding": asked})
    assert reply.headers["Content-Encoding"] == got
    assert bytes(decompress(reply.body)) == b"a" * 5000 + b"\n"


def test_many_at_once(clickhouse: LocalClickHouse, client: Client):
    def work(number: int) -> None:
        client.raw_insert("t", insert_block=b'{"a":%d}' % number, fmt="JSONEachRow")
        clickhouse.query(f"SELECT count() FROM {client.database}.t")

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(work, range(100)))
    assert client.command("SELECT uniqExact(a) FROM t") == 100


def test_a_second_process_on_the_folder_is_refused_in_one_line(own_clickhouse: LocalClickHouse):
    command = [sys.executable, "-m", "deploy.local.clickhouse_http", "--port", "0", "--data"]
    other = subprocess.run(
        [*command, str(own_clickhouse.data)], capture_output=True, text=True, check=False
    )
    assert other.returncode == 1
    assert other.stderr.startswith("another process already runs ClickHouse on ")
    assert other.stderr.count("\n") == 1


def test_a_port_that_is_taken_is_refused_in_one_line(clickhouse: LocalClickHouse, tmp_path: Path):
    command = [sys.executable, "-m", "deploy.local.clickhouse_http", "--data", str(tmp_path / "x")]
    other = subprocess.run(
        [*command, "--port", str(clickhouse.port)], capture_output=True, text=True, check=False
    )
    assert other.returncode == 1
    assert other.stderr.startswith(f"cannot listen on 127.0.0.1:{clickhouse.port}: ")
    assert other.stderr.count("\n") == 1


@pytest.mark.parametrize("name", [signal.SIGTERM, signal.SIGINT, signal.SIGKILL])
def test_data_survive_every_end(own_clickhouse: LocalClickHouse, name: signal.Signals):
    own_clickhouse.query("CREATE TABLE t (a UInt64) ENGINE = MergeTree ORDER BY a")
    own_clickhouse.query("INSERT INTO t VALUES (1), (2)")
    status = own_clickhouse.stop(name)
    assert status == (-9 if name == signal.SIGKILL else 0)
    own_clickhouse.start()
    assert own_clickhouse.query("SELECT a FROM t ORDER BY a") == [{"a": 1}, {"a": 2}]


def test_a_long_query_does_not_hold_up_the_end(
    own_clickhouse: LocalClickHouse, wait_for: Callable[..., None]
):
    sql = "SELECT sleepEachRow(1) FROM numbers(60) SETTINGS max_block_size = 1"
    running = "SELECT query FROM system.processes WHERE query LIKE '%numbers(60)%'"
    with ThreadPoolExecutor(1) as pool:
        answer = pool.submit(http, own_clickhouse, body=sql.encode())
        wait_for(lambda: len(own_clickhouse.query(running)) == 2)
        assert own_clickhouse.stop() == 0
        assert answer.exception(10) or answer.result().status != 200


def test_the_fixture_shows_errors(clickhouse: LocalClickHouse):
    with pytest.raises(QueryError) as error:
        clickhouse.query("SELECT nothing")
    assert error.value.code == 47
