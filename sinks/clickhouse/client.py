"""The client of ClickHouse, which all access goes through: connect, run, insert bytes as they are.

Every error is one of three, and only the class decides what to do about it:

    ClickHouseError
    ├── Unreachable      nobody answers, or not now: try again
    ├── BadRows          ClickHouse cannot read a row: trying again is no use, the row must go
    └── RequestRejected  anything else (no such table, no rights, a wrong query): somebody must act
"""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import clickhouse_connect
from clickhouse_connect.driver.client import Client
from clickhouse_connect.driver.exceptions import ClickHouseError as DriverError
from clickhouse_connect.driver.exceptions import Error as CodedError
from urllib3.exceptions import HTTPError
from urllib3.util import parse_url

from schemas.errors import TouchlineError
from sinks.clickhouse.tables import quoted

#: Errors that a row can cause. Names as in ClickHouse's ErrorCodes.
DATA_ERRORS: Mapping[int, str] = {
    6: "CANNOT_PARSE_TEXT",
    25: "CANNOT_PARSE_ESCAPE_SEQUENCE",
    26: "CANNOT_PARSE_QUOTED_STRING",
    27: "CANNOT_PARSE_INPUT_ASSERTION_FAILED",
    32: "ATTEMPT_TO_READ_AFTER_EOF",
    33: "CANNOT_READ_ALL_DATA",
    38: "CANNOT_PARSE_DATE",
    41: "CANNOT_PARSE_DATETIME",
    53: "TYPE_MISMATCH",
    69: "ARGUMENT_OUT_OF_BOUND",
    70: "CANNOT_CONVERT_TYPE",
    72: "CANNOT_PARSE_NUMBER",
    117: "INCORRECT_DATA",
    128: "TOO_LARGE_ARRAY_SIZE",
    130: "CANNOT_READ_ARRAY_FROM_TEXT",
    131: "TOO_LARGE_STRING_SIZE",
    190: "SIZES_OF_ARRAYS_DONT_MATCH",
    306: "TOO_DEEP_RECURSION",
    321: "VALUE_IS_OUT_OF_RANGE_OF_DATA_TYPE",
    349: "CANNOT_INSERT_NULL_IN_ORDINARY_COLUMN",
    376: "CANNOT_PARSE_UUID",
    407: "DECIMAL_OVERFLOW",
    467: "CANNOT_PARSE_BOOL",
    469: "VIOLATED_CONSTRAINT",
    563: "CANNOT_READ_MAP_FROM_TEXT",
    691: "UNKNOWN_ELEMENT_OF_ENUM",
}
#: Errors that pass by themselves.
TRANSIENT_ERRORS: Mapping[int, str] = {
    159: "TIMEOUT_EXCEEDED",
    202: "TOO_MANY_SIMULTANEOUS_QUERIES",
    203: "NO_FREE_CONNECTION",
    209: "SOCKET_TIMEOUT",
    210: "NETWORK_ERROR",
    236: "ABORTED",
    241: "MEMORY_LIMIT_EXCEEDED",
    242: "TABLE_IS_READ_ONLY",
    252: "TOO_MANY_PARTS",
    279: "ALL_CONNECTION_TRIES_FAILED",
    319: "UNKNOWN_STATUS_OF_INSERT",
    394: "QUERY_WAS_CANCELLED",
    425: "SYSTEM_ERROR",
    439: "CANNOT_SCHEDULE_TASK",
    999: "KEEPER_EXCEPTION",
}
#: Settings for reading rows. Unknown fields are skipped, so that a producer may be newer than the
#: tables during an upgrade; a batch may span any number of partitions. Rows that replace each other
#: within a batch are left to the merges, as those of two batches are: a view selects the last one
#: anyway. A body is at most two of the chunks that ClickHouse would parse in parallel, and looking
#: for their borders costs more than it saves.
INSERT_SETTINGS: Mapping[str, str] = {
    "date_time_input_format": "best_effort",
    "max_partitions_per_insert_block": "0",
    "input_format_skip_unknown_fields": "1",
    "input_format_null_as_default": "1",
    "input_format_parallel_parsing": "0",
    "optimize_on_insert": "0",
}
#: Settings for writing rows: times, decimals and ids as text.
QUERY_SETTINGS: Mapping[str, str] = {
    "output_format_json_quote_decimals": "1",
    "output_format_json_quote_64bit_integers": "0",
    "output_format_json_validate_utf8": "1",
}
#: The text that ClickHouse's formats add to an error that a row caused, whatever its code.
_AT_ROW = re.compile(r"\(at row \d+\)")
_TEXT = re.compile(r"DB::Exception: (.*?)(?: \(version| \(for url|$)", re.DOTALL)
_STATUS = re.compile(r"HTTP status (\d+)")


class ClickHouseError(TouchlineError):
    """An operation of ClickHouse failed. The message is one line and names no value of a row."""

    def __init__(self, message: str, code: int | None = None) -> None:
        super().__init__(message)
        self.code = code


class Unreachable(ClickHouseError):
    """Nobody answers, or ClickHouse cannot right now; the same call may succeed later."""


class BadRows(ClickHouseError):
    """At least one of the rows cannot be read; the insert may be stored in part or not at all."""


class RequestRejected(ClickHouseError):
    """ClickHouse answers, and rejects the request until somebody changes something."""


