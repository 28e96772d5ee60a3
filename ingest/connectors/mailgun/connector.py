"""Mailgun's webhooks: what became of each e-mail, and what its receiver did with it.

Source: https://documentation.mailgun.com/docs/mailgun/user-manual/webhooks/webhook-payloads
(events) and …/webhooks/securing-webhooks (signature: HMAC-SHA256 with the signing key over
timestamp and token, in the body). See docs/channels/mailgun.md.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, ClassVar

from pydantic import Field

from ingest.connector import Context, Options, Request, Result, Use, WebhookConnector, secrets
from ingest.kit.fields import (
    MARKETING,
    Fields,
    Payload,
    campaign,
    derived_id,
    finish,
    guarded,
    id_text,
    identifiers,
    snake_case,
)
from ingest.kit.json_body import refused_payload
from ingest.kit.mail_message import address
from ingest.kit.signing import HEX, MaxAgeDays, RequiredSecrets, is_hmac_of, is_recent
from schemas.rejection import Rejection

SIGNATURE = "signature"
EVENT = "event-data"
#: The same for an event of a subaccount, signed with the key of the account above it.
PARENT = "parent-signature"

#: Mailgun's event -> (type, direction). Failures are told apart by `_failed`.
EVENTS = {
    "accepted": ("email_processed", "outbound"),
    "rejected": ("email_dropped", "outbound"),
    "delivered": ("email_delivered", "outbound"),
    "opened": ("email_opened", "inbound"),
    "clicked": ("email_clicked", "inbound"),
    "unsubscribed": ("email_unsubscribed", "inbound"),
    "complained": ("email_complained", "inbound"),
}
_DECISIONS = frozenset({"unsubscribed", "complained"})
#: Prefix of a failure's reason: Mailgun did not try, the address is on one of its lists.
_SUPPRESSED = "suppress-"
#: Fields with fields of their own in a touchpoint; all others, user variables too, are properties.
_MAPPED = frozenset({"event", "id", "timestamp", "recipient", "url"})
#: Fields of which only a part is kept: the rest is headers, and addresses of others.
_SHORTENED = frozenset({"message", "envelope"})
_NAMES = {"event_id": "event-data.id", "type": "event-data.event", "url": "event-data.url"}


class MailgunOptions(Options):
    """`signing_key`: the HTTP webhook signing key of the account.

    `customer_id_variable` names the user variable that holds your customer id, if you send one.
    `lists` gives mailing lists (by address) a consent purpose of their own; without, leaving a
    list is a decision about "marketing". `max_age_days`: the maximum age of a signature.
    """

    signing_key: RequiredSecrets
    customer_id_variable: str | None = None
    lists: dict[str, str] = Field(default_factory=dict)
    max_age_days: MaxAgeDays = 3


class Mailgun(WebhookConnector):
    """The webhooks of Mailgun, signed.

    It is a `TokenConnector`: a token is signed, not the event.
    """

    name: ClassVar[str] = "mailgun"
    doc: ClassVar[str] = "E-mail: Mailgun's signed webhooks"
    options: ClassVar[type[Options]] = MailgunOptions

    def __init__(self, options: MailgunOptions) -> None:
        self._keys = secrets(options.signing_key)
        self._options = options

    def verify(self, request: Request, received_ms: int) -> bool:
        """Return True if one of the keys signed timestamp and token, and not too long ago."""
        signature = _signature(request.json)
        timestamp, token = _text(signature, "timestamp"), _text(signature, "token")
        if not token or not is_recent(timestamp, received_ms, self._options.max_age_days):
            return False
        signed = (timestamp + token).encode("utf-8", "replace")
        shown = [_text(signature, name) for name in (SIGNATURE, PARENT)]
        return any([is_hmac_of(signed, one, self._keys, HEX) for one in shown])

    def token_use(self, request: Request) -> Use:
        """Return the token, and the event as canonical JSON: its JSON may differ the next time."""
        body = request.json
        event = body.get(EVENT) if isinstance(body, dict) else None
        token = _text(_signature(body), "token").encode("utf-8", "replace")
        try:
            return Use(token, derived_id({EVENT: event}).encode())
        except RecursionError:
            return Use(token, request.body)

    def parse(self, request: Request, context: Context) -> Iterator[Result]:
        """Yield the one event of the request."""
        body = request.json
        if isinstance(body, Rejection):
            yield body
            return
        event = body.get(EVENT) if isinstance(body, dict) else None
        if isinstance(event, dict):
            # Only the event is stored, without the signature.
            yield guarded(self._event, event, lambda: refused_payload(event, request.body))
        else:
            yield Rejection("unreadable", f"{EVENT}: must be an object", request.body)

    def around(self, request: Request) -> tuple[bytes, bytes]:
        """Return the object around the event."""
        return b'{"event-data":', b"}"

    def _event(self, event: dict[str, Any], payload: Payload) -> Result:
        read = Fields(event, f"{EVENT}.")
        name = read.text("event")
        if name is None:
            read.wrong("event", "must be text, for instance delivered")
        message = read.inside("message")
        incoming = name == "stored" or read.object("flags").get("is-routed") is True
        kind, direction, outcome = _incoming(name) if incoming else _outgoing(name, read)
        headers = message.inside("headers")
        email = address(headers.text("from")) if incoming else read.text("recipient")
        fields = {
            "event_id": _event_id(read, event),
            "channel": "email",
            "type": kind,
            "direction": direction,
            "identifiers": identifiers(
                ("customer_id", None if incoming else self._customer_id(read)), ("email", email)
            ),
            "occurred_at": read.moment("timestamp", 1000),
            "consent": None if incoming else self._consent(name, read),
            "campaign": _campaign(event),
            "outcome": outcome,
            "subject": headers.label("subject"),
            "url": read.text("url"),
            "properties": _properties(event, message),
        }
        nobody = f"{EVENT}.{'message.headers.from' if incoming else 'recipient'}: is missing"
        return finish(fields, read.problems, payload, _NAMES, nobody)

    def _customer_id(self, read: Fields) -> str | None:
        variable = self._options.customer_id_variable
        return id_text(read.object("user-variables").get(variable)) if variable else None

    def _consent(self, name: str | None, read: Fields) -> dict[str, bool] | None:
        if name not in _DECISIONS:
            return None
        of_list = read.inside("mailing-list").text("address") if name == "unsubscribed" else None
        return {self._options.lists.get(of_list or "", MARKETING): False}


def _signature(body: object) -> dict[str, Any]:
    signature = body.get(SIGNATURE) if isinstance(body, dict) else None
    return signature if isinstance(signature, dict) else {}


def _text(signature: dict[str, Any], name: str) -> str:
    return id_text(signature.get(name)) or ""


def _event_id(read: Fields, event: dict[str, Any]) -> str:
    """Return Mailgun's id with the time of the event: ids are unique within a day only."""
    identifier, timestamp = read.id("id"), event.get("timestamp")
    if identifier is None:
        read.wrong("id", "must be text, the id of the event")
    seconds = int(timestamp) if isinstance(timestamp, int | float) and abs(timestamp) < 1e12 else ""
    return f"{identifier}:{seconds}"


