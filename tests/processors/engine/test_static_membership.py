"""A process is the same member of its group after each start."""

from __future__ import annotations

from pathlib import Path

from processors.engine.static_membership import instance_id


def test_a_process_that_comes_back_has_its_name_again(tmp_path: Path) -> None:
    with instance_id(tmp_path / "new" / "data", "group") as first:
        pass
    with instance_id(tmp_path / "new" / "data", "group") as again:
        assert again == first


def test_processes_of_one_folder_and_of_different_folders_differ(tmp_path: Path) -> None:
    with (
        instance_id(tmp_path / "a", "group") as one,
        instance_id(tmp_path / "a", "group") as two,
        instance_id(tmp_path / "b", "group") as three,
        instance_id(tmp_path / "a", "another group") as four,
    ):
        assert len({one, two, three}) == 3
        assert four == one
