"""Child processes that never outlive us, free ports and waiting with a bound."""

from __future__ import annotations

import contextlib
import ctypes
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from http.client import HTTPException
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
    """A TCP port that nobody listens on at this moment."""
    with socket.socket() as probe:
        probe.bind((host, 0))
        port: int = probe.getsockname()[1]
        return port


def port_or_free(port: int, host: str = "127.0.0.1") -> int:
    """`port` if nobody listens on it, otherwise a free one."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError:
            return free_port(host)
        return port


def ports_or_free(first: int, count: int, host: str = "127.0.0.1") -> int:
    """The first of `count` neighbouring free ports: `first` itself if it can be."""
    while not all(
        first and first + i < 65_536 and port_or_free(first + i, host) == first + i
        for i in range(count)
    ):
        first = free_port(host)
    return first


def fetch(url: str, timeout: float = 2.0) -> bytes | None:
    """What a local HTTP server answers with 200; None if it does anything else."""
    with contextlib.suppress(OSError, HTTPException), urlopen(url, timeout=timeout) as response:  # noqa: S310 - our own addresses
        body: bytes = response.read()
        return body
    return None


def listening(host: str, port: int) -> bool:
    """Whether somebody accepts connections there."""
    with contextlib.suppress(OSError), socket.create_connection((host, port), timeout=0.5):
        return True
    return False


def wait_until(condition: Callable[[], bool], timeout: float, interval: float = 0.05) -> bool:
    """Poll `condition` until it is true; False if it was not within `timeout` seconds."""
    deadline = time.monotonic() + timeout
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(interval)
    return True


def stop(process: subprocess.Popen[bytes], grace: float = 10.0) -> int:
    """End a child: SIGTERM, then SIGKILL after `grace` seconds; its exit status."""
    if process.poll() is None:
        process.terminate()
        try:
            process.wait(grace)
        except subprocess.TimeoutExpired:
            process.kill()
    return process.wait()
