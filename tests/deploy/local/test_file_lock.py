"""Locks of the local stack."""

from __future__ import annotations

from pathlib import Path
from typing import TextIO

import pytest

from deploy.local.file_lock import AlreadyHeld, FileLock


def test_a_lock_is_held_by_one_and_leaves_no_file(tmp_path: Path):
    path = tmp_path / "one.lock"
    first, second = FileLock(path), FileLock(path)
    first.acquire()
    with pytest.raises(AlreadyHeld):
        second.acquire()
    first.release()
    assert not path.exists()
    second.acquire()
    assert second.held
    with pytest.raises(AlreadyHeld):
        first.acquire()
    second.release()


class Unlucky(FileLock):
    """Its file is removed by the previous holder between opening and locking it, once."""

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self.path = path
        self.looks: list[bool] = []

    def _is_present(self, file: TextIO) -> bool:
        if not self.looks:
            self.path.unlink()
        self.looks.append(super()._is_present(file))
        return self.looks[-1]


def test_a_file_that_its_holder_has_removed_meanwhile_is_not_the_lock(tmp_path: Path):
    lock = Unlucky(tmp_path / "one.lock")
    lock.acquire()
    assert lock.looks == [False, True]
    assert lock.path.exists()
    lock.release()
