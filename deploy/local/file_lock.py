"""A lock between processes."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path
from typing import TextIO


class AlreadyHeld(Exception):
    """Another process has the lock; `str()` is its id."""


class FileLock:
    """A file that one process at a time can lock; the kernel unlocks it when that process ends."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file: TextIO | None = None

    @property
    def held(self) -> bool:
        """True if this process holds the lock."""
        return self._file is not None

    def acquire(self) -> None:
        """Lock the file, and write this process's id into it. Raises `AlreadyHeld`."""
        while True:
            file = self._path.open("a+", encoding="ascii")
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                with file:
                    file.seek(0)
                    raise AlreadyHeld(file.read().strip() or "unknown") from None
            if self._is_present(file):
                break
            file.close()
        file.truncate(0)
        file.write(str(os.getpid()))
        file.flush()
        self._file = file

    def _is_present(self, file: TextIO) -> bool:
        """Return True if the path still names the locked file: its holder removes it on release."""
        try:
            return os.path.samestat(os.fstat(file.fileno()), self._path.stat())
        except FileNotFoundError:
            return False

    def release(self) -> None:
        """Remove the file and unlock it; do nothing if this process does not hold the lock."""
        if self._file is not None:
            self._path.unlink(missing_ok=True)
            self._file.close()
            self._file = None
