"""SendGrid's Event Webhook: what became of each e-mail, and what its receiver did with it.

Source: https://www.twilio.com/docs/sendgrid/for-developers/tracking-events/event (events) and
…/getting-started-event-webhook-security-features (signature: ECDSA with P-256 and SHA-256 over
the timestamp header followed by the raw body; …/parsing-email/securing-your-parse-webhooks: the
same for incoming e-mails, see `incoming`). See docs/channels/sendgrid.md.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterator
from functools import partial
from typing import Annotated, Any, ClassVar, Self, TypeGuard

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import load_der_public_key
from pydantic import AfterValidator, Field, model_validator

from ingest.connector import Context, Options, Request, Result, WebhookConnector
from ingest.connectors.sendgrid.incoming import INBOUND, event_of, incoming
from ingest.kit.credentials import CredentialOptions, Credentials
from ingest.kit.fields import (
    MARKETING,
    Fields,
    Payload,
    campaign,
    derived_id,
    each,
    finish,
    id_text,
    identifiers,
    snake_case,
)
from ingest.kit.forms import Form, posted_form
from ingest.kit.incoming_mail import Own, OwnDomains, own_receiver
from ingest.kit.json_body import refused_payload
from ingest.kit.signing import MaxAgeDays, is_recent
from schemas.rejection import Rejection

SIGNATURE = "x-twilio-email-event-webhook-signature"
TIMESTAMP = "x-twilio-email-event-webhook-timestamp"

#: SendGrid's event -> (type, direction).
EVENTS = {
    "processed": ("email_processed", "outbound"),
    "deferred": ("email_deferred", "outbound"),
    "delivered": ("email_delivered", "outbound"),
    "bounce": ("email_bounced", "outbound"),
    "blocked": ("email_bounced", "outbound"),
    "dropped": ("email_dropped", "outbound"),
    "open": ("email_opened", "inbound"),
    "click": ("email_clicked", "inbound"),
    "spamreport": ("email_complained", "inbound"),
    "unsubscribe": ("email_unsubscribed", "inbound"),
    "group_unsubscribe": ("email_unsubscribed", "inbound"),
    "group_resubscribe": ("email_resubscribed", "inbound"),
}
#: Event -> the decision it is, and whether it is one about a single unsubscribe group.
_DECISIONS = {
    "spamreport": (False, False),
    "unsubscribe": (False, False),
    "group_unsubscribe": (False, True),
    "group_resubscribe": (True, True),
}
#: Fields with fields of their own; all others, custom arguments too, are properties.
_MAPPED = frozenset({"email", "event", "timestamp", "sg_event_id", "url"})
_NAMES = {"event_id": "sg_event_id", "type": "event"}


def _load(key: str) -> ec.EllipticCurvePublicKey:
    lines = key.replace("\\n", "\n").splitlines()
    text = "".join(line.strip() for line in lines if not line.strip().startswith("-----"))
    problem = "must be the verification key of the webhook: base64 as the console shows it, or PEM"
    try:
        loaded = load_der_public_key(base64.b64decode(text, validate=True))
    except ValueError:
        raise ValueError(problem) from None
    if not isinstance(loaded, ec.EllipticCurvePublicKey):
        raise ValueError(problem)
    return loaded


def _loadable(keys: str | tuple[str, ...]) -> str | tuple[str, ...]:
    for key in (keys,) if isinstance(keys, str) else keys:
        _load(key)
    return keys


class SendGridOptions(CredentialOptions):
    """`public_key`: the webhook's verification key, or several; it is no secret. Of Inbound Parse
    it is the key of the security policy; without one, `password` (with `username`) in the address
    of its webhook protects that.

    `customer_id_arg` names the custom argument that holds your customer id, if you send one.
    `groups` gives unsubscribe groups (by number) a consent purpose of their own; without, leaving
    a group is a decision about "marketing". `own_domains` are the company's, whose addresses are
    never a customer's; by default, of an incoming mail, the domain of the address that received it.
    `max_age_days`: the maximum age of a signature.
    """

    public_key: (
        Annotated[str | Annotated[tuple[str, ...], Field(min_length=1)], AfterValidator(_loadable)]
        | None
    ) = None
    customer_id_arg: str | None = None
    groups: dict[int, str] = Field(default_factory=dict)
    own_domains: OwnDomains = ()
    max_age_days: MaxAgeDays = 3

    @model_validator(mode="after")
    def _guarded(self) -> Self:
        if self.public_key is None and self.password is None and self.token is None:
            raise ValueError("public_key is missing; for Inbound Parse alone, a password will do")
        return self


class SendGrid(WebhookConnector):
    """The Event Webhook of SendGrid, signed, and its Inbound Parse webhook."""

    name: ClassVar[str] = "sendgrid"
    doc: ClassVar[str] = "E-mail: SendGrid's signed Event Webhook, incoming messages too"
    options: ClassVar[type[Options]] = SendGridOptions

    def __init__(self, options: SendGridOptions) -> None:
        given = options.public_key or ()
        self._keys = [_load(key) for key in ((given,) if isinstance(given, str) else given)]
        self._credentials = Credentials(options)
        self._own = Own(options.own_domains)
        self._options = options

    def verify(self, request: Request, received_ms: int) -> bool:
        """Return True if one of the keys signed timestamp and body, and not too long ago.

        An incoming mail, which SendGrid signs only if told so, may show the password instead.
        """
        if self._credentials.shown_by(request) and isinstance(posted_form(request), Form):
            return True
        timestamp = request.headers.get(TIMESTAMP, "")
        if not is_recent(timestamp, received_ms, self._options.max_age_days):
            return False
        try:
            signature = base64.b64decode(request.headers.get(SIGNATURE, ""), validate=True)
        except (ValueError, binascii.Error):
            return False
        signed = timestamp.encode() + request.body
        return any(_is_signed(key, signature, signed) for key in self._keys)

    def parse(self, request: Request, context: Context) -> Iterator[Result]:
        """Yield the events of the request, a JSON array."""
        form = posted_form(request)
        if isinstance(form, Form):
            yield from self._incoming(event_of(form), request, context)
            return
        body = request.json if form is None else form
        if isinstance(body, Rejection):
            yield body
        elif _is_kept_mail(body):
            yield from self._incoming(body[0], request, context)
        elif isinstance(body, list):
            yield from each(body, request.body, context, self._event)
        else:
            yield Rejection("unreadable", "the body: must be a JSON array of events", request.body)

    def _incoming(
        self, event: dict[str, Any], request: Request, context: Context
    ) -> Iterator[Result]:
        payload = partial(refused_payload, event, request.body)
        yield from incoming(event, payload, context, self._options.own_domains)

    def around(self, request: Request) -> tuple[bytes, bytes]:
        """Return the array around an event."""
        return b"[", b"]"

    def _event(self, event: dict[str, Any], payload: Payload) -> Result:
        read = Fields(event)
        name = read.text("event")
        if name is None:
            read.wrong("event", "must be text, for instance delivered")
        kind, direction = EVENTS.get(name or "") or (
            f"sendgrid_{snake_case(name or '')}",
            "inbound",
        )
        arg, email = self._options.customer_id_arg, read.text("email")
        bounced = kind == "email_bounced"
        fields = {
            "event_id": read.id("sg_event_id") or derived_id(event),
            "channel": "email",
            "type": kind,
            "direction": direction,
            "identifiers": identifiers(
                ("customer_id", id_text(event.get(arg)) if arg else None),
                ("email", email),
            ),
            "occurred_at": read.moment("timestamp", 1000),
            "consent": self._consent(name, read),
            "campaign": _campaign(event, read),
            "outcome": ("blocked" if name == "blocked" else read.label("type"))
            if bounced
            else None,
            "url": read.text("url"),
            "properties": {k: v for k, v in event.items() if k not in _MAPPED},
        }
        refused = own_receiver(self._own, email, "email", fields, payload)
        return refused or finish(fields, read.problems, payload, _NAMES, "email: is missing")

    def _consent(self, name: str | None, read: Fields) -> dict[str, bool] | None:
        if name not in _DECISIONS:
            return None
        decision, of_group = _DECISIONS[name]
        group = read.id("asm_group_id") if of_group else None
        purposes = {str(number): purpose for number, purpose in self._options.groups.items()}
        return {purposes.get(group or "", MARKETING): decision}


def _is_kept_mail(body: object) -> TypeGuard[list[dict[str, Any]]]:
    """Return True for what is kept of an incoming mail."""
    if not isinstance(body, list) or len(body) != 1 or not isinstance(body[0], dict):
        return False
    return body[0].get("event") == INBOUND and isinstance(body[0].get("mail"), dict)


def _is_signed(key: ec.EllipticCurvePublicKey, signature: bytes, signed: bytes) -> bool:
    try:
        key.verify(signature, signed, ec.ECDSA(hashes.SHA256()))
    except InvalidSignature:
        return False
    return True


def _campaign(event: dict[str, Any], read: Fields) -> dict[str, str] | None:
    """Return the first category, else the name of the marketing campaign."""
    category = event.get("category")
    first = category[0] if isinstance(category, list) and category else category
    name = first if isinstance(first, str) and first else read.label("marketing_campaign_name")
    return campaign(name)
