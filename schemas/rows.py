"""The header of every row of local state.

`format (1 byte) | epoch (4) | applied (8) | rev (8)`, big-endian, then the body. `applied` is the
offset of the last record of the row's input topic that the row contains, -1 before the first.
`rev` is the row's own counter of changes. Of two versions of a row the one with the greater
`(epoch, applied, rev)` is the newer, so headers compare as bytes from `ORDER_FROM` to `ORDER_TO`.

`FORMAT` is the version of everything that outlives a process: rows, messages between the stages,
the records of `control`. `tests/golden` has an example of each for every version. A field that is
added at the end with a default needs a higher number too: an older release would read the row and
write it without that field.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable
from typing import NamedTuple

from schemas.errors import TouchlineError

FORMAT = 1
_HEADER = struct.Struct(">BIQQ")
SIZE = _HEADER.size
ORDER_FROM = 1
ORDER_TO = SIZE


class NewerFormat(TouchlineError):
    """A later release has written this: `where` it was found, and its `format`."""

    def __init__(self, where: str, number: int) -> None:
        super().__init__(f"{where} has format {number}, this release knows up to {FORMAT}")
        self.where = where
        self.format = number


class Header(NamedTuple):
    """Format version, epoch, applied offset, revision."""

    format: int
    epoch: int
    applied: int
    rev: int


def pack(epoch: int, applied: int, rev: int, body: bytes) -> bytes:
    """Return a row's stored bytes."""
    return _HEADER.pack(FORMAT, epoch, applied + 1, rev) + body


def header(row: bytes) -> Header:
    """Return the header of a row's stored bytes."""
    fmt, epoch, applied, rev = _HEADER.unpack_from(row)
    return Header(fmt, epoch, applied - 1, rev)


def refuse_newer(where: str, stored: Iterable[bytes | None]) -> None:
    """Raise `NewerFormat` if a later release wrote one of these rows. None is no row.

    Call it where rows enter the process, so that reading need not check anything.
    """
    newest = max((row[0] for row in stored if row), default=0)
    if newest > FORMAT:
        raise NewerFormat(where, newest)


def order(row: bytes) -> bytes:
    """Return the sort key of a row's version: of two versions the greater one is newer."""
    return row[ORDER_FROM:ORDER_TO]
