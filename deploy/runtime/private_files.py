"""Folders of customers' data, which nobody but the user of the process may enter."""

from __future__ import annotations

from pathlib import Path


def private_folder(folder: Path) -> None:
    """Make a folder that only its owner may enter, or take others' rights from the one there is."""
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    folder.chmod(0o700)
