"""The demo as a user starts it, on a fiftieth of its data."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

pytestmark = pytest.mark.integration

SMALL = (
    "import sys; from functools import partial; from pathlib import Path;"
    "from deploy.cli.progress import bar; from deploy.demo import run;"
    "from deploy.demo.generate import Size;"
    "sys.exit(run(partial(bar, sys.stdout), data=Path(sys.argv[1]), size=Size().scaled(0.02)))"
)


def start(folder: Path) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", SMALL, str(folder)], stdout=subprocess.PIPE, text=True
    )


def left_behind(folder: Path) -> list[str]:
    """Command lines of processes that work in the folder."""
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            words = (entry / "cmdline").read_bytes() + (entry / "environ").read_bytes()
        except OSError:
            continue
        if str(folder).encode() in words and int(entry.name) != os.getpid():
            found.append((entry / "cmdline").read_text().replace("\0", " "))
    return found


def test_all_proofs_hold_and_no_process_is_left(tmp_path: Path) -> None:
    folder = tmp_path / "demo"
    demo = start(folder)
    text, _ = demo.communicate()
    assert demo.returncode == 0, text
    assert "FAILED" not in text
    assert "proofs hold" in text
    for heading in ("TOUCHES", "PEOPLE", "SEGMENTS", "ENGAGEMENT", "ABC SPLIT", "BUSIEST", "PROOF"):
        assert f"\n{heading}" in text
    assert f"data: {folder}/data" in text
    assert left_behind(folder) == []


def test_ctrl_c_in_the_middle_leaves_no_process(
    tmp_path: Path, wait_for: Callable[..., None]
) -> None:
    folder = tmp_path / "demo"
    demo = start(folder)
    wait_for((folder / "data" / "logs" / "worker.log").exists, timeout=60)
    demo.send_signal(signal.SIGINT)
    text, _ = demo.communicate(timeout=90)
    assert demo.returncode == 130, text
    assert "nothing is left running" in text
    assert left_behind(folder) == []


def test_a_folder_with_something_in_it_is_refused(tmp_path: Path) -> None:
    (tmp_path / "mine").write_text("keep")
    demo = start(tmp_path)
    text, _ = demo.communicate(timeout=60)
    assert demo.returncode == 1
    assert "is not empty" in text.replace("\n", "")
