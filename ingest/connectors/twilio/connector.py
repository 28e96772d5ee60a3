"""Twilio: the signature of its webhooks, and the way from a request to a call, message or event.

Source: https://www.twilio.com/docs/usage/security#validating-requests (signature). See
docs/channels/twilio.md.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Iterator, Mapping
from datetime import datetime
from email.utils import parsedate_to_datetime
from functools import partial
from typing import Any, ClassVar
from urllib.parse import SplitResult, parse_qs, urlsplit

from pydantic import Field

from ingest.connector import (
    Context,
    Options,
    Reply,
    Request,
    Result,
    WebhookConnector,
    secrets,
)
from ingest.connectors.twilio.addresses import Company
from ingest.connectors.twilio.calls import call
from ingest.connectors.twilio.conversations import (
    conversation,
    is_asked_before,
    is_conversation,
)
from ingest.connectors.twilio.messages import message
from ingest.kit.fields import (
    DETAIL_LENGTH,
    MARKETING,
    Fields,
    Payload,
    finish,
    guarded,
    json_object,
)
from ingest.kit.signing import BASE64, RequiredSecrets, is_hmac_of, query_value, sorted_form
from schemas.rejection import Rejection

SIGNATURE = "x-twilio-signature"
#: Header that names another algorithm than the default SHA-1, for requests signed by a shared key.
SETTINGS = "x-twilio-webhooks-signature-settings"
_MOST_FIELDS = 1000

_MAPPED = frozenset({"CallDuration", "Timestamp", "Body"})
_IN_ADDRESS = ("From", "To", "Direction")
_EMPTY = b'<?xml version="1.0" encoding="UTF-8"?><Response/>'


class TwilioOptions(Options):
    """`auth_token`: that of the account that owns the numbers (or the secret of a shared key).

    `own_numbers`: the company's numbers, those of its agents too, and its other addresses (as
    `messenger:1234`): none of them is a customer. `purpose`: the consent purpose of messages by
    WhatsApp and Messenger; that of SMS is sms_marketing.
    """

    auth_token: RequiredSecrets
    own_numbers: tuple[str, ...] = ()
    purpose: str = Field(MARKETING, min_length=1, max_length=512)


class Twilio(WebhookConnector):
    """Voice and messaging webhooks of Twilio."""

    name: ClassVar[str] = "twilio"
    doc: ClassVar[str] = (
        "Phone: Twilio's call status callbacks, SMS, WhatsApp and Messenger messages"
    )
    options: ClassVar[type[Options]] = TwilioOptions

    def __init__(self, options: TwilioOptions) -> None:
        self._tokens = secrets(options.auth_token)
        self._company = Company.of(options.own_numbers, options.purpose)

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
            told = {**_in_address(request), **fields}
            yield guarded(partial(_touch, self._company), told, lambda: request.body)

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


def _in_address(request: Request) -> dict[str, str]:
    """Return who called whom, where the address says it: some callbacks name only the call."""
    found = {name: query_value(request.query, name) for name in _IN_ADDRESS}
    return {name: value for name, value in found.items() if value is not None}


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
    fields = b""
    if _is_json(request):
        if not hashes:
            return ()
        digest = hashlib.sha256(request.body).hexdigest().encode()
        if not hmac.compare_digest(digest, hashes[0].encode("utf-8", "replace")):
            return ()
    else:
        if isinstance(request.form, Rejection):
            return ()
        fields = sorted_form(request)
    return tuple(
        variant.encode("utf-8", "surrogateescape") + fields
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


def _found(read: Fields, company: Company) -> dict[str, Any] | None:
    """Return the fields of the touchpoint; None if the request reports nothing that is known."""
    event = read.peek("EventType")
    if is_conversation(event):
        return conversation(event or "", read, company)
    if sid := read.text("MessageSid") or read.text("SmsSid"):
        return message(sid, read, company)
    if sid := read.text("CallSid"):
        return call(sid, read, company)
    return None


def _touch(company: Company, fields: dict[str, Any], payload: Payload) -> Result:
    read = Fields(fields)
    event = read.peek("EventType") or ""
    if is_conversation(event) and is_asked_before(event):
        detail = f"EventType: {event} comes before it happens; choose the post-event webhook"
        return Rejection("unsupported", detail[:DETAIL_LENGTH], payload())
    touch = _found(read, company)
    if touch is None:
        detail = (read.problems or ["CallSid or MessageSid: is missing"])[0]
        return Rejection("unsupported", f"{detail}; calls and messages are taken", payload())
    used = _MAPPED if touch.get("duration_s") is not None else _MAPPED - {"CallDuration"}
    own = {name: value for name, value in fields.items() if name not in used and value != ""}
    touch = {
        "occurred_at": _moment(read),
        **touch,
        "properties": {**own, **touch.get("properties", {})},
    }
    return finish(touch, read.problems, payload, nobody=_nobody(touch, read))


def _nobody(touch: Mapping[str, Any], read: Fields) -> str:
    """Return the reason why an event has no customer, where it has none."""
    side = "From" if touch["direction"] == "inbound" else "To"
    if side not in read:
        return (
            f"{side}: is missing, so the event names no customer; add From, To and Direction to "
            "the address of the callback"
        )
    return f"{side}: is not a phone number of a customer, so the event names none"


def _moment(read: Fields) -> datetime | None:
    name = "Timestamp" if "Timestamp" in read else "RecordingStartTime"
    text = read.text(name)
    if text is None:
        return None
    try:
        return parsedate_to_datetime(text)
    except (ValueError, TypeError, IndexError, OverflowError):
        read.wrong(name, "must be a time as in RFC 2822")
        return None
