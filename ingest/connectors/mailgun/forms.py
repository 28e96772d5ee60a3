"""Mailgun's forms as its events: legacy webhooks, and incoming mails that a route posts.

Source: https://help.mailgun.com/hc/en-us/articles/14048832145051-Legacy-Webhooks and
https://documentation.mailgun.com/docs/mailgun/user-manual/receive-forward-store/receive-http. Both
sign the fields `timestamp` and `token`. An event is the same JSON as that of today's webhooks, so
that a refused form is kept without its signature, and read again in the same way.
"""

from __future__ import annotations

import json
from typing import Any

from ingest.kit.fields import derived_id
from ingest.kit.forms import Form
from ingest.kit.incoming_mail import event_id_of
from ingest.kit.mail_addresses import whole
from ingest.kit.mail_message import TEXT_LENGTH, Mail
from ingest.kit.mail_reports import report_part

SIGNED = ("timestamp", "token", "signature")
#: Fields of the legacy events that keep their names.
_KEPT = (
    "recipient", "domain", "ip", "country", "region", "city", "user-agent", "device-type",
    "client-type", "client-name", "client-os", "campaign-id", "url", "code", "error",
    "notification", "reason", "description",
)  # fmt: skip
_HEADERS = "message-headers"
_TAGS = ("tag", "X-Mailgun-Tag")
_VARIABLES = "X-Mailgun-Variables"
#: Fields that are no variables of the user.
_KNOWN = frozenset(
    [
        *SIGNED, *_KEPT, *_TAGS, _HEADERS, "event", "campaign-name", "mailing-list", "Message-Id",
        "message-id", "body-plain", "body-html", "h", "X-Mailgun-Sid", "attachment-count",
    ]
)  # fmt: skip


def signature_of(form: Form) -> dict[str, str]:
    """Return the signature in a form. Variables of these names stand before Mailgun's own."""
    return {name: form.last(name) or "" for name in SIGNED}


def event_of(form: Form) -> dict[str, Any]:
    """Return the event that a form tells."""
    incoming = form.first("event") is None and bool(form.all("sender", "from", "body-mime"))
    return _received(form) if incoming else _legacy(form)


def _legacy(form: Form) -> dict[str, Any]:
    headers = _headers(form)
    tags = [whole(tag) for tag in form.all(*_TAGS) or form.all("campaign-name")]
    mailing_list = form.first("mailing-list")
    found = {
        "event": form.first("event"),
        "timestamp": _timestamp(form),
        **{name: value for name in _KEPT if (value := form.first(name))},
        **({"tags": tags} if tags else {}),
        **({"mailing-list": {"address": mailing_list}} if mailing_list else {}),
        "message": {
            "headers": {
                **{name.lower(): value for name, value in reversed(headers) if name == "Subject"},
                "message-id": (form.first("Message-Id", "message-id") or "").strip("<>"),
            }
        },
    }
    return {**found, "id": derived_id(found), "user-variables": _variables(form, headers)}


def _received(form: Form) -> dict[str, Any]:
    mail = _mail(form)
    text = form.first("stripped-text", "body-plain") or mail.body(TEXT_LENGTH)
    message_id = mail.message_id
    found = {
        "event": "accepted",
        "flags": {"is-routed": True},
        **{name: value for name in ("recipient", "sender") if (value := form.first(name))},
        "message": {
            "headers": {
                "subject": mail.text("Subject") or form.first("subject"),
                "message-id": message_id,
            }
        },
        "mail": mail.as_json(),
        **({"text": text[:TEXT_LENGTH]} if text else {}),
    }
    event_id = derived_id(found) if message_id is None else event_id_of(message_id)
    return {**found, "id": event_id, "timestamp": _timestamp(form)}


def _mail(form: Form) -> Mail:
    raw = form.all("body-mime")
    if raw:
        return Mail(raw[0].encode("utf-8", "surrogateescape"))
    headers = _headers(form)
    given = {name.lower() for name, _ in headers}
    for name, value in (
        ("From", form.first("from", "From", "sender")),
        ("To", form.first("To")),
        ("Subject", form.first("subject")),
        ("Message-Id", form.first("Message-Id")),
    ):
        if value and name.lower() not in given:
            headers.append((name, value))
    reports = (report_part(file.media_type, file.content) for file in form.files)
    return Mail.of(headers, (report for report in reports if report is not None))


def _headers(form: Form) -> list[tuple[str, str]]:
    """Return the headers of the mail, which are a list of pairs as JSON."""
    try:
        pairs = json.loads(form.first(_HEADERS) or "[]")
    except (ValueError, RecursionError):
        return []
    if not isinstance(pairs, list):
        return []
    return [
        (pair[0], pair[1])
        for pair in pairs
        if isinstance(pair, list) and len(pair) == 2 and all(isinstance(one, str) for one in pair)
    ]


def _variables(form: Form, headers: list[tuple[str, str]]) -> dict[str, Any]:
    """Return the variables of the user: fields of their own, or in a header of the mail."""
    found: dict[str, Any] = {
        whole(name): form.first(name) for name, value in form.fields if name not in _KNOWN and value
    }
    for name, value in headers:
        if name == _VARIABLES:
            try:
                variables = json.loads(value)
            except (ValueError, RecursionError):
                continue
            found.update(variables if isinstance(variables, dict) else {})
    return found


def _timestamp(form: Form) -> int | str | None:
    text = form.last("timestamp")
    return int(text) if text and text.isascii() and text.isdigit() and len(text) < 20 else text
