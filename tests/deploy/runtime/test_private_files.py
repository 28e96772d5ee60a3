"""Folders of customers' data are their owner's alone."""

from __future__ import annotations

import stat
from pathlib import Path

from deploy.kafka.cursors import FolderCursors
from deploy.local.stack_file import Addresses, StackFile
from deploy.runtime.private_files import private_folder


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_a_folder_is_made_private_also_one_that_is_there(tmp_path: Path):
    folder = tmp_path / "a" / "b"
    private_folder(folder)
    assert mode(folder) == 0o700
    folder.chmod(0o755)
    private_folder(folder)
    assert mode(folder) == 0o700


def test_files_of_addresses_and_cursors_are_their_owners_alone(tmp_path: Path):
    StackFile(tmp_path).write(Addresses())
    assert mode(tmp_path / "stack.json") == 0o600
    path = tmp_path / "cursors.json"
    FolderCursors(path).move("a", b"1")

    assert mode(path) == 0o600
