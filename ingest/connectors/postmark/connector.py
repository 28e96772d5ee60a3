"""Postmark's webhooks: what became of each e-mail, what its receiver did, and incoming e-mails.

Source: https://postmarkapp.com/developer/webhooks/webhooks-overview and the pages of each webhook
beside it; …/developer/api/bounce-api#bounce-types (types of bounces). Postmark signs nothing: it
shows the name and password of the webhook's address (HTTP Basic), or a header that you define. See
docs/channels/postmark.md.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, ClassVar, NamedTuple, Self

from pydantic import Field, model_validator

from ingest.connector import Context, Options, Request, Result, WebhookConnector
from ingest.connectors.postmark.incoming import incoming
from ingest.kit.credentials import CredentialOptions, Credentials
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
    json_object,
    snake_case,
)
from ingest.kit.incoming_mail import Own, OwnDomains, own_receiver
from schemas.rejection import Rejection

INBOUND = "Inbound"


class Record(NamedTuple):
    """A kind of record: its type and direction, and the fields of the customer and the time."""

    type: str
    direction: str
    customer: str
    moment: str


#: RecordType -> its kind. Bounces and changes of a subscription say more in a field of their own.
RECORDS = {
    "Delivery": Record("email_delivered", "outbound", "Recipient", "DeliveredAt"),
    "Bounce": Record("email_bounced", "outbound", "Email", "BouncedAt"),
    "SpamComplaint": Record("email_complained", "inbound", "Email", "BouncedAt"),
    "Open": Record("email_opened", "inbound", "Recipient", "ReceivedAt"),
    "Click": Record("email_clicked", "inbound", "Recipient", "ReceivedAt"),
    "SubscriptionChange": Record("", "inbound", "Recipient", "ChangedAt"),
}
#: Type of a bounce -> (type, direction); others are kept as postmark_<type>.
BOUNCES = {
    "HardBounce": ("email_bounced", "outbound"),
    "SoftBounce": ("email_bounced", "outbound"),
    "Blocked": ("email_bounced", "outbound"),
    "BadEmailAddress": ("email_bounced", "outbound"),
    "DMARCPolicy": ("email_bounced", "outbound"),
    "VirusNotification": ("email_bounced", "outbound"),
    "SpamNotification": ("email_bounced", "outbound"),  # by the provider, not the customer
    "Unknown": ("email_bounced", "outbound"),
    "Transient": ("email_deferred", "outbound"),
    "DnsError": ("email_deferred", "outbound"),
    "ManuallyDeactivated": ("email_dropped", "outbound"),
    "SMTPApiError": ("email_dropped", "outbound"),
    "TemplateRenderingFailed": ("email_dropped", "outbound"),
    "AutoResponder": ("email_auto_replied", "inbound"),
    "SpamComplaint": ("email_complained", "inbound"),
    "Unsubscribe": ("email_unsubscribed", "inbound"),
    "Subscribe": ("email_resubscribed", "inbound"),
}
#: Types of bounces that are a decision about consent.
_DECISIONS = {
    "email_complained": False,
    "email_unsubscribed": False,
    "email_resubscribed": True,
}
#: Reasons of a suppression that the customer decided.
_DECIDED = frozenset({"ManualSuppression", "SpamComplaint"})
#: Fields with fields of their own, or with the message: all others are properties.
_MAPPED = frozenset({"Recipient", "Email", "OriginalLink", "Subject", "Content"})
#: Record -> fields that tell two of them apart, beside receiver, message and time. Suppression
#: lists are kept by message stream, and changes of them have a time in seconds and mostly no
#: message.
_DISTINCT = {
    "SubscriptionChange": ("MessageStream", "SuppressSending", "SuppressionReason", "Origin"),
    "Bounce": ("Type",),
}


class PostmarkOptions(CredentialOptions):
    """`password` (with `username`): the HTTP Basic password in the webhook's address; `token`: the
    value of the webhook's header `header`. At least one; if both are given both must be right.

    `customer_id_metadata` names the metadata field that holds your customer id, if you send one.
    `streams` gives message streams a consent purpose of their own; without, leaving a stream is a
    decision about "marketing". `own_domains` are the company's, whose addresses are never a
    customer's; by default, of an incoming mail, the domain of the address that received it.
    """

    customer_id_metadata: str | None = None
    streams: dict[str, str] = Field(default_factory=dict)
    own_domains: OwnDomains = ()

    @model_validator(mode="after")
    def _guarded(self) -> Self:
        if self.password is None and self.token is None:
            raise ValueError("password or token is missing: Postmark signs nothing")
        return self


class Postmark(WebhookConnector):
    """The webhooks of a Postmark server."""

    name: ClassVar[str] = "postmark"
    doc: ClassVar[str] = "E-mail: Postmark's webhooks, incoming messages too"
    options: ClassVar[type[Options]] = PostmarkOptions

    def __init__(self, options: PostmarkOptions) -> None:
        self._credentials = Credentials(options)
        self._own = Own(options.own_domains)
        self._options = options

    def verify(self, request: Request, received_ms: int) -> bool:
        """Return True if the request shows all that the source asks for."""
        return self._credentials.shown_by(request)

    def parse(self, request: Request, context: Context) -> Iterator[Result]:
        """Yield the one event of the request; of an incoming report one for each receiver."""
        event = json_object(request)
        if isinstance(event, Rejection):
            yield event
        elif (event.get("RecordType") or ("FromFull" in event and INBOUND)) == INBOUND:
            yield from incoming(event, lambda: request.body, context, self._options.own_domains)
        else:
            yield guarded(self._event, event, lambda: request.body)

    def _event(self, event: dict[str, Any], payload: Payload) -> Result:
        read = Fields(event)
        name = read.text("RecordType")
        if name is None:
            read.wrong("RecordType", "must be text, for instance Delivery")
        record = RECORDS.get(name or "") or Record(
            f"postmark_{snake_case(name or '')}",
            "inbound",
            "Recipient" if "Recipient" in event else "Email",
            "ReceivedAt",
        )
        kind, direction, outcome = record.type, record.direction, None
        if name == "Bounce":
            kind, direction, outcome = _bounce(read)
        elif name == "SubscriptionChange":
            kind, outcome = _change(read)
        customer = read.text(record.customer)
        fields = {
            "event_id": _event_id(name or "", read, record, customer),
            "channel": "email",
            "type": kind,
            "direction": direction,
            "identifiers": identifiers(
                ("customer_id", self._customer_id(read)), ("email", customer)
            ),
            "occurred_at": read.text(record.moment),
            "consent": self._consent(name or "", kind, read),
            "campaign": campaign(read.label("Tag")),
            "outcome": outcome,
            "subject": read.label("Subject"),
            "url": read.text("OriginalLink"),
            "properties": {
                k: v for k, v in event.items() if k not in _MAPPED and k != record.moment
            },
        }
        names = {"occurred_at": record.moment, "url": "OriginalLink", "type": "RecordType"}
        refused = own_receiver(self._own, customer, record.customer, fields, payload)
        nobody = f"{record.customer}: is missing"
        return refused or finish(fields, read.problems, payload, names, nobody)

    def _customer_id(self, read: Fields) -> str | None:
        field = self._options.customer_id_metadata
        return id_text(read.object("Metadata").get(field)) if field else None

    def _consent(self, name: str, kind: str, read: Fields) -> dict[str, bool] | None:
        decision = _DECISIONS.get(kind)
        if name == "SubscriptionChange" and decision and read.peek("Origin") != "Recipient":
            # The company lifted a suppression: that is no consent of the customer.
            decision = None
        if decision is None:
            return None
        return {self._options.streams.get(read.peek("MessageStream") or "", MARKETING): decision}


def _event_id(name: str, read: Fields, record: Record, customer: str | None) -> str:
    """Return the id of a bounce; for other records, one of what distinguishes them."""
    if identifier := read.id("ID"):
        return f"{snake_case(name)}:{identifier}"
    parts = (read.id("MessageID"), read.text(record.moment), read.text("OriginalLink"))
    content: dict[str, Any] = {"record": name, "customer": customer, "parts": parts}
    if name in _DISTINCT:
        fields = dict(read.values())
        content["change"] = [fields.get(field) for field in _DISTINCT[name]]
    return derived_id(content)


def _bounce(read: Fields) -> tuple[str, str, str | None]:
    name = read.text("Type") or "Unknown"
    kind, direction = BOUNCES.get(name) or (f"postmark_{snake_case(name)}", "inbound")
    return kind, direction, snake_case(name)


def _change(read: Fields) -> tuple[str, str | None]:
    """Return type and outcome of a change of the suppression list.

    A change that only a bounce caused is nobody's decision, and one by Postmark's or the company's
    staff is not the customer's. One through the API ("Customer", of Postmark) may be, as preference
    pages use it: a withdrawal counts in doubt.
    """
    reason = read.text("SuppressionReason")
    outcome = snake_case(reason) if reason else None
    if read.flag("SuppressSending") is False:
        return "email_resubscribed", outcome
    decided = reason in _DECIDED and read.peek("Origin") != "Admin"
    return ("email_unsubscribed" if decided else "postmark_suppressed"), outcome
