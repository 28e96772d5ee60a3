"""One incoming e-mail as each of the doors for e-mails gets it: a mailbox, and four providers.

A mail here is its headers and its parts, each a media type and a text; a report if one of them is.
"""

from __future__ import annotations

import base64
import json
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple
from urllib.parse import urlencode

from ingest.connector import Context, Request, Result
from ingest.connectors.mailbox.connector import Mailbox, MailboxOptions
from ingest.connectors.mailgun.connector import Mailgun, MailgunOptions
from ingest.connectors.postmark.connector import Postmark, PostmarkOptions
from ingest.connectors.sendgrid.connector import SendGrid, SendGridOptions
from ingest.connectors.ses.connector import Ses, SesOptions
from ingest.kit.mail_addresses import mailboxes
from ingest.testing.values import RECEIVED_MS, posted

FORM = "application/x-www-form-urlencoded"
CONTEXT = Context("mail", RECEIVED_MS)


class SentMail(NamedTuple):
    """A mail, and the address to which it was delivered."""

    headers: Mapping[str, str]
    parts: Sequence[tuple[str, str]] = ()
    receiver: str = "inbox@brand.example"

    def all_headers(self) -> list[tuple[str, str]]:
        """Return the headers, with those of every mail."""
        given: dict[str, str] = {
            "To": self.receiver,
            "Subject": "Hello",
            "Date": "Fri, 20 Nov 2026 13:00:10 +0900",
            "Message-ID": "<m-1@mx.example>",
            "Content-Type": self.content_type,
            **self.headers,
        }
        return [(name, value) for name, value in given.items() if value]

    @property
    def content_type(self) -> str:
        """The media type of the whole."""
        if not self.parts:
            return "text/plain; charset=utf-8"
        kind = self.parts[0][0].partition("/")[2].removeprefix("global-")
        return f'multipart/report; report-type={kind}; boundary="b"'

    def message(self) -> bytes:
        """Return the mail as a server gets it."""
        head = "".join(f"{name}: {value}\r\n" for name, value in self.all_headers())
        if not self.parts:
            return f"{head}\r\nHi.\r\n".encode()
        body = "".join(
            f"--b\r\nContent-Type: {kind}\r\n\r\n{text}\r\n" for kind, text in self.parts
        )
        return f"{head}\r\n{body}--b--\r\n".encode()


def multipart(fields: Mapping[str, str], files: Sequence[tuple[str, str]] = ()) -> Request:
    """Return the request with a form of fields and of files (media type, content)."""
    parts = [f'form-data; name="{name}"\r\n\r\n{value}' for name, value in fields.items()]
    parts += [
        f'form-data; name="attachment-{number}"; filename="part"\r\n'
        f"Content-Type: {kind}\r\n\r\n{text}"
        for number, (kind, text) in enumerate(files, 1)
    ]
    body = "".join(f"--xYz\r\nContent-Disposition: {part}\r\n" for part in parts) + "--xYz--\r\n"
    return posted(body.encode(), {"content-type": "multipart/form-data; boundary=xYz"})


def by_mailbox(mail: SentMail, **options: Any) -> list[Result]:
    given = {"host": "imap.example", "username": mail.receiver, "password": "p", **options}
    headers = {"internaldate": "20-Nov-2026 16:15:03 +0900", "size": "1"}
    request = Request("POST", "/mailbox/INBOX/5/7", "", "", headers, mail.message())
    return list(Mailbox(MailboxOptions(**given)).parse(request, CONTEXT))


def by_postmark(mail: SentMail, **options: Any) -> list[Result]:
    headers = defaultdict(str, mail.all_headers())
    taken = {"From", "Reply-To", "To", "Cc", "Subject", "Date", "Content-Type"}
    sender = mailboxes(headers["From"])
    value = {
        "From": headers["From"],
        "FromFull": {"Email": sender[0].address if sender else "", "Name": ""},
        "ReplyTo": headers.get("Reply-To", ""),
        "To": headers["To"],
        "Cc": headers.get("Cc", ""),
        "OriginalRecipient": mail.receiver,
        "Subject": headers["Subject"],
        "Date": headers["Date"],
        "MessageID": "73e6d360-66eb-11e1-8e72-a8904824019b",
        "TextBody": "Hi.",
        "Headers": [{"Name": n, "Value": v} for n, v in headers.items() if n not in taken],
        "Attachments": [
            {
                "Name": "part",
                "ContentType": kind,
                "Content": base64.b64encode(text.encode()).decode(),
                "ContentLength": len(text),
            }
            for kind, text in mail.parts
        ],
    }
    connector = Postmark(PostmarkOptions(password="p", **options))
    return list(connector.parse(posted(json.dumps(value).encode()), CONTEXT))


