"""A file of lines: JSON lines, and bodies of webhooks, one a line."""

from __future__ import annotations

from collections.abc import Iterator
from typing import BinaryIO, NamedTuple

from ingest.connector import Context, File, FileProblem, Position, Request, Row
from schemas.rejection import Rejection

#: Longest line, so that memory is bounded; the same as the gateway's limit for a body.
LONGEST_LINE = 5 * 1024 * 1024
BOM = b"\xef\xbb\xbf"
#: Path of the request that stands for a row: with it a row has the same event id in a replay.
PREFIX = "/files/"


class Start(NamedTuple):
    """The position at which reading starts: offset in bytes, rows and lines before it.

    Its text is a cursor.
    """

    offset: int = 0
    row: int = 0
    line: int = 0

    @classmethod
    def of(cls, cursor: str | None) -> Start:
        """Parse a cursor; None is the start of the file."""
        return cls(*(int(part) for part in cursor.split(":"))) if cursor else cls()

    def position(self, file: File) -> Position:
        """Return the position as the caller stores it."""
        cursor = f"{self.offset}:{self.row}:{self.line}"
        return Position(cursor, self.offset / file.size if file.size else 1.0)


def file_of(context: Context) -> File:
    """Return the file to read. Raises FileProblem if a connector of files gets none."""
    if context.file is None:
        raise FileProblem("there is no file to read: touchline import names one")
    return context.file


def row_path(file: File, number: int) -> str:
    """Return the path of a row; rows are numbered from 1."""
    return f"{PREFIX}{file.id}/{number}"


def row_id(path: str, number: int = 0) -> str:
    """Return the event id of the row with this path, or of the `number`th row after it."""
    file, _, row = path.removeprefix(PREFIX).rpartition("/")
    return f"{file}-{int(row) + number if row.isdecimal() else number}"


def begin(file: BinaryIO, start: Start, name: str) -> None:
    """Seek to the position at which reading starts. Raises FileProblem if it is within a line.

    A last line without a line end is imported as it is; if it was incomplete, the rest of it
    cannot be read on its own.
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
    """Yield a row for each line that is not blank; `path` is for rows without one of their own.

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
    """Return the next line, and whether it was cut: the rest of a too long line is skipped."""
    data = file.readline(min(left, longest))
    left -= len(data)
    if data.endswith(b"\n") or len(data) < longest or not left:
        return data, False
    more = data
    while left and more and not more.endswith(b"\n"):
        more = file.readline(min(left, longest))
        left -= len(more)
    return data, True
