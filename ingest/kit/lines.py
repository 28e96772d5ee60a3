"""A file of lines: JSON lines, and bodies of webhooks, one a line."""

from __future__ import annotations

from collections.abc import Iterator
from typing import BinaryIO, NamedTuple

from ingest.connector import Context, File, FileProblem, Position, Request, Row
from schemas.rejection import Rejection

#: No line is longer, so that memory is bounded; as much as the gateway takes of a body.
LONGEST_LINE = 5 * 1024 * 1024
BOM = b"\xef\xbb\xbf"
#: Path of the request that stands for a row: with it a row has the same event id in a replay.
PREFIX = "/files/"


class Start(NamedTuple):
    """Where a file is read on: offset in bytes, rows and lines before it; its text is a cursor."""

    offset: int = 0
    row: int = 0
    line: int = 0

    @classmethod
    def of(cls, cursor: str | None) -> Start:
        """Of a cursor; None is the begin."""
        return cls(*(int(part) for part in cursor.split(":"))) if cursor else cls()

    def position(self, file: File) -> Position:
        """As the caller keeps it."""
        cursor = f"{self.offset}:{self.row}:{self.line}"
        return Position(cursor, self.offset / file.size if file.size else 1.0)


def file_of(context: Context) -> File:
    """The file to read. Raises FileProblem where a connector of files is asked without one."""
    if context.file is None:
        raise FileProblem("there is no file to read: touchline import names one")
    return context.file


def row_path(file: File, number: int) -> str:
    """The path of a row, numbered from 1 on."""
    return f"{PREFIX}{file.id}/{number}"


def row_id(path: str, number: int = 0) -> str:
    """The event id of the row with a path, or of the `number`th row behind it."""
    file, _, row = path.removeprefix(PREFIX).rpartition("/")
    return f"{file}-{int(row) + number if row.isdecimal() else number}"


def begin(file: BinaryIO, start: Start, name: str) -> None:
    """Go to where a file is read on. Raises FileProblem where that is within a line.

    A last line without an end is imported as it is; if it was not complete, the rest of it is
    nothing that could be read.
    """
    file.seek(max(0, start.offset - 1))
    if start.offset and file.read(1) != b"\n":
        rest = file.readline(3)
        if rest.strip(b"\r\n"):
            raise FileProblem(
                f"{name}:{start.line}: was imported before it was complete; import what was added "
                "since as a file of its own"
            )
    if not start.offset and file.read(len(BOM)) != BOM:
        file.seek(0)


def rows(context: Context, cursor: str | None, path: str = "") -> Iterator[Row]:
    """A row for each line that is not blank; `path` for all where the rows have none of their own.

    Raises OSError.
    """
    file = file_of(context)
    start = Start.of(cursor)
    name = file.path.name
    with file.path.open("rb") as opened:
        begin(opened, start, name)
        number, line = start.row, start.line
        while left := file.size - opened.tell():
            data, cut = read_line(opened, left)
            if not data:
                return
            line += 1
            body = data.strip()
            if not body:
                continue
            number += 1
            request = Request("POST", path or row_path(file, number), "", "", _JSON, body)
            problem = None
            if cut:
                problem = Rejection("too_large", f"is longer than {LONGEST_LINE} bytes", body)
            position = Start(opened.tell(), number, line).position(file)
            yield Row(request, position, f"{name}:{line}", problem)


_JSON = {"content-type": "application/json"}


def read_line(file: BinaryIO, left: int, longest: int = LONGEST_LINE) -> tuple[bytes, bool]:
    """The next line, and whether it was cut: the rest of one that is too long is passed over."""
    data = file.readline(min(left, longest))
    left -= len(data)
    if data.endswith(b"\n") or len(data) < longest or not left:
        return data, False
    more = data
    while left and more and not more.endswith(b"\n"):
        more = file.readline(min(left, longest))
        left -= len(more)
    return data, True
