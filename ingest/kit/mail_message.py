"""The headers and parts of an e-mail.

Source: RFC 5322 and RFC 6532 (headers, also in UTF-8), RFC 3834 (automatic responses), RFC 6522
(reports). Nothing here raises, whatever the bytes are, except RecursionError if parts are nested
without end.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from email import message_from_bytes
from email.message import Message
from email.utils import parsedate_to_datetime
from typing import Any, Self

from ingest.kit.mail_addresses import (
    ADDRESS_LENGTH,
    LONGEST,
    address,
    decoded,
    decoded_text,
    mailboxes,
)
from ingest.kit.mail_reports import (
    DELIVERY_STATUS,
    DISPOSITION,
    FEEDBACK,
    UNCHANGED,
    Receiver,
    receivers,
    report_kind,
    report_part,
    report_text,
)
from schemas.times import from_ms

__all__ = [
    "ADDRESS_LENGTH",
    "DELIVERY_STATUS",
    "DISPOSITION",
    "FEEDBACK",
    "TEXT_LENGTH",
    "Mail",
    "Receiver",
    "address",
    "sent_at",
]

#: Most characters of an incoming message's text that are kept.
TEXT_LENGTH = 50_000
_MOST_RECEIVERS = 50
_MOST_HEADERS = 500
#: Most parts of a message that are searched.
_MOST_PARTS = 100
#: Senders that are programs of the mail system.
_SYSTEMS = frozenset({"mailer-daemon", "postmaster"})
#: Headers of programs that answer, beside those of RFC 3834; a few of them say no in it.
_AUTOMATIC_REPLIES = (
    "X-Autoreply",
    "X-Autoreply-From",
    "X-Autorespond",
    "X-Autoresponse",
    "X-Mail-Autoreply",
)
_NO = ("", "no", "false", "0")
_BULK = frozenset({"bulk", "list", "junk"})


def sent_at(date: str | None, received_ms: int) -> datetime | None:
    """Return the time in an e-mail's Date; None if it is not a time or has not come yet."""
    try:
        sent = parsedate_to_datetime(date or "")
    except (ValueError, TypeError, IndexError, OverflowError):
        return None
    sent = sent if sent.tzinfo is not None else sent.replace(tzinfo=UTC)
    return sent if from_ms(0) <= sent <= from_ms(received_ms) else None


class Mail:
    """An e-mail, or only its headers."""

    def __init__(self, data: bytes) -> None:
        self._message = message_from_bytes(data, policy=UNCHANGED)

    @classmethod
    def of(cls, headers: Iterable[tuple[str, str]], reports: Iterable[Message] = ()) -> Self:
        """Return the e-mail that a provider took apart, of its headers and the parts of a report.

        Of equal names the first counts. A report is known by its parts too, as some providers leave
        out Content-Type.
        """
        mail = cls(b"")
        message = mail._message
        for name, value in headers:
            message[name] = value
        parts: list[Message | str] = []
        for report in reports:
            if "content-type" not in message:
                kind = report_kind(report.get_content_type())
                message["Content-Type"] = f"multipart/report; report-type={kind}"
            parts.append(report)
        if parts:
            message.set_payload(parts)
        return mail

    @classmethod
    def of_json(cls, value: dict[str, Any]) -> Self:
        """Return the e-mail that `as_json` has written; what is wrong in it is left out."""
        pairs = [
            [pair for pair in value.get(name) or [] if _is_pair(pair)]
            if isinstance(value.get(name), list)
            else []
            for name in ("headers", "reports")
        ]
        reports = (report_part(kind, text.encode("utf-8", "replace")) for kind, text in pairs[1])
        return cls.of(pairs[0], (report for report in reports if report is not None))

    def as_json(self) -> dict[str, Any]:
        """Return the headers and the reports in it, as JSON can carry them."""
        headers = [[name, str(value)[:LONGEST]] for name, value in self._message.items()]
        reports = [[one.get_content_type(), report_text(one)] for one in self.reports()]
        return {"headers": headers[:_MOST_HEADERS], "reports": reports}

    def raw(self, name: str) -> str:
        """Return a header as it is, on one line; '' if there is none."""
        values = self._message.get_all(name, [])
        return " ".join(str(values[0])[:LONGEST].split()) if values else ""

    def text(self, name: str) -> str:
        """Return a header with its encoded words as text."""
        return decoded(self.raw(name))

    def address(self, name: str) -> str | None:
        """Return the first address in a header."""
        return next(iter(self.addresses(name)), None)

    def name(self, name: str) -> str | None:
        """Return the name before the first address in a header."""
        found = mailboxes(self.raw(name))
        return found[0].name or None if found else None

    def addresses(self, name: str) -> list[str]:
        """Return all addresses in a header, those of equal headers too."""
        values = self._message.get_all(name, [])
        return [one.address for value in values for one in mailboxes(str(value))]

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
        return kind.lower().removeprefix("global-") if isinstance(kind, str) else ""

    @property
    def is_reply_of_a_program(self) -> bool:
        """Return True if a program answered in place of its writer, as with a holiday notice."""
        submitted = self._submitted
        return (
            submitted.startswith("auto-replied")
            or any(self.raw(name).lower() not in _NO for name in _AUTOMATIC_REPLIES)
            or self.raw("X-Autogenerated").lower() == "reply"
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

    def reports(self) -> list[Message]:
        """Return its parts that are reports. Needs the whole message."""
        return [part for part in self._parts() if report_kind(part.get_content_type())]

    def receivers(self) -> list[Receiver]:
        """Return the receivers that a report is about. Needs the whole message."""
        found = list(receivers(self.reports()))
        if not found:
            # As Exim and Gmail say it in the header.
            found = [Receiver(one, "failed") for one in self.addresses("X-Failed-Recipients")]
        return found[:_MOST_RECEIVERS]

    def body(self, most: int) -> str:
        """Return the start of its plain text; '' if it has none. Needs the whole message."""
        for part in self._parts():
            if part.get_content_type() == "text/plain" and not part.is_multipart():
                payload = part.get_payload(decode=True)
                if isinstance(payload, bytes):
                    charset = part.get_content_charset() or "utf-8"
                    return decoded_text(payload, charset)[:most].strip()
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


def _is_pair(value: object) -> bool:
    return isinstance(value, list) and len(value) == 2 and all(isinstance(v, str) for v in value)


def _id(text: str) -> str | None:
    return text.strip().removeprefix("<").removesuffix(">").strip() or None
