"""A package with a connector, installed into a folder without network."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


class Installed:
    """The package in `folder`, installed into `site`. Commands run in its folder and find it."""

    def __init__(self, folder: Path, site: Path) -> None:
        self.folder = folder
        self._env = {**os.environ, "PYTHONPATH": os.pathsep.join((str(ROOT), str(site)))}
        pip = ("-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-deps")
        target = ("--no-build-isolation", "--target", str(site), str(folder))
        status, said = self.python(*pip, *target)
        assert status == 0, said

    def python(self, *arguments: str, **env: str) -> tuple[int, str]:
        """Exit status and output of Python."""
        ended = subprocess.run(
            [sys.executable, *arguments],
            cwd=self.folder,
            env={**self._env, **env},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        return ended.returncode, ended.stdout

    def connectors(self, *arguments: str) -> tuple[int, str]:
        """Exit status and output of `touchline connectors`."""
        return self.python("-m", "deploy", "connectors", *arguments)

    def assert_clean(self) -> None:
        """Its own tests pass, and format, lint and strict types hold."""
        told = (
            ["pytest", "-q", "-p", "no:cacheprovider"],
            ["ruff", "format", "--no-cache", "--check", "."],
        )
        more = ["ruff", "check", "--no-cache", "."], ["mypy", f"--cache-dir={ROOT / '.mypy_cache'}"]
        for command in (*told, *more):
            status, said = self.python("-m", *command, MYPYPATH=str(ROOT))
            assert status == 0, said
