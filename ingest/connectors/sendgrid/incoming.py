"""Incoming e-mails as SendGrid's Inbound Parse webhook posts them.

Source: https://www.twilio.com/docs/sendgrid/for-developers/parsing-email/
setting-up-the-inbound-parse-webhook: a form with files; the mail taken apart, or raw in `email`.
An event is JSON, so that a refused form is kept without its files, and read again in the same way.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from functools import partial
from typing import Any

from ingest.connector import Context, Result
from ingest.kit.fields import Fields, Payload, derived_id, finish, guarded, label
from ingest.kit.forms import Form
from ingest.kit.incoming_mail import MailTouch, Own, OwnDomains, event_id_of, touches
from ingest.kit.mail_addresses import decoded_text
from ingest.kit.mail_message import TEXT_LENGTH, Mail, sent_at
from ingest.kit.mail_reports import report_part

#: The value of `event` in place of one of the Event Webhook's.
INBOUND = "inbound_parse"
_KEPT = ("sender_ip", "SPF", "dkim", "spam_score", "attachments")


def event_of(form: Form) -> dict[str, Any]:
    """Return the event that a form tells."""
    mail = _mail(form)
    text = _text(form) or mail.body(TEXT_LENGTH)
    found = {
        "event": INBOUND,
        "mail": mail.as_json(),
        "envelope": _json(form.first("envelope")),
        **{name: value for name in _KEPT if (value := form.first(name))},
        **({"text": text[:TEXT_LENGTH]} if text else {}),
    }
    message_id = mail.message_id
    event_id = derived_id(found) if message_id is None else event_id_of(message_id)
    return {**found, "sg_event_id": event_id}


def incoming(
    event: dict[str, Any], payload: Payload, context: Context, own_domains: OwnDomains
) -> Iterator[Result]:
    """Yield the touch of an incoming mail; for a report one for each receiver it is about."""
    whole, envelope = event.get("mail"), event.get("envelope")
    mail = Mail.of_json(whole if isinstance(whole, dict) else {})
    taken = envelope.get("to") if isinstance(envelope, dict) else None
    receivers = taken if isinstance(taken, list) else [taken]
    own = Own.receiving(own_domains, [one for one in receivers if isinstance(one, str)], mail)
    for touch in touches(mail, own, "sendgrid"):
        yield guarded(partial(_touch, touch, mail, context.received_ms), event, payload)


def _touch(
    touch: MailTouch, mail: Mail, received_ms: int, event: dict[str, Any], payload: Payload
) -> Result:
    read = Fields(event)
    kept = {name: read.peek(name) for name in (*_KEPT, "text")}
    fields = {
        **touch.fields(read.id("sg_event_id")),
        "occurred_at": sent_at(mail.raw("Date"), received_ms),
        "subject": label(mail.text("Subject")) or None,
        "properties": {
            **{name: value for name, value in kept.items() if value},
            **({"message_id": mail.message_id} if mail.message_id else {}),
            **touch.properties,
        },
    }
    return finish(fields, read.problems, payload, None, touch.nobody or "from: names no sender")


def _mail(form: Form) -> Mail:
    raw = form.all("email")
    if raw:
        return Mail(raw[0].encode("utf-8", "surrogateescape"))
    told = Mail("".join(form.all("headers")[:1]).encode("utf-8", "surrogateescape"))
    headers = [(name, value) for name, value in told.as_json()["headers"]]
    given = {name.lower() for name, _ in headers}
    for name in ("From", "To", "Cc", "Subject"):
        if name.lower() not in given and (value := form.first(name.lower())):
            headers.append((name, value))
    reports = (report_part(file.media_type, file.content) for file in form.files)
    return Mail.of(headers, (report for report in reports if report is not None))


def _text(form: Form) -> str:
    """Return the text of the mail, which is posted in the charset that it was written in."""
    data = "".join(form.all("text")[:1]).encode("utf-8", "surrogateescape")
    charset = _json(form.first("charsets")).get("text")
    return decoded_text(data, charset if isinstance(charset, str) else "utf-8").strip()


def _json(text: str | None) -> dict[str, Any]:
    try:
        value = json.loads(text or "{}")
    except (ValueError, RecursionError):
        return {}
    return value if isinstance(value, dict) else {}
