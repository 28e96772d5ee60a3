"""The folder of a generation's state."""

from __future__ import annotations

from pathlib import Path

from deploy.runtime.membership import state_folder


def test_each_generation_has_a_folder_and_those_of_others_go(tmp_path: Path):
    first = state_folder(tmp_path, "shop", "shop", "trails")
    assert first == tmp_path
    for folder in (tmp_path, tmp_path / "g3"):
        for stage in ("trails", "graph"):
            (folder / f"{stage}-cluster").mkdir(parents=True)
    (tmp_path / "instance").touch()
    own = state_folder(tmp_path, "shop", "shop.g7", "trails")
    (own / "trails-cluster").mkdir(parents=True)
    assert own == tmp_path / "g7"
    state_folder(tmp_path, "shop", "shop.g7", "trails")
    left = {str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*-cluster")}
    # Another stage's process may not have ended yet.
    assert left == {"graph-cluster", "g3/graph-cluster", "g7/trails-cluster"}
