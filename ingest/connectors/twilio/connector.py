"""Twilio: calls, SMS and WhatsApp messages, from status callbacks and incoming messages.

Source: https://www.twilio.com/docs/usage/security#validating-requests (signature),
…/voice/twiml#callstatus-values and …/voice/api/call-resource#statuscallback (calls),
…/messaging/guides/webhook-request (messages). See docs/channels/twilio.md.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Iterator, Mapping
from datetime import datetime
from email.utils import parsedate_to_datetime
from typing import Any, ClassVar
from urllib.parse import SplitResult, parse_qs, urlsplit

from ingest.connector import (
    Context,
    Options,
    Reply,
    Request,
    Result,
    WebhookConnector,
    secrets,
)
from ingest.kit.fields import (
    Fields,
    Payload,
    finish,
    guarded,
    identifiers,
    json_object,
    snake_case,
    subject,
)
from ingest.kit.signing import BASE64, RequiredSecrets, is_hmac_of
from schemas.rejection import Rejection

SIGNATURE = "x-twilio-signature"
#: Header that names another algorithm than the default SHA-1, for requests signed by a shared key.
SETTINGS = "x-twilio-webhooks-signature-settings"
_MOST_FIELDS = 1000

#: CallStatus of a call that has ended -> (type, outcome).
CALL_ENDS = {
    "completed": ("call_completed", "answered"),
    "no-answer": ("call_missed", "no_answer"),
    "busy": ("call_missed", "busy"),
    "failed": ("call_missed", "failed"),
    "canceled": ("call_missed", "canceled"),
}
#: MessageStatus -> type.
MESSAGE_ENDS = {
    "received": "sms_received",
    "delivered": "sms_delivered",
    "undelivered": "sms_failed",
    "failed": "sms_failed",
}
_INCOMING_CALLS = frozenset({"inbound", "trunking-originating"})
_INCOMING_MESSAGES = frozenset({"received", "receiving"})
#: Addresses of these channels are phone numbers behind the prefix; `client:` or `sip:` are none.
_PHONE_PREFIXES = ("whatsapp:", "rcs:", "tel:")
#: Numbers that Twilio shows for a withheld number: words on a keypad (ANONYMOUS, RESTRICTED,
#: BLOCKED, UNKNOWN, UNAVAILABLE).
_WITHHELD = frozenset({"+266696687", "+7378742833", "+2562533", "+8656696", "+86282452253"})
_MAPPED = frozenset({"CallDuration", "Timestamp", "Body"})
_EMPTY = b'<?xml version="1.0" encoding="UTF-8"?><Response/>'


class TwilioOptions(Options):
    """`auth_token`: that of the account that owns the numbers (or the secret of a shared key)."""

    auth_token: RequiredSecrets


class Twilio(WebhookConnector):
    """Voice and messaging webhooks of Twilio."""

    name: ClassVar[str] = "twilio"
    doc: ClassVar[str] = "Phone: Twilio's call status callbacks, SMS and WhatsApp messages"
    options: ClassVar[type[Options]] = TwilioOptions

    def __init__(self, options: TwilioOptions) -> None:
        self._tokens = secrets(options.auth_token)

    def verify(self, request: Request, received_ms: int) -> bool:
        """Return True if a token of ours signed address and fields, or address and body hash."""
        try:
            signed = _signed(request)
        except ValueError:
            return False
        algorithm = _algorithm(request.headers.get(SETTINGS, ""))
        if algorithm is None:
            return False
        shown = request.headers.get(SIGNATURE, "")
        return any([is_hmac_of(text, shown, self._tokens, BASE64, algorithm) for text in signed])

    def parse(self, request: Request, context: Context) -> Iterator[Result]:
        """Yield the one call or message that the request reports."""
        fields = _fields(request)
        if isinstance(fields, Rejection):
            yield fields
        else:
            yield guarded(_touch, fields, lambda: request.body)

    def reply(self, request: Request) -> Reply:
        """Return an empty TwiML document: any other text would go to the customer as a message."""
        return Reply(200, _EMPTY, "text/xml")


def _is_json(request: Request) -> bool:
    return "json" in request.headers.get("content-type", "").lower()


def _fields(request: Request) -> dict[str, Any] | Rejection:
    if _is_json(request):
        return json_object(request)
    form = request.form
    fields = {} if isinstance(form, Rejection) else dict(form)
    if isinstance(form, Rejection) or not _is_utf8(fields):
        return Rejection("unreadable", "the body: is not a form in UTF-8", request.body)
    if not fields:
        return Rejection("unreadable", "the body: is not a form with fields", request.body)
    return fields


def _is_utf8(fields: Mapping[str, str]) -> bool:
    try:
        "".join(name + value for name, value in fields.items()).encode()
    except UnicodeEncodeError:
        return False
    return True


def _signed(request: Request) -> tuple[bytes, ...]:
    """Return the texts that Twilio may have signed.

    They are the address with and without its port, and the sorted fields. If the body is not a
    form, its hash is part of the address. Raises ValueError if neither can be.
    """
    address = urlsplit(request.url)
    hashes = parse_qs(address.query, max_num_fields=_MOST_FIELDS).get("bodySHA256")
    text = ""
    if _is_json(request):
        if not hashes:
            return ()
        digest = hashlib.sha256(request.body).hexdigest().encode()
        if not hmac.compare_digest(digest, hashes[0].encode("utf-8", "replace")):
            return ()
    else:
        form = request.form
        if isinstance(form, Rejection):
            return ()
        text = "".join(name + value for name, value in sorted(set(form)))
    return tuple(
        (variant + text).encode("utf-8", "surrogateescape")
        for variant in _with_and_without_port(request.url, address)
    )


def _with_and_without_port(url: str, address: SplitResult) -> tuple[str, str]:
    host = address.netloc
    if address.port:
        other = host.removesuffix(f":{address.port}")
    else:
        other = f"{host}:{443 if address.scheme == 'https' else 80}"
    return url, url.replace(f"//{host}", f"//{other}", 1)


def _algorithm(settings: str) -> str | None:
    for part in settings.split(","):
        name, _, value = part.partition("=")
        if name.strip() == "algorithm":
            return {"HMAC_SHA1": "sha1", "HMAC_SHA256": "sha256"}.get(value.strip().upper())
    return "sha1"


def _touch(fields: dict[str, Any], payload: Payload) -> Result:
    read = Fields(fields)
    if sid := read.text("MessageSid") or read.text("SmsSid"):
        return _message(sid, read, fields, payload)
    if sid := read.text("CallSid"):
        return _call(sid, read, fields, payload)
    detail = (read.problems or ["CallSid or MessageSid: is missing"])[0]
    return Rejection("unsupported", f"{detail}; calls and messages are taken", payload())


def _call(sid: str, read: Fields, fields: Mapping[str, Any], payload: Payload) -> Result:
    status = read.text("CallStatus")
    if status is None:
        read.wrong("CallStatus", "must be text, for instance completed")
    kind, outcome = CALL_ENDS.get(status or "") or (f"twilio_call_{snake_case(status or '')}", None)
    # Several callbacks before the end may have the same status.
    number = None if outcome else read.id("SequenceNumber")
    incoming = read.text("Direction") in _INCOMING_CALLS
    touch = {
        "event_id": ":".join(part for part in (sid, status, number) if part),
        "type": kind,
        "direction": "inbound" if incoming else "outbound",
        "outcome": outcome,
        # Twilio's `Duration` counts minutes.
        "duration_s": read.seconds("CallDuration") if status == "completed" else None,
    }
    return _finish(touch, "From" if incoming else "To", read, fields, payload)


def _message(sid: str, read: Fields, fields: Mapping[str, Any], payload: Payload) -> Result:
    status = read.text("MessageStatus") or read.text("SmsStatus")
    if status is None:
        read.wrong("MessageStatus", "must be text, for instance delivered")
    kind = MESSAGE_ENDS.get(status or "") or f"twilio_message_{snake_case(status or '')}"
    incoming = status in _INCOMING_MESSAGES
    text = read.text("Body")
    touch = {
        "event_id": f"{sid}:{status}",
        "type": kind,
        "direction": "inbound" if incoming else "outbound",
        "outcome": status if kind == "sms_failed" else None,
        "subject": subject(text),
        "properties": {"text": text} if text else {},
    }
    return _finish(touch, "From" if incoming else "To", read, fields, payload)


def _finish(
    touch: dict[str, Any], customer: str, read: Fields, fields: Mapping[str, Any], payload: Payload
) -> Result:
    own = {name: value for name, value in fields.items() if name not in _MAPPED and value != ""}
    touch |= {
        "channel": "phone",
        "identifiers": identifiers(("phone", _phone(read.text(customer)))),
        "occurred_at": _moment(read),
        "properties": {**own, **touch.get("properties", {})},
    }
    nobody = f"{customer}: is not a phone number, so the event names no customer"
    return finish(touch, read.problems, payload, nobody=nobody)


def _phone(address: str | None) -> str | None:
    """Return the phone number of an address, in E.164 as Twilio writes it, or None."""
    number = address or ""
    for prefix in _PHONE_PREFIXES:
        number = number.removeprefix(prefix)
    return number if number.startswith("+") and number not in _WITHHELD else None


def _moment(read: Fields) -> datetime | None:
    text = read.text("Timestamp")
    if text is None:
        return None
    try:
        return parsedate_to_datetime(text)
    except (ValueError, TypeError, IndexError, OverflowError):
        read.wrong("Timestamp", "must be a time as in RFC 2822")
        return None
