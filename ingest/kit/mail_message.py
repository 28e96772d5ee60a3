"""The headers of an e-mail, and the contents of a report about an e-mail.

Source: RFC 5322 (headers), RFC 3834 (automatic responses), RFC 3464 (delivery status), RFC 5965
(reports of abuse). Nothing here raises, whatever the bytes are, except RecursionError if parts are
nested without end.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from email import message_from_bytes, message_from_string
from email.errors import MessageError
from email.header import decode_header, make_header
from email.message import Message
from email.utils import getaddresses, parseaddr, parsedate_to_datetime
from typing import Any, NamedTuple

from schemas.times import from_ms

#: Most characters of an incoming message's text that are kept.
TEXT_LENGTH = 50_000
#: Longest address with the name before it.
ADDRESS_LENGTH = 2048
#: A longer header is cut before it is parsed.
_LONGEST = 16_384
_MOST_ADDRESSES = 50
#: Most parts of a message that are searched.
_MOST_PARTS = 100
DELIVERY_STATUS = "delivery-status"
FEEDBACK = "feedback-report"
#: Senders that are programs of the mail system.
_SYSTEMS = frozenset({"mailer-daemon", "postmaster"})
_BULK = frozenset({"bulk", "list", "junk"})


def address(text: str | None) -> str | None:
    """Return the address in a header or a list of receivers: `Ada <ada@example.com>`, or bare.

    None for a text that is far too long for one: a stranger wrote it, and parsing it may take
    seconds.
    """
    found = parseaddr(text)[1] if text and len(text) <= ADDRESS_LENGTH else ""
    return found or None


def sent_at(date: str | None, received_ms: int) -> datetime | None:
    """Return the time in an e-mail's Date; None if it is not a time or has not come yet."""
    try:
        sent = parsedate_to_datetime(date or "")
    except (ValueError, TypeError, IndexError, OverflowError):
        return None
    sent = sent if sent.tzinfo is not None else sent.replace(tzinfo=UTC)
    return sent if from_ms(0) <= sent <= from_ms(received_ms) else None


class Receiver(NamedTuple):
    """A receiver in a report: the address, what happened (RFC 3464's action) and the status code,
    each '' if the report does not state it."""

    address: str
    action: str = ""
    status: str = ""


