"""Incoming e-mails as a receipt rule of SES tells them.

Source: https://docs.aws.amazon.com/ses/latest/dg/receiving-email-notifications-contents.html: the
headers, those in `commonHeaders` decoded, and with an SNS action the whole message (`content`).
"""

from __future__ import annotations

import base64
from typing import Any

from ingest.kit.fields import Fields
from ingest.kit.incoming_mail import Own, OwnDomains
from ingest.kit.mail_message import Mail

#: Header -> the field of `commonHeaders` that holds its values.
_COMMON = {"From": "from", "Reply-To": "replyTo", "To": "to", "Cc": "cc"}


def incoming_mail(event: dict[str, Any], own_domains: OwnDomains) -> tuple[Mail, Own]:
    """Return an incoming mail, and the company's addresses by it."""
    read = Fields(event)
    mail, receipt = read.inside("mail"), read.inside("receipt")
    common = mail.inside("commonHeaders")
    headers = [
        (name, one)
        for name, field in _COMMON.items()
        for one in common.items(field)
        if isinstance(one, str)
    ]
    if not common.items("from"):
        headers.append(("From", mail.text("source") or ""))
    given = {name.lower() for name, _ in headers}
    for header in mail.objects("headers"):
        name, value = header.get("name"), header.get("value")
        if isinstance(name, str) and isinstance(value, str) and name.lower() not in given:
            headers.append((name, value))
    message = Mail.of(headers, _content(event).reports())
    envelope = [one for one in receipt.items("recipients") if isinstance(one, str)]
    return message, Own.receiving(own_domains, envelope, message)


def _content(event: dict[str, Any]) -> Mail:
    """Return the message as it came, if SES sends it along."""
    read = Fields(event)
    text = read.peek("content") or ""
    action = read.object("receipt").get("action")
    encoded = isinstance(action, dict) and str(action.get("encoding")).upper() == "BASE64"
    data = text.encode("utf-8", "surrogatepass")
    try:
        return Mail(base64.b64decode(data) if encoded else data)
    except ValueError:
        return Mail(b"")
