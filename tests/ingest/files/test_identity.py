"""Files are told apart by content, through growth, and not by name."""

from __future__ import annotations

from pathlib import Path

import pytest
from msgspec.structs import replace

from ingest.files.identity import Imported, decode, identify


def written(path: Path, content: bytes) -> Path:
    path.write_bytes(content)
    return path


@pytest.fixture
def first(tmp_path: Path) -> Imported:
    _, so_far = identify(written(tmp_path / "a.csv", b"a,b\n1,2\n"), ())
    return replace(so_far, cursor="8:1:2", rows=1)


def test_a_new_file_has_an_id_of_its_content(tmp_path: Path):
    one, so_far = identify(written(tmp_path / "a", b"x\n" * 3_000_000), ())
    other, _ = identify(written(tmp_path / "b", b"x\n" * 2_999_999 + b"y\n"), ())
    assert one.id != other.id
    assert (so_far.cursor, so_far.rows, so_far.size) == (None, 0, 6_000_000)
    assert decode(so_far.encode()) == so_far


def test_the_same_content_is_the_same_file_whatever_its_name(tmp_path: Path, first: Imported):
    file, so_far = identify(written(tmp_path / "b.csv", b"a,b\n1,2\n"), [first])
    assert (file.id, so_far) == (first.file, first)


def test_a_file_that_has_grown_goes_on_and_keeps_its_id(tmp_path: Path, first: Imported):
    grown = written(tmp_path / "a.csv", b"a,b\n1,2\n3,4\n")
    file, so_far = identify(grown, [first])
    assert (file.id, file.size, so_far.cursor, so_far.rows) == (first.file, 12, "8:1:2", 1)
    again, later = identify(written(grown, b"a,b\n1,2\n3,4\n5,6\n"), [first, so_far])
    assert (again.id, later.size) == (first.file, 16)


def test_a_file_that_was_changed_or_cut_is_another_one(tmp_path: Path, first: Imported):
    for content in (b"a,b\n1,3\n", b"a,b\n1,3\n3,4\n", b"a,b\n1,2", b"a,b\n", b""):
        file, so_far = identify(written(tmp_path / "a.csv", content), [first])
        assert file.id != first.file
        assert so_far.cursor is None


def test_of_several_known_files_it_is_the_longest_that_it_begins_with(tmp_path: Path):
    contents = [b"h\n", b"h\n1\n", b"h\n1\n2\n", b"h\n9\n2\n"]
    known = [
        replace(identify(written(tmp_path / str(i), content), ())[1], cursor=str(i))
        for i, content in enumerate(contents)
    ]
    _, so_far = identify(written(tmp_path / "f", b"h\n1\n2\n3\n"), known)
    assert so_far.cursor == "2"


def test_an_empty_file_is_no_files_beginning(tmp_path: Path, first: Imported):
    _, empty = identify(written(tmp_path / "e", b""), ())
    _, so_far = identify(written(tmp_path / "f", b"a\n"), [replace(empty, cursor="0:0:0")])
    assert so_far.cursor is None