class Mail:
    """An e-mail, or only its headers."""

    def __init__(self, data: bytes) -> None:
        self._message = message_from_bytes(data)

    def raw(self, name: str) -> str:
        """Return a header as it is, on one line; '' if there is none."""
        values = self._message.get_all(name, [])
        return " ".join(str(values[0])[:_LONGEST].split()) if values else ""

    def text(self, name: str) -> str:
        """Return a header with its encoded words as text."""
        return _decoded(self.raw(name))

    def address(self, name: str) -> str | None:
        """Return the first address in a header."""
        raw = self.raw(name)
        first = self.addresses(name)[:1] if len(raw) > ADDRESS_LENGTH else [address(raw)]
        return first[0] if first else None

    def name(self, name: str) -> str | None:
        """Return the name before the first address in a header."""
        found = _addresses(self.raw(name))
        return _decoded(found[0][0]) or None if found else None

    def addresses(self, name: str) -> list[str]:
        """Return all addresses in a header."""
        return [found for _, found in _addresses(self.raw(name)) if "@" in found]

    @property
    def message_id(self) -> str | None:
        """Its Message-ID without the brackets."""
        return _id(self.raw("Message-ID"))

    def ids(self, name: str) -> list[str]:
        """Return the ids of other messages in a header."""
        return [found for word in self.raw(name).split() if (found := _id(word))]

    @property
    def report(self) -> str | None:
        """The kind of report (RFC 6522); None if the message is not a report."""
        if self._message.get_content_type() != "multipart/report":
            return None
        kind = self._message.get_param("report-type")
        return kind.lower() if isinstance(kind, str) else ""

    @property
    def is_reply_of_a_program(self) -> bool:
        """Return True if a program answered in place of its writer, as with a holiday notice."""
        submitted = self._submitted
        return (
            submitted.startswith("auto-replied")
            or any(self.raw(name) for name in ("X-Autoreply", "X-Autorespond", "X-Autoresponse"))
            or self._precedence == "auto_reply"
        )

    @property
    def is_of_a_program(self) -> bool:
        """Return True if a program sent it by itself: a notice, a newsletter, a list."""
        return (
            self._submitted not in ("", "no")
            or self._precedence in _BULK
            or bool(self.raw("List-Id") or self.raw("List-Unsubscribe"))
        )

    @property
    def is_of_the_mail_system(self) -> bool:
        """Return True if it comes from a program that delivers mail."""
        sender = self.address("From") or ""
        return sender.partition("@")[0].lower() in _SYSTEMS

    def receivers(self) -> list[Receiver]:
        """Return the receivers that a report is about. Needs the whole message."""
        found = [one for part in self._parts() for one in _receivers(part)]
        if not found:
            # As Exim and Gmail say it in the header.
            found = [Receiver(one, "failed") for one in self.addresses("X-Failed-Recipients")]
        return found[:_MOST_ADDRESSES]

    def body(self, most: int) -> str:
        """Return the start of its plain text; '' if it has none. Needs the whole message."""
        for part in self._parts():
            if part.get_content_type() == "text/plain" and not part.is_multipart():
                payload = part.get_payload(decode=True)
                if isinstance(payload, bytes):
                    return _text(payload, part.get_content_charset() or "utf-8")[:most].strip()
        return ""

    def _parts(self) -> Iterator[Message]:
        for number, part in enumerate(self._message.walk()):
            if number >= _MOST_PARTS:
                return
            yield part

    @property
    def _submitted(self) -> str:
        return self.raw("Auto-Submitted").partition(";")[0].strip().lower()

    @property
    def _precedence(self) -> str:
        return self.raw("Precedence").lower()


def _receivers(part: Message) -> Iterator[Receiver]:
    if part.get_content_type() == f"message/{DELIVERY_STATUS}":
        for block in _blocks(part):
            named = _typed(block, "Final-Recipient") or _typed(block, "Original-Recipient")
            if named:
                yield Receiver(named, _header(block, "Action").lower(), _header(block, "Status"))
    elif part.get_content_type() == f"message/{FEEDBACK}":
        for block in _blocks(part):
            for name in ("Original-Rcpt-To", "Removal-Recipient"):
                if named := address(_header(block, name)):
                    yield Receiver(named, "complained")
                    break


def _blocks(part: Message) -> Iterator[Message]:
    """Yield the groups of fields of a report."""
    payload: Any = part.get_payload()
    for one in payload if isinstance(payload, list) else [payload]:
        yield one if isinstance(one, Message) else message_from_string(str(one))


def _typed(block: Message, name: str) -> str | None:
    """Return the address of a field such as `rfc822; ada@example.com`."""
    kind, between, value = _header(block, name).partition(";")
    return address(value.strip() if between else kind)


def _header(block: Message, name: str) -> str:
    return " ".join(str(block.get(name, ""))[:_LONGEST].split())


def _addresses(raw: str) -> list[tuple[str, str]]:
    return getaddresses([raw[:_LONGEST]])[:_MOST_ADDRESSES]


def _id(text: str) -> str | None:
    return text.strip().removeprefix("<").removesuffix(">").strip() or None


def _decoded(raw: str) -> str:
    try:
        found = str(make_header(decode_header(raw)))
    except (ValueError, LookupError, MessageError):
        found = raw
    return _whole(found)


def _text(data: bytes, charset: str) -> str:
    try:
        return data.decode(charset, "replace")
    except LookupError:
        return data.decode("utf-8", "replace")


def _whole(text: str) -> str:
    """Return text without lone surrogates: bytes without a named charset are mostly UTF-8."""
    try:
        return text.encode("utf-8", "surrogateescape").decode("utf-8", "replace")
    except UnicodeEncodeError:
        return text.encode("utf-8", "replace").decode()
