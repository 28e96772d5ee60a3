"""Locks and ports of the local stack."""

from __future__ import annotations

from pathlib import Path

import pytest

from deploy.local.processes import AlreadyHeld, FileLock


def test_a_lock_is_held_by_one_and_leaves_no_file(tmp_path: Path):
    path = tmp_path / "one.lock"
    first, second = FileLock(path), FileLock(path)
    first.take()
    with pytest.raises(AlreadyHeld):
        second.take()
    first.release()
    assert not path.exists()
    second.take()
    assert second.taken
    with pytest.raises(AlreadyHeld):
        first.take()
    second.release()


def test_a_file_that_its_holder_has_removed_meanwhile_is_not_the_lock(tmp_path: Path, monkeypatch):
    path = tmp_path / "one.lock"
    path.touch()
    lock = FileLock(path)
    seen = []
    present = FileLock._is_present

    def removed_first(self, file):
        if not seen:
            path.unlink()
        seen.append(present(self, file))
        return seen[-1]

    monkeypatch.setattr(FileLock, "_is_present", removed_first)
    lock.take()
    assert seen == [False, True]
    assert path.exists()
    lock.release()
