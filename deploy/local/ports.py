"""Free ports, and reservations of them."""

from __future__ import annotations

import os
import socket
import tempfile
from pathlib import Path

from deploy.local.file_lock import AlreadyHeld, FileLock


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