def _outgoing(name: str | None, read: Fields) -> tuple[str, str, str | None]:
    """Return type, direction and outcome of an event about an e-mail to a customer."""
    if name == "failed":
        return _failed(read)
    kind, direction = EVENTS.get(name or "") or (f"mailgun_{snake_case(name or '')}", "inbound")
    return kind, direction, None


def _failed(read: Fields) -> tuple[str, str, str | None]:
    reason = read.label("reason")
    if reason is not None and reason.startswith(_SUPPRESSED):
        return "email_dropped", "outbound", reason
    kind = "email_deferred" if read.text("severity") == "temporary" else "email_bounced"
    return kind, "outbound", reason


def _incoming(name: str | None) -> tuple[str, str, str | None]:
    """Return the same for an e-mail from a customer, which a route of Mailgun received."""
    if name == "accepted":
        return "email_received", "inbound", None
    return f"mailgun_routed_{snake_case(name or '')}", "inbound", None


def _campaign(event: dict[str, Any]) -> dict[str, str] | None:
    """Return the first tag as the campaign."""
    tags = event.get("tags")
    first = tags[0] if isinstance(tags, list) and tags else None
    return campaign(first) if isinstance(first, str) else None


def _properties(event: dict[str, Any], message: Fields) -> dict[str, Any]:
    own = {
        name: value
        for name, value in event.items()
        if name not in _MAPPED and name not in _SHORTENED
    }
    message_id = message.inside("headers").label("message-id")
    return own if message_id is None else {**own, "message_id": message_id}