def _mailgun_fields(mail: SentMail) -> dict[str, str]:
    return {
        "recipient": mail.receiver,
        "sender": "bounce@envelope.example",
        "timestamp": "1795147211",
        "token": "t",
        "signature": "s",
    }


def _mailgun_form(mail: SentMail) -> dict[str, str]:
    headers = defaultdict(str, mail.all_headers())
    return {
        **_mailgun_fields(mail),
        "from": headers["From"],
        "subject": headers["Subject"],
        "body-plain": "Hi.",
        "stripped-text": "Hi.",
        "message-headers": json.dumps(mail.all_headers()),
    }


def _mailgun(request: Request, options: Any) -> list[Result]:
    return list(Mailgun(MailgunOptions(signing_key="k", **options)).parse(request, CONTEXT))


def by_mailgun_form(mail: SentMail, **options: Any) -> list[Result]:
    if mail.parts:
        return _mailgun(multipart(_mailgun_form(mail), mail.parts), options)
    body = urlencode(_mailgun_form(mail)).encode()
    return _mailgun(posted(body, {"content-type": FORM}), options)


def by_mailgun_multipart(mail: SentMail, **options: Any) -> list[Result]:
    return _mailgun(multipart(_mailgun_form(mail), mail.parts), options)


def by_mailgun_mime(mail: SentMail, **options: Any) -> list[Result]:
    fields = {**_mailgun_fields(mail), "body-mime": mail.message().decode()}
    return _mailgun(posted(urlencode(fields).encode(), {"content-type": FORM}), options)


def _sendgrid(request: Request, options: Any) -> list[Result]:
    return list(SendGrid(SendGridOptions(password="p", **options)).parse(request, CONTEXT))


def by_sendgrid(mail: SentMail, **options: Any) -> list[Result]:
    headers = defaultdict(str, mail.all_headers())
    fields = {
        "headers": "".join(f"{name}: {value}\n" for name, value in mail.all_headers()),
        "from": headers["From"],
        "to": headers["To"],
        "envelope": json.dumps({"to": [mail.receiver], "from": "bounce@envelope.example"}),
        "subject": headers["Subject"],
        "text": "Hi.",
        "charsets": json.dumps({"text": "utf-8"}),
    }
    return _sendgrid(multipart(fields, mail.parts), options)


def by_sendgrid_raw(mail: SentMail, **options: Any) -> list[Result]:
    envelope = json.dumps({"to": [mail.receiver], "from": "bounce@envelope.example"})
    fields = {"email": mail.message().decode(), "envelope": envelope}
    return _sendgrid(multipart(fields), options)


def by_ses(mail: SentMail, **options: Any) -> list[Result]:
    headers = defaultdict(str, mail.all_headers())
    common = {"from": "From", "replyTo": "Reply-To", "to": "To", "cc": "Cc"}
    event = {
        "notificationType": "Received",
        "receipt": {"recipients": [mail.receiver], "action": {"type": "SNS", "encoding": "UTF8"}},
        "mail": {
            "source": "bounce@envelope.example",
            "destination": [mail.receiver],
            "headers": [{"name": name, "value": value} for name, value in headers.items()],
            "commonHeaders": {
                **{field: [headers[name]] for field, name in common.items() if name in headers},
                "subject": headers["Subject"],
            },
        },
        **({"content": mail.message().decode()} if mail.parts else {}),
    }
    envelope = {
        "Type": "Notification",
        "MessageId": "22b80b92-fdea-4c2c-8f9d-bdfb0c7bf324",
        "Timestamp": "2026-11-20T04:00:02.669Z",
        "Message": json.dumps(event),
    }
    topics = ["arn:aws:sns:eu-west-1:123456789012:ses"]
    connector = Ses(SesOptions(topics=topics, **options))
    return list(connector.parse(posted(json.dumps(envelope).encode()), CONTEXT))


#: Door -> what it makes of a mail.
DOORS: dict[str, Callable[..., list[Result]]] = {
    "mailbox": by_mailbox,
    "postmark": by_postmark,
    "mailgun form": by_mailgun_form,
    "mailgun multipart": by_mailgun_multipart,
    "mailgun mime": by_mailgun_mime,
    "sendgrid": by_sendgrid,
    "sendgrid raw": by_sendgrid_raw,
    "ses": by_ses,
}
