"""A mailbox's side: messages in a folder on an IMAP server, see `imap_server`.

A content of the suite is a mailbox in one file (mbox, RFC 4155): each message behind a line that
begins with `From `.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import ClassVar

from ingest.connectors.mailbox.connector import Mailbox, MailboxOptions
from ingest.connectors.mailbox.imap_server import HOST, ImapServer
from ingest.testing.batch import BatchConnectorSuite
from ingest.testing.values import MARK, contents

USER, PASSWORD = "support@own.example", "imap-secret-7Kq"
MESSAGES = contents(Path(__file__).parent / "payloads")
#: Messages of nobody, and of the company itself.
BAD = (
    f"Subject: {MARK}\n\n".encode(),
    f"From: boss@own.example\nMessage-ID: <{MARK}@own.example>\n\n".encode(),
)
_FROM = b"From -\n"


def mbox(*messages: bytes) -> bytes:
    """Return a mailbox in one file."""
    return b"".join(_FROM + message for message in messages)


def opened(content: bytes) -> list[bytes]:
    """Return the messages of a mailbox in one file, with the line ends of e-mail."""
    lines = re.sub(rb"\r?\n", b"\r\n", content)
    return [one for one in re.split(rb"^From .*\n", lines, flags=re.MULTILINE) if one]


class MailboxContract(BatchConnectorSuite):
    """Inquiries, and reports of what did not arrive or was not wanted."""

    name = "mailbox"
    contents: ClassVar[dict[str, bytes]] = {
        "one": mbox(MESSAGES["inquiry"]),
        "all": mbox(*MESSAGES.values()),
    }
    broken: ClassVar[dict[str, tuple[bytes, int]]] = {
        "between good ones": (mbox(MESSAGES["inquiry"], *BAD, MESSAGES["form"]), len(BAD))
    }
    secrets = (PASSWORD,)
    own = (("email", USER),)
    server: ClassVar[ImapServer]

    @classmethod
    def setup_class(cls) -> None:
        cls.server = ImapServer(USER, PASSWORD)

    @classmethod
    def teardown_class(cls) -> None:
        cls.server.close()

    def make(self, content: bytes, folder: Path) -> Mailbox:
        self.server.messages = opened(content)
        options = {"host": HOST, "port": self.server.port, "tls": "none", "username": USER}
        return Mailbox(MailboxOptions.model_validate({**options, "password": PASSWORD}))
