"""CSV as bytes: records cut out of a file without reading all of it, and their cells.

Records are those of RFC 4180: cells in quotes may hold delimiters, line ends and doubled quotes.
The bytes of a record stay as they are, so that what is refused can be kept and read again. That
asks for an encoding in which ASCII's line ends and quotes are never part of another character:
UTF-8, Shift_JIS and its kin, the single-byte ones; UTF-16 and ISO-2022-JP are not among them.
"""

from __future__ import annotations

import codecs
import csv
import io
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import BinaryIO, NamedTuple

from ingest.kit.lines import read_line

#: Longest record over several lines: it bounds what a quote that is never closed would swallow.
LONGEST_RECORD = 1024 * 1024
#: Names of Shift_JIS, which stand for Microsoft's extension of it
#: (https://encoding.spec.whatwg.org/#names-and-labels).
_SHIFT_JIS = frozenset({"shift_jis", "sjis", "s_jis", "shiftjis", "csshiftjis", "x-sjis"})
_UTF_8 = "utf-8"
_PLAIN = bytes(range(32, 127)) + b"\t\r\n"


@dataclass(frozen=True, slots=True)
class Dialect:
    """The format of cells: delimiter and quote are one ASCII character each."""

    encoding: str = _UTF_8
    delimiter: str = ","
    quote: str = '"'

    def cells(self, data: bytes) -> list[list[str]]:
        """Return the records of some bytes. Raises UnicodeDecodeError and csv.Error."""
        return list(self.reader(io.StringIO(self.text(data), newline="")))

    def text(self, data: bytes) -> str:
        """Decode bytes. Raises UnicodeDecodeError."""
        return data.decode(self.encoding)

    def reader(self, lines: Iterable[str]) -> Iterator[list[str]]:
        """Return a reader of cells, which takes as many lines as a record has. Raises csv.Error."""
        return csv.reader(
            lines, delimiter=self.delimiter, quotechar=self.quote, doublequote=True, strict=True
        )


def encoding_name(name: str) -> str:
    """Return an encoding's name as Python knows it. Raises ValueError for one that is not read."""
    folded = name.strip().lower()
    if folded.replace("-", "_") in _SHIFT_JIS or folded in _SHIFT_JIS:
        return "cp932"
    if folded.replace("-", "_") in ("utf_8_sig", "utf8", "utf_8"):
        return _UTF_8
    try:
        found = codecs.lookup(folded)
        ascii_alike = _PLAIN.decode(found.name).encode("ascii") == _PLAIN
    except (LookupError, ValueError, TypeError):
        ascii_alike = False
    if not ascii_alike or "2022" in found.name or found.name in ("utf-7", "hz"):
        raise ValueError(
            "must be utf-8, cp932, euc_jp, latin-1 or another encoding that has ASCII as it is; "
            "convert the file otherwise, for instance with iconv"
        )
    return found.name


class Record(NamedTuple):
    """A record's bytes, the offset after it and the lines up to there.

    `problem`: the reason why its bytes are not a record; reading goes on with the line after its
    first one.
    """

    data: bytes
    end: int
    lines: int
    problem: str = ""
    #: True if it is only the start of a line that is too long.
    cut: bool = False


def records(
    file: BinaryIO, size: int, dialect: Dialect, lines: int = 0, longest: int = LONGEST_RECORD
) -> Iterator[Record]:
    """Yield the records of a file from its position up to the offset `size`; blank lines too.

    `lines`: the number of lines read before. Memory is bounded by `longest`.
    """
    quote = dialect.quote.encode()
    while True:
        first, cut = read_line(file, size - file.tell(), longest)
        if not first:
            return
        end = file.tell()
        lines += 1
        if cut:
            yield Record(first, end, lines, f"is longer than {longest} bytes", cut=True)
        elif quote not in first:
            yield Record(first, end, lines)
        else:
            whole, problem = _quoted(file, first, size, dialect, longest)
            if problem:
                file.seek(end)
                yield Record(first, end, lines, problem)
            else:
                lines += len(whole) - 1
                yield Record(b"".join(whole), file.tell(), lines)


class _Open(Exception):
    """A record does not end where it should."""


def _quoted(
    file: BinaryIO, first: bytes, size: int, dialect: Dialect, longest: int
) -> tuple[list[bytes], str]:
    """Return the lines of a record that begins with `first`, or what is wrong with it."""
    found = [first]

    def lines() -> Iterator[str]:
        # A character that cannot be read is no reason to lose the end of a record.
        yield first.decode(dialect.encoding, "replace")
        length = len(first)
        while True:
            more, cut = read_line(file, size - file.tell(), longest)
            length += len(more)
            if not more or cut or length > longest:
                raise _Open
            found.append(more)
            yield more.decode(dialect.encoding, "replace")

    try:
        next(dialect.reader(lines()))
    except _Open:
        return found, f"a quote is not closed within {longest} bytes"
    except csv.Error as error:
        return found, f"is not CSV: {error}"
    return found, ""
