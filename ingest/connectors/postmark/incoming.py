"""Incoming e-mails as Postmark's inbound webhook tells them.

Source: https://postmarkapp.com/developer/webhooks/inbound-webhook. Postmark takes a mail apart:
some headers have fields of their own and are not among `Headers`, and the contents of a report are
attachments.
"""

from __future__ import annotations

import base64
from collections.abc import Iterator
from email.message import Message
from functools import partial
from typing import Any

from ingest.connector import Context, Result
from ingest.kit.fields import Fields, Payload, finish, guarded
from ingest.kit.incoming_mail import MailTouch, Own, OwnDomains, touches
from ingest.kit.mail_message import TEXT_LENGTH, Mail, sent_at
from ingest.kit.mail_reports import report_kind, report_part

#: Header -> the field that holds it.
_FIELDS = {"Reply-To": "ReplyTo", "To": "To", "Cc": "Cc"}
_KEPT = ("MessageStream", "MailboxHash", "OriginalRecipient", "ReplyTo", "Tag", "FromName")


def incoming(
    event: dict[str, Any], payload: Payload, context: Context, own_domains: OwnDomains
) -> Iterator[Result]:
    """Yield the touch of an incoming mail; for a report one for each receiver it is about."""
    read = Fields(event)
    mail = _mail(read)
    own = Own.receiving(own_domains, [read.peek("OriginalRecipient")], mail)
    for touch in touches(mail, own, "postmark"):
        convert = partial(_touch, touch, context.received_ms, list(read.problems))
        yield guarded(convert, event, payload)


def _mail(read: Fields) -> Mail:
    sender = read.inside("FromFull").text("Email")
    own = [("From", sender), *((name, read.peek(field)) for name, field in _FIELDS.items())]
    headers = [(one.get("Name"), one.get("Value")) for one in read.objects("Headers")]
    texts = [(n, v) for n, v in (*own, *headers) if isinstance(n, str) and isinstance(v, str)]
    return Mail.of(texts, _reports(read))


def _reports(read: Fields) -> Iterator[Message]:
    for part in read.objects("Attachments"):
        media_type, content = part.get("ContentType"), part.get("Content")
        if isinstance(media_type, str) and isinstance(content, str) and report_kind(media_type):
            try:
                report = report_part(media_type, base64.b64decode(content))
            except ValueError:
                continue
            if report is not None:
                yield report


def _touch(
    touch: MailTouch, received_ms: int, problems: list[str], event: dict[str, Any], payload: Payload
) -> Result:
    read = Fields(event, problems=problems)
    text = read.text("StrippedTextReply") or read.text("TextBody") or ""
    kept = {name: read.peek(name) for name in _KEPT}
    fields = {
        **touch.fields(read.id("MessageID")),
        "occurred_at": sent_at(read.peek("Date"), received_ms),
        "subject": read.label("Subject"),
        "properties": {
            **{name: value for name, value in kept.items() if value},
            **({"text": text[:TEXT_LENGTH]} if text else {}),
            "attachments": _attachments(read),
            **touch.properties,
        },
    }
    if fields["event_id"] is None:
        read.wrong("MessageID", "must be text, the id of the message")
    nobody = touch.nobody or "FromFull.Email: is missing"
    return finish(fields, read.problems, payload, {"event_id": "MessageID"}, nobody)


def _attachments(read: Fields) -> list[dict[str, Any]]:
    """Return the attachments, without their content."""
    return [
        {name: part.get(name) for name in ("Name", "ContentType", "ContentLength")}
        for part in read.objects("Attachments")
    ]