@dataclass(frozen=True, slots=True)
class ClickHouseConfig:
    """The address of ClickHouse, and our user."""

    url: str = "http://localhost:8123"
    username: str = "default"
    password: str = field(default="", repr=False)
    #: Files: the authority of the server's certificate, our own certificate, and its key.
    ca_file: str | None = None
    cert_file: str | None = None
    key_file: str | None = None
    connect_timeout_s: int = 5
    #: The longest time that an insert or a query may take.
    timeout_s: int = 60


class ClickHouse:
    """A connection that is opened when first needed and reopened after a failure.

    Safe to use from several threads. Blocking: call it from a thread of its own in asyncio.
    """

    def __init__(self, config: ClickHouseConfig) -> None:
        self._config = config
        self._client: Client | None = None
        self._guard = threading.Lock()

    def insert(self, database: str, table: str, rows: Sequence[bytes]) -> None:
        """Insert rows, each one line of JSON. Raises a `ClickHouseError`."""
        client = self._connected()
        statement = f"INSERT INTO {quoted(database)}.{quoted(table)} FORMAT JSONEachRow"
        try:
            # The statement is the first line: the driver would copy all rows to put it there.
            client.raw_insert(
                "",
                insert_block=b"\n".join((statement.encode(), *rows)),
                settings=dict(INSERT_SETTINGS),
            )
        except (DriverError, HTTPError, OSError) as error:
            raise _explained(error, self._config.url, f"insert into {table}") from error

    def run(self, sql: str, parameters: Mapping[str, Any] | None = None) -> None:
        """Run a statement that returns nothing. Raises a `ClickHouseError`."""
        client = self._connected()
        try:
            client.command(sql, parameters=dict(parameters or {}), use_database=False)
        except (DriverError, HTTPError, OSError) as error:
            raise _explained(error, self._config.url, "statement", verbose=True) from error

    def rows(self, sql: str, parameters: Mapping[str, Any] | None = None) -> list[dict[str, Any]]:
        """Return the rows of a query, in ClickHouse's JSON types: times and decimals are text.

        Bytes that are not UTF-8 come out replaced; ask for them with `base64Encode`.
        Raises a `ClickHouseError`.
        """
        return [json.loads(line) for line in self._lines(sql, parameters)]

    def lines(self, sql: str, parameters: Mapping[str, Any] | None = None) -> list[bytes]:
        """Return the rows as bytes, one line of JSON each, with times in the format of the topics.

        Raises a `ClickHouseError`.
        """
        return self._lines(sql, parameters, {"date_time_output_format": "iso"})

    def _lines(
        self,
        sql: str,
        parameters: Mapping[str, Any] | None,
        settings: Mapping[str, str] | None = None,
    ) -> list[bytes]:
        client = self._connected()
        try:
            body = client.raw_query(
                sql,
                parameters=dict(parameters or {}),
                settings={**QUERY_SETTINGS, **(settings or {})},
                fmt="JSONEachRow",
            )
        except (DriverError, HTTPError, OSError) as error:
            raise _explained(error, self._config.url, "query", verbose=True) from error
        return body.splitlines()

    def close(self) -> None:
        """Close the connections."""
        with self._guard:
            if self._client is not None:
                self._client.close()
                self._client = None

    def _connected(self) -> Client:
        with self._guard:
            if self._client is None:
                self._client = _connect(self._config)
            return self._client


def _connect(config: ClickHouseConfig) -> Client:
    url = parse_url(config.url)
    if url.scheme not in {"http", "https"} or not url.host:
        raise RequestRejected(f"clickhouse.url must be http(s)://host:port, not {config.url}")
    try:
        return clickhouse_connect.get_client(
            interface=url.scheme,
            host=url.host.strip("[]"),
            port=url.port or (443 if url.scheme == "https" else 8123),
            username=config.username,
            password=config.password,
            ca_cert=config.ca_file,
            client_cert=config.cert_file,
            client_cert_key=config.key_file,
            connect_timeout=config.connect_timeout_s,
            send_receive_timeout=config.timeout_s,
            # A session would allow one query at a time.
            autogenerate_session_id=False,
            query_retries=0,
            compress=False,
        )
    except (DriverError, HTTPError, OSError) as error:
        raise _explained(error, config.url, "connection") from error


def _explained(error: Exception, url: str, what: str, *, verbose: bool = False) -> ClickHouseError:
    """Convert the driver's error to ours.

    ClickHouse repeats values of rows in its text, so the text is kept only for our own statements.
    """
    code = error.code if isinstance(error, CodedError) else None
    if code is None:
        if "Unexpected response" in str(error):
            return RequestRejected(f"what listens at {url} does not answer like ClickHouse")
        status = _STATUS.search(str(error))
        if status is None or int(status.group(1)) in {408, 429, 500, 502, 503, 504}:
            return Unreachable(f"ClickHouse at {url} does not answer")
        return RequestRejected(
            f"ClickHouse at {url} answered the {what} with status {status.group(1)}"
        )
    if code in TRANSIENT_ERRORS:
        return Unreachable(
            f"ClickHouse at {url} cannot now: {TRANSIENT_ERRORS[code]} ({code})", code
        )
    name = error.name if isinstance(error, CodedError) and error.name else "error"
    if code in DATA_ERRORS or _AT_ROW.search(str(error)):
        return BadRows(f"ClickHouse cannot read it: {DATA_ERRORS.get(code, name)} ({code})", code)
    text = ""
    if verbose and (said := _TEXT.search(str(error))):
        text = ": " + " ".join(said.group(1).split())[:500]
    return RequestRejected(f"ClickHouse at {url} refused the {what}: {name} ({code}){text}", code)
