"""A mailbox: incoming inquiries as touches, read over IMAP and left unchanged.

Source: the RFCs that `imap` and `mail_message` in ingest/kit name. A message is known by its
Message-ID, the place in the folder by UIDVALIDITY and UID. See docs/channels/mailbox.md.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated, Any, ClassVar, NamedTuple
from urllib.parse import quote

from pydantic import Field, SecretStr, StringConstraints

from ingest.connector import (
    Context,
    Options,
    Position,
    Request,
    Result,
    Row,
    RowConnector,
)
from ingest.kit.fields import finish, label
from ingest.kit.imap import Account, Fetched, Folder, Tls, internal_moment
from ingest.kit.incoming_mail import Own, OwnDomains, event_id_of, touches
from ingest.kit.mail_message import TEXT_LENGTH, Mail, sent_at
from schemas.rejection import Rejection

#: Most bytes read of the headers, and of a message where its content is needed.
HEADER_BYTES = 64 * 1024
MESSAGE_BYTES = 256 * 1024
_REFERENCES = 20
#: When the numbers of a folder have changed, messages that came in up to this long before the
#: last one read are read again; their ids make them redeliveries.
_OVERLAP = timedelta(days=2)


class MailboxOptions(Options):
    """`host`, `username` and `password` of an IMAP server, and the `folder`.

    `own_domains` are the company's: their addresses are never a customer's; by default the domain
    of the username, unless it is a public mail provider's. `since`: messages that came in before
    that day are skipped. `text`: keep the start of the plain text too. `every_s`: seconds between
    two polls. `tls` is implicit, starttls, or none for a server on the same machine; `ca_file` is
    for a certificate of your own.
    """

    host: Annotated[str, StringConstraints(min_length=1)]
    username: Annotated[str, StringConstraints(min_length=1)]
    password: SecretStr = Field(min_length=1)
    folder: Annotated[str, StringConstraints(min_length=1)] = "INBOX"
    port: Annotated[int, Field(ge=1, le=65_535)] | None = None
    tls: Tls = "implicit"
    ca_file: Path | None = None
    own_domains: OwnDomains = ()
    since: Annotated[str, StringConstraints(pattern=r"^\d{4}-\d\d-\d\d$")] | None = None
    text: bool = False
    every_s: Annotated[float, Field(ge=1)] = 60


class Place(NamedTuple):
    """The position in the folder: its UIDVALIDITY, the last UID read, and when that came in."""

    validity: int
    uid: int
    at: int = 0

    @classmethod
    def of(cls, cursor: str) -> Place:
        """Parse a cursor."""
        return cls(*(int(part) for part in cursor.split(":")))

    @property
    def cursor(self) -> str:
        """The position as it is stored."""
        return f"{self.validity}:{self.uid}:{self.at}"


class Mailbox(RowConnector):
    """A folder on an IMAP server."""

    name: ClassVar[str] = "mailbox"
    doc: ClassVar[str] = "E-mail: incoming messages of a mailbox, over IMAP, read-only"
    options: ClassVar[type[Options]] = MailboxOptions
    reads: ClassVar[tuple[str, ...]] = ("internaldate", "size")
    pulls: ClassVar[bool] = True

    def __init__(self, options: MailboxOptions) -> None:
        self.pause_s = options.every_s
        port = options.port or (993 if options.tls == "implicit" else 143)
        self._account = Account(
            options.host,
            port,
            options.tls,
            options.username,
            options.password.get_secret_value(),
            options.ca_file,
        )
        self._folder = options.folder
        self._text = options.text
        try:
            self._since = datetime.fromisoformat(options.since) if options.since else None
        except ValueError:
            raise ValueError("since: must be a day like 2026-11-20") from None
        self._own = Own.mailbox(options.own_domains, options.username)

    def rows(self, cursor: str | None, context: Context) -> Iterator[Row]:
        """Yield a row for each message after the cursor, in the order of their numbers."""
        place = Place.of(cursor) if cursor else None
        with Folder(self._account, self._folder) as folder:
            since = self._since
            first, at = 1, 0
            if place is not None:
                at = place.at
                if place.validity == folder.uid_validity:
                    first = place.uid + 1
                else:
                    since = max(_utc(since), _utc_of(at) - _OVERLAP) if at else since
            for uids in folder.uids(first, since):
                for message in self._messages(folder, uids):
                    at = max(at, _seconds(message.internal_date))
                    here = Place(folder.uid_validity, message.uid, at)
                    yield self._row(message, here, folder.uid_next)

    def row_of(self, message: bytes) -> Row:
        """Return the row of a message alone, as the first one of the folder."""
        fetched = Fetched(1, len(message), "", message[:MESSAGE_BYTES])
        return self._row(fetched, Place(1, fetched.uid), 2)

    def _messages(self, folder: Folder, uids: Sequence[int]) -> list[Fetched]:
        """Return the headers, and of reports all that is needed to know whom they are about."""
        if self._text:
            return folder.messages(uids, MESSAGE_BYTES)
        found = folder.headers(uids, HEADER_BYTES)
        reports = [one.uid for one in found if Mail(one.data).report is not None]
        if not reports:
            return found
        whole = {one.uid: one for one in folder.messages(reports, MESSAGE_BYTES)}
        return [whole.get(one.uid, one) for one in found]

    def _row(self, message: Fetched, place: Place, uid_next: int) -> Row:
        path = f"/mailbox/{quote(self._folder, safe='')}/{place.validity}/{place.uid}"
        headers = {"internaldate": message.internal_date, "size": str(message.size)}
        return Row(
            Request("POST", path, "", "", headers, message.data),
            Position(place.cursor, place.uid / max(1, uid_next - 1)),
            f"{self._folder}, message {place.uid}",
        )

    def parse(self, request: Request, context: Context) -> Iterator[Result]:
        """Yield the touch of a message; for a report one for each receiver that it is about."""
        try:
            mail = Mail(request.body)
            yield from self._touches(mail, request, context)
        except RecursionError:
            yield Rejection("unreadable", "the message: is nested too deeply", request.body)

    def _touches(self, mail: Mail, request: Request, context: Context) -> Iterator[Result]:
        own = self._own or Own.receiving((), (), mail)
        whole = _event_id(mail, request)
        at = sent_at(mail.raw("Date"), context.received_ms)
        for touch in touches(mail, own, self.name):
            if touch.customer is None and touch.own:
                yield Rejection("unsupported", touch.nobody or "", request.body, mail.message_id)
                continue
            fields = {
                **touch.fields(whole),
                "occurred_at": at or internal_moment(request.headers.get("internaldate", "")),
                "subject": label(mail.text("Subject")) or None,
                "properties": {**self._properties(mail, own, request), **touch.properties},
            }
            yield finish(
                fields, [], lambda: request.body, None, touch.nobody or "From: names no sender"
            )

    def _properties(self, mail: Mail, own: Own, request: Request) -> dict[str, Any]:
        size = request.headers.get("size", "")
        texts = {
            "message_id": mail.message_id,
            "in_reply_to": next(iter(mail.ids("In-Reply-To")), None),
            "from_name": mail.name("From"),
            "reply_to": mail.address("Reply-To"),
            "auto_submitted": mail.raw("Auto-Submitted") or None,
            "list_id": mail.text("List-Id") or None,
            "text": mail.body(TEXT_LENGTH) or None if self._text else None,
        }
        found: dict[str, Any] = {
            name: text if name == "text" else label(text) for name, text in texts.items() if text
        }
        if references := mail.ids("References"):
            found["references"] = [label(one) for one in references[-_REFERENCES:]]
        if to := [one for one in mail.addresses("To") if one in own]:
            found["to"] = to
        if size.isdecimal():
            found["size"] = int(size)
        return found


def _event_id(mail: Mail, request: Request) -> str:
    """Return the Message-ID, which stays when a message is moved; else its place in the folder."""
    message_id = mail.message_id
    if message_id is None:
        return request.path.removeprefix("/mailbox/")
    return event_id_of(message_id)


def _seconds(internal_date: str) -> int:
    moment = internal_moment(internal_date)
    return 0 if moment is None else max(0, int(moment.timestamp()))


def _utc(moment: datetime | None) -> datetime:
    return datetime(1970, 1, 1, tzinfo=UTC) if moment is None else moment.replace(tzinfo=UTC)


def _utc_of(seconds: int) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)
