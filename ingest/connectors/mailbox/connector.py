"""A mailbox: incoming inquiries as touches, read over IMAP and left unchanged.

Source: the RFCs that `imap` and `mail_message` in ingest/kit name. A message is known by its
Message-ID, the place in the folder by UIDVALIDITY and UID. See docs/channels/mailbox.md.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from hashlib import sha256
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
from ingest.kit.fields import MARKETING, finish, identifiers, label, snake_case
from ingest.kit.imap import Account, Fetched, Folder, Tls, internal_moment
from ingest.kit.mail_message import (
    DELIVERY_STATUS,
    FEEDBACK,
    TEXT_LENGTH,
    Mail,
    Receiver,
    sent_at,
)
from schemas.rejection import Rejection

#: Most bytes read of the headers, and of a message where its content is needed.
HEADER_BYTES = 64 * 1024
MESSAGE_BYTES = 256 * 1024
#: Longer ids are shortened to a digest.
_ID_LENGTH = 400
_REFERENCES = 20
#: When the numbers of a folder have changed, messages that came in up to this long before the
#: last one read are read again; their ids make them redeliveries.
_OVERLAP = timedelta(days=2)
#: Action in a delivery status -> type and direction.
_ACTIONS = {
    "failed": ("email_bounced", "outbound"),
    "delayed": ("email_deferred", "outbound"),
    "delivered": ("email_delivered", "outbound"),
    "relayed": ("email_delivered", "outbound"),
    "expanded": ("email_delivered", "outbound"),
    "complained": ("email_complained", "inbound"),
}
#: First digit of a status code -> outcome.
_CLASSES = {"5": "permanent", "4": "transient"}


class MailboxOptions(Options):
    """`host`, `username` and `password` of an IMAP server, and the `folder`.

    `own_domains` are the company's: their addresses are never a customer's; by default the domain
    of the username. `since`: messages that came in before that day are skipped. `text`: keep the
    start of the plain text too. `every_s`: seconds between two polls. `tls` is implicit, starttls,
    or none for a server on the same machine; `ca_file` is for a certificate of your own.
    """

    host: Annotated[str, StringConstraints(min_length=1)]
    username: Annotated[str, StringConstraints(min_length=1)]
    password: SecretStr = Field(min_length=1)
    folder: Annotated[str, StringConstraints(min_length=1)] = "INBOX"
    port: Annotated[int, Field(ge=1, le=65_535)] | None = None
    tls: Tls = "implicit"
    ca_file: Path | None = None
    own_domains: tuple[Annotated[str, StringConstraints(min_length=1, to_lower=True)], ...] = ()
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
        _, _, domain = options.username.partition("@")
        self._own = options.own_domains or ((domain.lower(),) if domain else ())

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
        replies = mail.is_reply_of_a_program
        if mail.report is not None or (mail.is_of_the_mail_system and not replies):
            yield from self._report(mail, request, context)
            return
        sender, where = self._sender(mail)
        if sender is None and where:
            detail = f"{where}: is an address of the company's own domain"
            yield Rejection("unsupported", detail, request.body, mail.message_id)
            return
        kind = "email_received"
        if replies:
            kind = "email_auto_replied"
        elif mail.is_of_a_program:
            kind = "email_auto_generated"
        fields = {
            **_common(mail, request, context),
            "event_id": _event_id(mail, request),
            "type": kind,
            "direction": "inbound",
            "identifiers": identifiers(("email", sender)),
            "properties": self._properties(mail, request),
        }
        yield finish(fields, [], lambda: request.body, None, "From: names no sender")

    def _sender(self, mail: Mail) -> tuple[str | None, str]:
        """Return the sender; a form on the company's site has the customer in Reply-To.

        If the headers name only the company: None, and the header that does.
        """
        sender = mail.address("From")
        if sender is None or not self._is_own(sender):
            return sender, ""
        answer_to = mail.address("Reply-To")
        if answer_to is not None and not self._is_own(answer_to):
            return answer_to, ""
        return None, "From"

    def _report(self, mail: Mail, request: Request, context: Context) -> Iterator[Result]:
        receivers = [one for one in mail.receivers() if not self._is_own(one.address)]
        whole = _event_id(mail, request)
        for number, receiver in enumerate(receivers or [Receiver("")]):
            kind, direction = _ACTIONS.get(receiver.action) or (_other(mail, receiver), "outbound")
            fields = {
                **_common(mail, request, context),
                "event_id": f"{whole}:{number}" if len(receivers) > 1 else whole,
                "type": kind,
                "direction": direction,
                "identifiers": identifiers(("email", receiver.address)),
                "outcome": _CLASSES.get(receiver.status[:1]),
                "consent": {MARKETING: False} if kind == "email_complained" else {},
                "properties": {
                    **self._properties(mail, request),
                    **({"status": label(receiver.status)} if receiver.status else {}),
                },
            }
            nobody = "the report: names no receiver"
            yield finish(fields, [], lambda: request.body, None, nobody)

    def _is_own(self, found: str) -> bool:
        domain = found.rpartition("@")[2].lower()
        return any(domain == own or domain.endswith(f".{own}") for own in self._own)

    def _properties(self, mail: Mail, request: Request) -> dict[str, Any]:
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
        if own := [one for one in mail.addresses("To") if self._is_own(one)]:
            found["to"] = own
        if size.isdecimal():
            found["size"] = int(size)
        return found


def _common(mail: Mail, request: Request, context: Context) -> dict[str, Any]:
    """Return the fields that all touches of a message have."""
    at = sent_at(mail.raw("Date"), context.received_ms)
    return {
        "channel": "email",
        "occurred_at": at or internal_moment(request.headers.get("internaldate", "")),
        "subject": label(mail.text("Subject")) or None,
    }


def _event_id(mail: Mail, request: Request) -> str:
    """Return the Message-ID, which stays when a message is moved; else its place in the folder."""
    message_id = mail.message_id
    if message_id is None:
        return request.path.removeprefix("/mailbox/")
    text = message_id.encode("utf-8", "replace").decode()
    return text if len(text) <= _ID_LENGTH else sha256(text.encode()).hexdigest()


def _other(mail: Mail, receiver: Receiver) -> str:
    kind = receiver.action if mail.report in (DELIVERY_STATUS, FEEDBACK) else mail.report or ""
    return f"mailbox_{snake_case(kind) or 'report'}"


def _seconds(internal_date: str) -> int:
    moment = internal_moment(internal_date)
    return 0 if moment is None else max(0, int(moment.timestamp()))


def _utc(moment: datetime | None) -> datetime:
    return datetime(1970, 1, 1, tzinfo=UTC) if moment is None else moment.replace(tzinfo=UTC)


def _utc_of(seconds: int) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)
