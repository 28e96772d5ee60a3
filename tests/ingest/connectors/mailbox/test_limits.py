"""Limits that a server tells, which the real one of the tests never does."""

from __future__ import annotations

import socketserver
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from ingest.connector import NotNow
from ingest.kit.imap import TIMEOUT_S
from tests.ingest.connectors.mailbox.boxes import (
    mailbox,
    read,
)


def test_nobody_there():
    with pytest.raises(NotNow, match="not reachable: ConnectionRefusedError"):
        read(mailbox(port=1))


@contextmanager
def saying(**answers: str) -> Iterator[int]:
    """A server that answers some commands so; its port."""

    class Session(socketserver.StreamRequestHandler):
        def handle(self) -> None:
            self.wfile.write(b"* OK ready\r\n")
            while line := self.rfile.readline():
                tag, command, *_ = line.decode().split()
                answer = answers.get(command.upper(), "OK done")
                if command.upper() == "CAPABILITY":
                    self.wfile.write(b"* CAPABILITY IMAP4rev1\r\n")
                if command.upper() == "EXAMINE":
                    self.wfile.write(b"* OK [UIDVALIDITY 1] x\r\n* OK [UIDNEXT 9] x\r\n")
                if answer == "BYE":
                    self.wfile.write(b"* BYE [UNAVAILABLE] try again later\r\n")
                    return
                self.wfile.write(f"{tag} {answer}\r\n".encode())

    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Session) as server:
        server.daemon_threads = True
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        yield server.server_address[1]
        server.shutdown()
        thread.join()


@pytest.mark.parametrize(
    ("answers", "cause", "retry_after"),
    [
        ({"LOGIN": "NO [LIMIT] Too many simultaneous connections."}, "limited", None),
        ({"LOGIN": "NO [THROTTLED] Rate limit hit."}, "limited", None),
        ({"UID": "NO [OVERQUOTA] Bandwidth limits exceeded"}, "limited", None),
        (
            {"UID": "BAD Request is throttled. Suggested Backoff Time: 299962 milliseconds"},
            "limited",
            299.962,
        ),
        ({"EXAMINE": "BYE"}, "limited", None),
        ({"UID": "NO Something else"}, "refused", None),
    ],
)
def test_limits_are_told_apart_and_their_time_is_kept(
    answers: dict[str, str], cause: str, retry_after: float | None
):
    with saying(**answers) as port, pytest.raises(NotNow) as problem:
        read(mailbox(port=port))
    assert (problem.value.cause, problem.value.retry_after) == (cause, retry_after)


def test_each_wait_is_bounded():
    assert TIMEOUT_S <= 60
