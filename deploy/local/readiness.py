"""Waits for servers on this machine."""

from __future__ import annotations

import contextlib
import socket
import time
from collections.abc import Callable
from http.client import HTTPException
from urllib.request import urlopen


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
