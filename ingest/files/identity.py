"""Identification of files by their content alone.

A file is the same as an imported one if it begins with the whole content that file had when its
import began, whatever its name, folder and time. So an unchanged file is recognised, a file that
has grown is read on from the end of its import, and a file that was changed in between is another
file. An empty file is never the beginning of another. The id of a new file is the digest of its
content.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from pathlib import Path
from typing import BinaryIO

import msgspec

from ingest.connector import File

_CHUNK = 1024 * 1024
_ID_LENGTH = 32


class Imported(msgspec.Struct, frozen=True, kw_only=True):
    """The progress of a file's import, stored under the cursor's key.

    `size` and `digest` are of the file as it was when the import began (or was resumed, once the
    file had grown). `cursor` None: nothing is in Kafka yet. `rows` counts the rows that are in
    Kafka, refused ones too.
    """

    file: str
    size: int
    digest: str
    cursor: str | None = None
    rows: int = 0

    def encode(self) -> bytes:
        """Return one line of JSON."""
        return msgspec.json.encode(self)


def decode(value: bytes) -> Imported:
    """Decode the output of `encode`."""
    return msgspec.json.decode(value, type=Imported)


def identify(path: Path, known: Iterable[Imported]) -> tuple[File, Imported]:
    """Return the file and the progress of its import; reads the file once. Raises OSError.

    `known`: the files that were imported for the same source. If the file begins with several of
    them, the longest counts.
    """
    by_size: dict[int, dict[str, Imported]] = {}
    for one in known:
        if one.size:
            by_size.setdefault(one.size, {})[one.digest] = one
    found: Imported | None = None
    digest = hashlib.sha256()
    size = 0
    with path.open("rb") as file:
        for mark in sorted(by_size):
            size += _read(file, digest, mark - size)
            if size < mark:
                break
            found = by_size[mark].get(digest.hexdigest(), found)
        size += _read(file, digest, None)
    whole = digest.hexdigest()
    file_id = found.file if found else whole[:_ID_LENGTH]
    so_far = Imported(
        file=file_id,
        size=size,
        digest=whole,
        cursor=found.cursor if found else None,
        rows=found.rows if found else 0,
    )
    return File(path, file_id, size), so_far


def _read(file: BinaryIO, digest: hashlib._Hash, size: int | None) -> int:
    """Add `size` bytes, or all that are left, to the digest; return how many there were."""
    done = 0
    while chunk := file.read(_CHUNK if size is None else min(_CHUNK, size - done)):
        digest.update(chunk)
        done += len(chunk)
    return done
