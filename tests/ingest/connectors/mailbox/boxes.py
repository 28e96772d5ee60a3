"""A mailbox in tests: its connector, and what it makes of messages."""

from __future__ import annotations

from typing import Any

from ingest.connector import Context, Request, Result, Row
from ingest.connectors.mailbox.connector import Mailbox, MailboxOptions
from ingest.connectors.mailbox.contract import MESSAGES, PASSWORD, USER
from ingest.connectors.mailbox.imap_server import CAME_IN
from ingest.files.reader import BatchSource, SourceReader
from ingest.intake.accept import SourcePolicy
from ingest.intake.limits import Limits
from schemas.times import now_ms
from schemas.touchpoint import Touchpoint
from tests.support.mail_server import MailServer

NOW_MS = 1_795_248_000_000
CONTEXT = Context("support", NOW_MS)


def mailbox(**options: Any) -> Mailbox:
    given = {"host": "127.0.0.1", "username": USER, "password": PASSWORD, "tls": "none", **options}
    return Mailbox(MailboxOptions(**given))


def request(body: bytes, uid: int = 7) -> Request:
    headers = {"internaldate": CAME_IN, "size": "1234"}
    return Request("POST", f"/mailbox/INBOX/5/{uid}", "", "", headers, body)


def parse(body: bytes, **options: Any) -> list[Result]:
    return list(mailbox(**options).parse(request(body), CONTEXT))


def touch(name: str, **options: Any) -> Touchpoint:
    (found,) = parse(MESSAGES[name], **options)
    assert isinstance(found, Touchpoint), found
    return found


def who(result: Result) -> list[tuple[str, str]]:
    assert isinstance(result, Touchpoint), result
    return [(one.kind, one.value) for one in result.identifiers]


def touches(found: list[Result]) -> list[Touchpoint]:
    assert all(isinstance(one, Touchpoint) for one in found), found
    return [one for one in found if isinstance(one, Touchpoint)]


def connected(server: MailServer, folder: str, **options: Any) -> Mailbox:
    return mailbox(folder=folder, **{"port": server.port, **options})


def read(connector: Mailbox, cursor: str | None = None) -> list[Row]:
    return list(connector.rows(cursor, CONTEXT))


def ids(connector: Mailbox, rows: list[Row]) -> list[str]:
    return [
        one.event_id for row in rows for one in touches(list(connector.parse(row.request, CONTEXT)))
    ]


def reading(connector: Mailbox) -> SourceReader:
    source = BatchSource(connector, SourcePolicy("support"))
    return SourceReader(source, Limits(), now_ms)
