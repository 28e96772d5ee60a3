"""A connector of CSV files: rows cut out of a file, and each read with the names of its columns."""

from __future__ import annotations

import csv
import io
import unicodedata
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Annotated, Any, BinaryIO

from pydantic import AfterValidator

from ingest.connector import (
    Context,
    File,
    FileProblem,
    Options,
    Request,
    Result,
    Row,
    RowConnector,
)
from ingest.kit.lines import Start, begin, file_of, row_id, row_path
from ingest.kit.tables import Dialect, Record, encoding_name, records
from schemas.rejection import Rejection

#: Most columns that a message names.
_SHOWN = 12


def _delimiter(given: str) -> str:
    one = {"tab": "\t", "\\t": "\t"}.get(given, given)
    if len(one) != 1 or not one.isascii() or one.isalnum() or one in '"\r\n':
        raise ValueError("must be one character such as , ; | or tab")
    return one


class TableOptions(Options):
    """The format of a CSV file. `delimiter` may be `tab`."""

    encoding: Annotated[str, AfterValidator(encoding_name)] = "utf-8"
    delimiter: Annotated[str, AfterValidator(_delimiter)] = ","


class RowCells:
    """`mapping.Cells` of a row of texts."""

    __slots__ = ("_row",)

    def __init__(self, row: dict[str, str]) -> None:
        self._row = row

    def text(self, column: str) -> str | None:
        """See `Cells`."""
        return self._row.get(column)

    def value(self, column: str) -> Any:
        """See `Cells`."""
        return self._row.get(column)

    def rest(self, used: frozenset[str]) -> dict[str, Any]:
        """See `Cells`."""
        return {name: text for name, text in self._row.items() if name not in used}


class Table(RowConnector):
    """A CSV file; the subclass converts its rows.

    A row is read again from its bytes, which follow those of the header.
    """

    def __init__(
        self,
        dialect: Dialect,
        names: Sequence[str] | None,
        *,
        numbered: bool = False,
        least: int | None = None,
    ) -> None:
        """Store the dialect and the names.

        `names` None: the first line has them, unless the columns are `numbered`. A row has a cell
        for each column; with `least`, this many cells are enough.
        """
        self._least = least
        self._dialect = dialect
        self._names = tuple(names) if names is not None else None
        self._numbered = numbered
        #: The last header that was read: its bytes and the names.
        self._head: tuple[bytes, tuple[str, ...]] | None = None

    def wanted(self) -> frozenset[str]:
        """Return the columns that must be there."""
        raise NotImplementedError

    def touch(self, row: dict[str, str], event_id: str, payload: bytes, context: Context) -> Result:
        """Convert a row, its filled cells by column. `event_id` is for a row that has none."""
        raise NotImplementedError

    @property
    def _has_header(self) -> bool:
        return self._names is None and not self._numbered

    def rows(self, cursor: str | None, context: Context) -> Iterator[Row]:
        """See `RowConnector`."""
        file = file_of(context)
        start = Start.of(cursor)
        with file.path.open("rb") as opened:
            begin(opened, Start(), file.path.name)
            head, number, line = b"", start.row, start.line
            if self._has_header:
                header = self._read_header(opened, file)
                head, line = header.data, max(line, header.lines)
            elif self._names is not None:
                self._check(self._names, file.path.name)
            if start.offset > opened.tell():
                begin(opened, start, file.path.name)
            for record in records(opened, file.size, self._dialect, line):
                body, first, line = record.data, line + 1, record.lines
                if not body.strip():
                    continue
                number += 1
                request = Request("POST", row_path(file, number), "", "", {}, head + body)
                yield Row(
                    request,
                    Start(record.end, number, line).position(file),
                    f"{file.path.name}:{first}",
                    _problem(record, request),
                )

    def parse(self, request: Request, context: Context) -> Iterator[Result]:
        """See `RowConnector`; a row whose cells are all empty is skipped."""
        names, head = self._header_of(request.body)
        body = request.body[head:]
        try:
            found = self._dialect.cells(body)
        except UnicodeDecodeError:
            detail = f"the row: is no text in {self._dialect.encoding}"
            yield Rejection("unreadable", detail, body)
            return
        except csv.Error as error:
            yield Rejection("unreadable", f"the row: is not CSV: {error}", body)
            return
        for number, cells in enumerate(found):
            texts = [cell.strip() for cell in cells]
            if any(texts):
                yield self._row(names, texts, row_id(request.path, number), body, context)

    def around(self, request: Request) -> tuple[bytes, bytes]:
        """Return the header before a row."""
        _, head = self._header_of(request.body)
        return request.body[:head], b""

    def _row(
        self,
        names: Sequence[str] | None,
        texts: list[str],
        event_id: str,
        payload: bytes,
        context: Context,
    ) -> Result:
        if names is None:
            names = [str(number) for number in range(1, len(texts) + 1)]
        least = len(names) if self._least is None else min(self._least, len(names))
        if len(texts) < least or any(texts[len(names) :]):
            detail = f"the row: has {len(texts)} cells, and there are {len(names)} columns"
            return Rejection("invalid", detail, payload)
        row = {name: text for name, text in zip(names, texts, strict=False) if text}
        return self.touch(row, event_id, payload, context)

    def _read_header(self, opened: BinaryIO, file: File) -> Record:
        name = file.path.name
        record = next(records(opened, file.size, self._dialect), None)
        if record is None:
            return Record(b"", 0, 0)
        problem = record.problem
        if not problem and b"\r" in record.data.rstrip(b"\r\n"):
            problem = "lines end with CR alone; convert the file, for instance with tr '\\r' '\\n'"
        if problem:
            raise FileProblem(f"{name}:1: {problem}")
        try:
            names = self._named(record.data)
        except UnicodeDecodeError as error:
            raise FileProblem(f"{name}:1: is no text in {self._dialect.encoding}") from error
        self._check(names, name)
        return record

    def _check(self, names: Sequence[str], file: str) -> None:
        shown = ", ".join(names[:_SHOWN]) + (", …" if len(names) > _SHOWN else "")
        if absent := sorted(self.wanted() - set(names)):
            raise FileProblem(f"{file}:1: there is no column {', '.join(absent)}; it has: {shown}")
        twice = [name for name, count in Counter(names).items() if count > 1]
        if doubled := sorted(set(twice) & self.wanted()):
            raise FileProblem(f"{file}:1: there are two columns {', '.join(doubled)}")

    def _header_of(self, body: bytes) -> tuple[Sequence[str] | None, int]:
        """Return the names of the columns, and the bytes of a row's body that the header takes."""
        if not self._has_header:
            return self._names, 0
        if self._head is not None and body.startswith(self._head[0]):
            return self._head[1], len(self._head[0])
        record = next(records(io.BytesIO(body), len(body), self._dialect), None)
        if record is None or record.problem:
            return (), 0
        try:
            names = self._named(record.data)
        except (UnicodeDecodeError, csv.Error):
            return (), 0
        self._head = record.data, names
        return names, len(record.data)

    def _named(self, header: bytes) -> tuple[str, ...]:
        """Return the names in a header; a column without a name is named by its number."""
        cells = self._dialect.cells(header)
        return tuple(
            unicodedata.normalize("NFC", cell.strip()) or f"column_{number}"
            for number, cell in enumerate(cells[0] if cells else (), 1)
        )


def _problem(record: Record, request: Request) -> Rejection | None:
    if not record.problem:
        return None
    return Rejection(
        "too_large" if record.cut else "unreadable", f"the row: {record.problem}", request.body
    )
