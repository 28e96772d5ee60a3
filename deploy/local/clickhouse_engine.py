"""chDB, the ClickHouse engine in this process, answering one request at a time.

Each request gets a connection of its own (a fifth of a millisecond), so that its database, its
settings and its parameters end with it, as they do on a server.

chDB splits a text into statements at a blank line even within the data of an INSERT, and runs the
rest as statements. The data of an INSERT are therefore never part of a text here: `split_insert`
separates the statement from them, and the bytes are passed as a file. (chDB's streaming insert
would accept them too, but 26.9 reports rows as written although writing them failed: full disk, too
many parts, a constraint.)
"""

from __future__ import annotations

import fcntl
import os
import re
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any, NamedTuple

from chdb.session import Session

from deploy.runtime.private_files import private_folder
from schemas.errors import TouchlineError
from sinks.clickhouse.tables import quoted

_CODE = re.compile(r"Code: (\d+)\. ")
_PREFIX = re.compile(r"^(?:.*?: )?(?=Code: \d+\. )", re.DOTALL)
_VERSION_SUFFIX = re.compile(r" \(version [^()]*\)")
_TOKEN = re.compile(
    rb"""
      (?P<space>\s+|--[^\n]*(?:\n|$)|/\*.*?\*/)
    | (?P<quoted>'(?:[^'\\]|\\.|'')*'|`(?:[^`\\]|\\.)*`|"(?:[^"\\]|\\.)*")
    | (?P<word>\w+)
    | (?P<other>.)
    """,
    re.VERBOSE | re.DOTALL,
)
_BEFORE_DATA = re.compile(rb"[ \t\f]*\r?\n?")
_FORMAT_OF_RESULT = re.compile(r"\bFORMAT\s+(\w+)\s*(?:SETTINGS\b[^;]*)?;?\s*$", re.IGNORECASE)


class EngineUnavailable(TouchlineError):
    """The engine cannot run on this folder; the message is one line for a person."""


class QueryFailed(Exception):
    """A query that ClickHouse refused: the error's code and text."""

    def __init__(self, code: int, text: str) -> None:
        super().__init__(text)
        self.code = code
        self.text = text


class Insert(NamedTuple):
    """An INSERT followed by its data: target, format, data, SETTINGS clause.

    The data are a view of the request's bytes, which may be many.
    """

    into: str
    format: str
    data: bytes | memoryview
    settings: str = ""


@dataclass(frozen=True, slots=True)
class Query:
    """One request. `text` is the statement, followed by the data if it is an INSERT."""

    text: bytes
    database: str = ""
    default_format: str = "TabSeparated"
    settings: Mapping[str, str] = field(default_factory=dict)
    #: Values of `{name:Type}`, escaped as in TabSeparated.
    parameters: Mapping[str, str] = field(default_factory=dict)
    #: Refuse statements that write (ClickHouse's `readonly=2`).
    readonly: bool = False


class Answer(NamedTuple):
    """The result of a request; `format` is empty for a statement that has no result."""

    body: bytes
    format: str
    read_rows: int = 0
    read_bytes: int = 0
    written_rows: int = 0
    written_bytes: int = 0
    elapsed_ns: int = 0


def split_insert(text: bytes, default_format: str) -> Insert | None:
    """Split an INSERT with data; return None for other statements, INSERT … SELECT included."""
    words: list[bytes] = []
    depth = 0
    # End of the part that names the table and its columns.
    end: int | None = None
    for token in _TOKEN.finditer(text):
        kind = token.lastgroup
        if kind == "other":
            depth += {b"(": 1, b")": -1}.get(token.group(), 0)
        if kind != "word" or depth:
            continue
        word = token.group().upper()
        words.append(word)
        if words[0] != b"INSERT":
            return None
        if len(words) > 2 and words[-2] == b"FORMAT":
            head = text[: token.start()].rstrip()[: -len(b"FORMAT")]
            before = _BEFORE_DATA.match(text, token.end())
            data = memoryview(text)[before.end() if before else token.end() :]
            return Insert(head[:end].decode(), token.group().decode(), data, _from(head, end))
        if len(words) > 2 and word == b"VALUES":
            head = text[: token.start()]
            data = memoryview(text)[token.end() :]
            return Insert(head[:end].decode(), "Values", data, _from(head, end))
        if len(words) > 2 and word == b"SETTINGS":
            end = token.start()
        if len(words) > 1 and word in {b"SELECT", b"WITH", b"FROM"}:
            return None
    return Insert(text[:end].decode(), default_format, b"", _from(text, end)) if words else None


def _from(text: bytes, place: int | None) -> str:
    return "" if place is None else text[place:].decode()


