"""Mailgun's webhooks: what became of each e-mail, and what its receiver did with it.

Source: https://documentation.mailgun.com/docs/mailgun/user-manual/webhooks/webhook-payloads
(events) and …/webhooks/securing-webhooks (signature: HMAC-SHA256 with the signing key over
timestamp and token, in the body). Older webhooks and routes post forms, see `forms`. See
docs/channels/mailgun.md.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from functools import partial
from typing import Any, ClassVar

from pydantic import Field

from ingest.connector import Context, Options, Request, Result, Use, WebhookConnector, secrets
from ingest.connectors.mailgun.forms import event_of, signature_of
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
from ingest.kit.forms import Form, posted_form
from ingest.kit.incoming_mail import MailTouch, Own, OwnDomains, own_receiver, touches
from ingest.kit.json_body import refused_payload
from ingest.kit.mail_addresses import decoded
from ingest.kit.mail_message import Mail, sent_at
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
    # Of legacy webhooks.
    "bounced": ("email_bounced", "outbound"),
    "dropped": ("email_dropped", "outbound"),
}
_DECISIONS = frozenset({"unsubscribed", "complained"})
#: Prefix of a failure's reason: Mailgun did not try, the address is on one of its lists.
_SUPPRESSED = "suppress-"
#: Fields with fields of their own in a touchpoint; all others, user variables too, are properties.
_MAPPED = frozenset({"event", "id", "timestamp", "recipient", "url"})
#: Fields of which only a part is kept: the rest is headers, and addresses of others.
_SHORTENED = frozenset({"message", "envelope", "mail"})
_NAMES = {"event_id": "event-data.id", "type": "event-data.event", "url": "event-data.url"}


class MailgunOptions(Options):
    """`signing_key`: the HTTP webhook signing key of the account.

    `customer_id_variable` names the user variable that holds your customer id, if you send one.
    `lists` gives mailing lists (by address) a consent purpose of their own; without, leaving a
    list is a decision about "marketing". `own_domains` are the company's, whose addresses are never
    a customer's; by default, of an incoming mail, the domain of the address that received it.
    `max_age_days`: the maximum age of a signature.
    """

    signing_key: RequiredSecrets
    customer_id_variable: str | None = None
    lists: dict[str, str] = Field(default_factory=dict)
    own_domains: OwnDomains = ()
    max_age_days: MaxAgeDays = 3


class Mailgun(WebhookConnector):
    """The webhooks of Mailgun, signed.

    It is a `TokenConnector`: a token is signed, not the event.
    """

    name: ClassVar[str] = "mailgun"
    doc: ClassVar[str] = "E-mail: Mailgun's signed webhooks, incoming messages too"
    options: ClassVar[type[Options]] = MailgunOptions

    def __init__(self, options: MailgunOptions) -> None:
        self._keys = secrets(options.signing_key)
        self._own = Own(options.own_domains)
        self._options = options

    def verify(self, request: Request, received_ms: int) -> bool:
        """Return True if one of the keys signed timestamp and token, and not too long ago."""
        signature = _signature(_body(request))
        timestamp, token = _text(signature, "timestamp"), _text(signature, "token")
        if not token or not is_recent(timestamp, received_ms, self._options.max_age_days):
            return False
        signed = (timestamp + token).encode("utf-8", "replace")
        shown = [_text(signature, name) for name in (SIGNATURE, PARENT)]
        return any([is_hmac_of(signed, one, self._keys, HEX) for one in shown])

    def token_use(self, request: Request) -> Use:
        """Return the token, and the event as canonical JSON: its JSON may differ the next time."""
        body = _body(request)
        event = body.get(EVENT) if isinstance(body, dict) else None
        token = _text(_signature(body), "token").encode("utf-8", "replace")
        try:
            return Use(token, derived_id({EVENT: event}).encode())
        except RecursionError:
            return Use(token, request.body)

    def parse(self, request: Request, context: Context) -> Iterator[Result]:
        """Yield the one event of the request; of an incoming report one for each receiver."""
        body = _body(request)
        if isinstance(body, Rejection):
            yield body
            return
        event = body.get(EVENT) if isinstance(body, dict) else None
        if not isinstance(event, dict):
            yield Rejection("unreadable", f"{EVENT}: must be an object", request.body)
            return

        def payload() -> bytes:
            """Return only the event, without the signature."""
            return refused_payload(event, request.body)

        if _is_incoming(event):
            yield from self._incoming(event, payload, context)
        else:
            yield guarded(self._event, event, payload)

    def around(self, request: Request) -> tuple[bytes, bytes]:
        """Return the object around the event."""
        return b'{"event-data":', b"}"

    def _event(self, event: dict[str, Any], payload: Payload) -> Result:
        read = Fields(event, f"{EVENT}.")
        name = read.text("event")
        if name is None:
            read.wrong("event", "must be text, for instance delivered")
        read.object("flags")  # they tell an incoming mail
        message = read.inside("message")
        kind, direction, outcome = _outgoing(name, read)
        receiver = read.text("recipient")
        fields = {
            "event_id": _event_id(read, event),
            "channel": "email",
            "type": kind,
            "direction": direction,
            "identifiers": identifiers(
                ("customer_id", self._customer_id(read)), ("email", receiver)
            ),
            "occurred_at": read.moment("timestamp", 1000),
            "consent": self._consent(name, read),
            "campaign": _campaign(event),
            "outcome": outcome,
            "subject": decoded(message.inside("headers").label("subject") or "") or None,
            "url": read.text("url"),
            "properties": _properties(event, message),
        }
        where = f"{EVENT}.recipient"
        refused = own_receiver(self._own, receiver, where, fields, payload)
        return refused or finish(fields, read.problems, payload, _NAMES, f"{where}: is missing")

    def _incoming(
        self, event: dict[str, Any], payload: Payload, context: Context
    ) -> Iterator[Result]:
        """Yield the touches of an e-mail that a route of Mailgun received."""
        mail = _mail(event)
        read = Fields(event, f"{EVENT}.")
        own = Own.receiving(self._options.own_domains, [read.peek("recipient")], mail)
        sent = sent_at(mail.raw("Date"), context.received_ms)
        for touch in touches(mail, own, self.name):
            yield guarded(partial(_received, touch, sent), event, payload)

    def _customer_id(self, read: Fields) -> str | None:
        variable = self._options.customer_id_variable
        return id_text(read.object("user-variables").get(variable)) if variable else None

    def _consent(self, name: str | None, read: Fields) -> dict[str, bool] | None:
        if name not in _DECISIONS:
            return None
        of_list = read.inside("mailing-list").text("address") if name == "unsubscribed" else None
        return {self._options.lists.get(of_list or "", MARKETING): False}


def _body(request: Request) -> object | Rejection:
    """Return the JSON of a body; a form as the JSON that it would be."""
    form = posted_form(request)
    if isinstance(form, Form):
        return {SIGNATURE: signature_of(form), EVENT: event_of(form)}
    return request.json if form is None else form


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
    if "mail" in event:
        # The id of a mail that was posted whole; its timestamp is that of the request.
        return identifier or ""
    seconds = int(timestamp) if isinstance(timestamp, int | float) and abs(timestamp) < 1e12 else ""
    return f"{identifier}:{seconds}"


def _outgoing(name: str | None, read: Fields) -> tuple[str, str, str | None]:
    """Return type, direction and outcome of an event about an e-mail to a customer."""
    if name == "failed":
        return _failed(read)
    if name in ("bounced", "dropped"):
        return (*EVENTS[name], read.label("reason"))
    kind, direction = EVENTS.get(name or "") or (f"mailgun_{snake_case(name or '')}", "inbound")
    return kind, direction, None


def _failed(read: Fields) -> tuple[str, str, str | None]:
    reason = read.label("reason")
    if reason is not None and reason.startswith(_SUPPRESSED):
        return "email_dropped", "outbound", reason
    kind = "email_deferred" if read.text("severity") == "temporary" else "email_bounced"
    return kind, "outbound", reason


def _is_incoming(event: dict[str, Any]) -> bool:
    flags = event.get("flags")
    routed = isinstance(flags, dict) and flags.get("is-routed") is True
    return routed or event.get("event") == "stored"


def _mail(event: dict[str, Any]) -> Mail:
    """Return an incoming e-mail; of one that was not posted whole Mailgun tells few headers."""
    whole, message = event.get("mail"), event.get("message")
    if isinstance(whole, dict):
        return Mail.of_json(whole)
    headers = message.get("headers") if isinstance(message, dict) else None
    pairs = headers.items() if isinstance(headers, dict) else ()
    return Mail.of((name, value) for name, value in pairs if isinstance(value, str))


def _received(
    touch: MailTouch, sent: datetime | None, event: dict[str, Any], payload: Payload
) -> Result:
    read = Fields(event, f"{EVENT}.")
    name = read.text("event")
    if name is None:
        read.wrong("event", "must be text, for instance accepted")
    message = read.inside("message")
    fields = {
        **touch.fields(_event_id(read, event)),
        "occurred_at": sent or read.moment("timestamp", 1000),
        "campaign": _campaign(event),
        "subject": decoded(message.inside("headers").label("subject") or "") or None,
        "url": read.text("url"),
        "properties": {**_properties(event, message), **touch.properties},
    }
    if name != "accepted":
        fields |= {"type": f"mailgun_routed_{snake_case(name or '')}", "consent": {}}
    nobody = touch.nobody or f"{EVENT}.message.headers.from: is missing"
    return finish(fields, read.problems, payload, _NAMES, nobody)


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
