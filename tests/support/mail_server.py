"""A real IMAP server for tests: GreenMail, one jar from Maven Central, fetched once."""

from __future__ import annotations

import contextlib
import imaplib
import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest

from deploy.local.kafka import KafkaUnavailable, missing_tools
from deploy.local.ports import free_port
from deploy.local.readiness import wait_until
from deploy.runtime.processes import die_with_parent, stop
from ingest.connectors.mailbox.contract import PASSWORD, USER

VERSION = "2.1.5"
_JAR = Path.home() / ".cache" / "touchline" / f"greenmail-standalone-{VERSION}.jar"


def jar() -> Path:
    """The server's jar; skips the test where Java or Maven is missing, if it may."""
    try:
        if missing := missing_tools():
            raise KafkaUnavailable(missing)
        if not _JAR.exists():
            _fetch()
    except KafkaUnavailable as problem:
        reason = f"tests on a real IMAP server did not run: {problem}"
        if os.environ.get("TOUCHLINE_REQUIRE_KAFKA"):
            pytest.fail(reason)
        pytest.skip(reason)
    return _JAR


def _fetch() -> None:
    _JAR.parent.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(dir=_JAR.parent) as work:
        artifact = f"com.icegreen:greenmail-standalone:{VERSION}"
        result = subprocess.run(
            ["mvn", "-B", "-q", "dependency:copy", f"-Dartifact={artifact}",
             f"-DoutputDirectory={work}"],
            cwd=work, capture_output=True, text=True, check=False,
        )  # fmt: skip
        if result.returncode:
            raise KafkaUnavailable(f"Maven could not fetch GreenMail {VERSION}")
        (Path(work) / _JAR.name).replace(_JAR)


class MailServer:
    """The server, and what its users do: messages come in, go and are moved."""

    host = "127.0.0.1"

    def __init__(self, folder: Path) -> None:
        self.port = free_port()
        with (folder / "greenmail.log").open("wb") as log:
            self._process = subprocess.Popen(
                [
                    shutil.which("java") or "java", "-Xmx128m", "-XX:+UseSerialGC",
                    f"-Djava.io.tmpdir={folder}",
                    f"-Dgreenmail.imap.hostname={self.host}", f"-Dgreenmail.imap.port={self.port}",
                    f"-Dgreenmail.users=support:{PASSWORD}@own.example",
                    "-Dgreenmail.users.login=email", "-jar", str(jar()),
                ],
                stdout=log, stderr=subprocess.STDOUT, preexec_fn=die_with_parent,  # noqa: PLW1509 - only a system call
            )  # fmt: skip
        assert wait_until(self._greets, 60)

    def _greets(self) -> bool:
        """Ready; with a farewell, as the server never ends a connection that only went away."""
        try:
            imaplib.IMAP4(self.host, self.port, timeout=30).logout()
        except (OSError, imaplib.IMAP4.error):
            return False
        return True

    @contextlib.contextmanager
    def user(self) -> Iterator[imaplib.IMAP4]:
        """A session of the mailbox's owner, who may write."""
        client = imaplib.IMAP4(self.host, self.port, timeout=30)
        client.login(USER, PASSWORD)
        try:
            yield client
        finally:
            client.logout()

    def deliver(self, message: bytes, folder: str = "INBOX", at: str | None = None) -> None:
        """A message comes in, at a time such as `20-Nov-2026 09:15:00 +0900`."""
        with self.user() as client:
            moment: Any = f'"{at}"' if at else None
            status, _ = client.append(f'"{folder}"', "", moment, message)
            assert status == "OK"

    def anew(self, folder: str) -> None:
        """The folder, empty, with another UIDVALIDITY."""
        before = f"{folder} before"
        with self.user() as client:
            assert client.rename(f'"{folder}"', f'"{before}"')[0] == "OK"

            def differs() -> bool:
                assert client.create(f'"{folder}"')[0] == "OK"
                if self._validity(client, folder) != self._validity(client, before):
                    return True
                client.delete(f'"{folder}"')
                return False

            # The server takes the second in which the folder was made.
            assert wait_until(differs, 10)

    def _validity(self, client: imaplib.IMAP4, folder: str) -> bytes:
        _, (answer,) = client.status(f'"{folder}"', "(UIDVALIDITY)")
        return re.findall(rb"UIDVALIDITY (\d+)", answer or b"")[0]

    def flags(self, folder: str) -> set[str]:
        """All flags that messages of a folder have."""
        with self.user() as client:
            client.select(f'"{folder}"', readonly=True)
            _, answer = client.uid("FETCH", "1:*", "(FLAGS)")
            return {
                flag.decode()
                for line in answer
                if isinstance(line, bytes)
                for flag in imaplib.ParseFlags(line)
            }

    def stop(self) -> None:
        stop(self._process)


@pytest.fixture(scope="module")
def mail_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MailServer]:
    """A real IMAP server for a file of tests; use a folder of your own in it.

    Not for the whole run: it works without end on each connection that a test cuts. Skipped or
    failed as `kafka_broker` is.
    """
    jar()
    server = MailServer(tmp_path_factory.mktemp("mail"))
    yield server
    server.stop()