class Engine:
    """chDB on one folder, which no other process may use meanwhile. Thread-safe."""

    def __init__(self, data_dir: Path) -> None:
        """Open the folder, and create it if missing; raise `EngineUnavailable`."""
        self._path = str(data_dir.absolute())
        if "?" in self._path:
            # chDB would parse the rest as options.
            raise EngineUnavailable(f"the folder {data_dir} must not have a ? in its name")
        self._lock = _lock(data_dir)
        try:
            # Kept open: the engine stops with its last connection.
            self._root = Session(self._path)
            self.version, self.timezone = self._text("SELECT version(), timezone()").split("\t")
        except Exception as error:
            self._lock.close()
            reason = " ".join(str(error).split())
            raise EngineUnavailable(f"ClickHouse cannot open {data_dir}: {reason}") from error

    def close(self) -> None:
        """Flush memory to disk and release the folder."""
        self._root.close()
        self._lock.close()

    def run(self, query: Query) -> Answer:
        """Run one statement; raise `QueryFailed`."""
        session = Session(self._path)
        try:
            _prepare(session, query)
            insert = split_insert(query.text, query.default_format)
            return _insert(session, insert) if insert else _select(session, query)
        except QueryFailed:
            raise
        except Exception as error:
            raise self._failure(error) from error
        finally:
            session.close()

    def cancel(self) -> None:
        """Cancel all running queries; they fail with ClickHouse's code 394."""
        self._root.query("KILL QUERY WHERE query NOT ILIKE 'KILL QUERY%' ASYNC")

    def _text(self, sql: str) -> str:
        return bytes(self._root.query(sql, "TabSeparated").bytes()).decode().rstrip("\n")

    def _failure(self, error: Exception) -> QueryFailed:
        text = _VERSION_SUFFIX.sub("", _PREFIX.sub("", _message(error), count=1)).strip()
        code = _CODE.search(text)
        return QueryFailed(int(code.group(1)) if code else 1002, f"{text} (version {self.version})")


def _message(error: Exception) -> str:
    """Return chDB's message, also if it repeats bytes that are not UTF-8 (another error type)."""
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, UnicodeDecodeError):
            return cause.object.decode(errors="replace")
        cause = cause.__cause__
    return str(error)


def _lock(data_dir: Path) -> IO[str]:
    """Lock the folder for this process. The lock ends with the process, however that ends."""
    try:
        private_folder(data_dir)
        handle = (data_dir / "touchline.lock").open("w")
    except OSError as error:
        raise EngineUnavailable(f"cannot write to {data_dir}: {error.strerror}") from error
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        handle.close()
        raise EngineUnavailable(
            f"another process already runs ClickHouse on {data_dir}; "
            "stop it or choose another folder"
        ) from error
    return handle


def _prepare(session: Any, query: Query) -> None:
    settings = dict(query.settings)
    if query.readonly:
        # Last, because after it no setting of a readonly kind may change.
        settings["readonly"] = settings.pop("readonly", "2")
    statements = [f"USE {quoted(query.database)}"] if query.database else []
    if settings:
        pairs = ", ".join(f"{_setting_name(k)} = {_literal(v)}" for k, v in settings.items())
        statements.append(f"SET {pairs}")
    for statement in statements:
        session.query(statement)


def _select(session: Any, query: Query) -> Answer:
    result = session.query(query.text, query.default_format, params=dict(query.parameters) or None)
    body = bytes(result.bytes())
    name = ""
    if body:
        named = _FORMAT_OF_RESULT.search(query.text[-400:].decode(errors="replace"))
        name = named.group(1) if named else query.default_format
    return Answer(
        body,
        name,
        result.rows_read(),
        result.bytes_read(),
        result.rows_written(),
        result.bytes_written(),
        int(result.elapsed() * 1e9),
    )


def _insert(session: Any, insert: Insert) -> Answer:
    with _file(insert.data) as path:
        result = session.query(
            f"{insert.into} FROM INFILE {_literal(path)} COMPRESSION 'none' {insert.settings} "
            f"FORMAT {insert.format}"
        )
    rows, size = result.rows_written(), result.bytes_written()
    return Answer(b"", "", rows, size, rows, size, int(result.elapsed() * 1e9))


@contextmanager
def _file(data: bytes | memoryview) -> Iterator[str]:
    """Yield the path from which the engine reads the bytes; in memory if the system supports it."""
    if sys.platform == "linux":
        with open(os.memfd_create("rows"), "wb") as file:
            file.write(data)
            file.flush()
            yield f"/proc/self/fd/{file.fileno()}"
    else:
        with tempfile.NamedTemporaryFile() as file:
            file.write(data)
            file.flush()
            yield file.name


def _literal(value: str) -> str:
    return "'" + value.replace("\\", "\\\\").replace("'", "\\'") + "'"


def _setting_name(name: str) -> str:
    if not re.fullmatch(r"\w+", name):
        raise QueryFailed(
            115, f"Code: 115. DB::Exception: Unknown setting {name!r}. (UNKNOWN_SETTING)"
        )
    return name
