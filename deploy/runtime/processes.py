"""Child processes that never outlive this one, free ports, and bounded waits."""

from __future__ import annotations

import contextlib
import ctypes
import fcntl
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from http.client import HTTPException
from pathlib import Path
from typing import TextIO
from urllib.request import urlopen

_PR_SET_PDEATHSIG = 1


def die_with_parent() -> None:
    """Ask Linux to end this process when its parent ends, even by SIGKILL; elsewhere do nothing.

    Meant as `preexec_fn`. The kernel ties it to the *thread* that forks: start children from a
    thread that lives as long as the parent, usually the main one.
    """
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)


def free_port(host: str = "127.0.0.1") -> int:
    """Return a TCP port on which no process listens at this moment."""
    with socket.socket() as probe:
        probe.bind((host, 0))
        port: int = probe.getsockname()[1]
        return port


def is_free(port: int, host: str = "127.0.0.1") -> bool:
    """Return True if no process listens on a port at this moment."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError:
            return False
    return True


def port_or_free(port: int, host: str = "127.0.0.1") -> int:
    """Return `port` if no process listens on it, otherwise a free one."""
    return port if is_free(port, host) else free_port(host)


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


class PortReservations:
    """Ports chosen for children that will listen on them later.

    Two stacks that start at the same time would choose the same ports, so each port is also
    reserved by a lock on a file until `release`.
    """

    def __init__(self) -> None:
        self._claims: list[FileLock] = []

    def reserve(self, wanted: int, count: int = 1, host: str = "127.0.0.1") -> int:
        """Return the first of `count` adjacent ports: `wanted` if all are free, else free ones."""
        first = wanted or free_port(host)
        while first + count > 65_536 or not all(
            is_free(port, host) and self._claim(port) for port in range(first, first + count)
        ):
            first = free_port(host)
        return first

    def release(self) -> None:
        """Release all reserved ports."""
        for claim in self._claims:
            claim.release()
        self._claims.clear()

    def _claim(self, port: int) -> bool:
        name = f"touchline-{os.getuid()}-port-{port}.lock"
        claim = FileLock(Path(tempfile.gettempdir()) / name)
        try:
            claim.acquire()
        except AlreadyHeld:
            return False
        self._claims.append(claim)
        return True


def fetch(url: str, timeout: float = 2.0) -> bytes | None:
    """Return the body of a local HTTP server's 200 answer; None for anything else."""
    with contextlib.suppress(OSError, HTTPException), urlopen(url, timeout=timeout) as response:  # noqa: S310 - our own addresses
        body: bytes = response.read()
        return body
    return None


def listening(host: str, port: int) -> bool:
    """Return True if a server accepts connections at this address."""
    with contextlib.suppress(OSError), socket.create_connection((host, port), timeout=0.5):
        return True
    return False


def wait_until(condition: Callable[[], bool], timeout: float, interval: float = 0.05) -> bool:
    """Poll `condition` until it is true; return False if it is not within `timeout` seconds."""
    deadline = time.monotonic() + timeout
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(interval)
    return True


def stop(process: subprocess.Popen[bytes], grace: float = 10.0) -> int:
    """Stop a child: SIGTERM, then SIGKILL after `grace` seconds; return its exit status."""
    if process.poll() is None:
        process.terminate()
        try:
            process.wait(grace)
        except subprocess.TimeoutExpired:
            process.kill()
    return process.wait()
