"""Postmark's webhooks: what became of each e-mail, what its receiver did, and incoming e-mails.

Source: https://postmarkapp.com/developer/webhooks/webhooks-overview and the pages of each webhook
beside it; …/developer/api/bounce-api#bounce-types (types of bounces). Postmark signs nothing: it
shows the name and password of the webhook's address (HTTP Basic), or a header that you define. See
docs/channels/postmark.md.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Any, ClassVar, NamedTuple, Self

from pydantic import Field, StringConstraints, model_validator

from ingest.connector import Context, Options, Request, Result, WebhookConnector, secrets
from ingest.kit.fields import (
    MARKETING,
    Fields,
    Payload,
    campaign,
    derived_id,
    finish,
    id_text,
    identifiers,
    single_event,
    snake_case,
)
from ingest.kit.mail_message import TEXT_LENGTH, sent_at
from ingest.kit.signing import RequiredSecrets, basic_credentials, is_one_of

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
_INBOUND_KEPT = ("MessageStream", "MailboxHash", "OriginalRecipient", "ReplyTo", "Tag", "FromName")


class PostmarkOptions(Options):
    """`password` (with `username`): the HTTP Basic password in the webhook's address; `token`: the
    value of the webhook's header `header`. At least one; if both are given both must be right.

    `customer_id_metadata` names the metadata field that holds your customer id, if you send one.
    `streams` gives message streams a consent purpose of their own; without, leaving a stream is a
    decision about "marketing".
    """

    username: Annotated[str, StringConstraints(pattern=r"^[^:]+$")] = "touchline"
    password: RequiredSecrets | None = None
    header: Annotated[str, StringConstraints(min_length=1, to_lower=True)] = "x-touchline-token"
    token: RequiredSecrets | None = None
    customer_id_metadata: str | None = None
    streams: dict[str, str] = Field(default_factory=dict)

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
        passwords = secrets(options.password) if options.password is not None else ()
        self._basic = tuple(options.username.encode() + b":" + one for one in passwords)
        self._tokens = secrets(options.token) if options.token is not None else ()
        self._options = options

    def verify(self, request: Request, received_ms: int) -> bool:
        """Return True if the request shows all that the source asks for."""
        basic = not self._basic or is_one_of(basic_credentials(request), self._basic)
        shown = request.headers.get(self._options.header, "").encode("utf-8", "replace")
        token = not self._tokens or is_one_of(shown, self._tokens)
        return basic and token

    def parse(self, request: Request, context: Context) -> Iterator[Result]:
        """Yield the one event of the request."""
        yield single_event(request, lambda event, payload: self._event(event, payload, context))

    def _event(self, event: dict[str, Any], payload: Payload, context: Context) -> Result:
        read = Fields(event)
        name = read.text("RecordType") or (INBOUND if "FromFull" in event else None)
        if name == INBOUND:
            return _incoming(read, payload, context.received_ms)
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
            "consent": self._consent(kind, read),
            "campaign": campaign(read.label("Tag")),
            "outcome": outcome,
            "subject": read.label("Subject"),
            "url": read.text("OriginalLink"),
            "properties": {
                k: v for k, v in event.items() if k not in _MAPPED and k != record.moment
            },
        }
        names = {"occurred_at": record.moment, "url": "OriginalLink", "type": "RecordType"}
        return finish(fields, read.problems, payload, names, f"{record.customer}: is missing")

    def _customer_id(self, read: Fields) -> str | None:
        field = self._options.customer_id_metadata
        return id_text(read.object("Metadata").get(field)) if field else None

    def _consent(self, kind: str, read: Fields) -> dict[str, bool] | None:
        decision = _DECISIONS.get(kind)
        if kind == "email_resubscribed" and read.peek("Origin") in ("Customer", "Admin"):
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
    return derived_id({"record": name, "customer": customer, "parts": parts})


def _bounce(read: Fields) -> tuple[str, str, str | None]:
    name = read.text("Type") or "Unknown"
    kind, direction = BOUNCES.get(name) or (f"postmark_{snake_case(name)}", "inbound")
    return kind, direction, snake_case(name)


def _change(read: Fields) -> tuple[str, str | None]:
    """Return type and outcome of a change of the suppression list.

    A change that only a bounce caused is nobody's decision.
    """
    reason = read.text("SuppressionReason")
    outcome = snake_case(reason) if reason else None
    if read.flag("SuppressSending") is False:
        return "email_resubscribed", outcome
    return ("email_unsubscribed" if reason in _DECIDED else "postmark_suppressed"), outcome


def _incoming(read: Fields, payload: Payload, received_ms: int) -> Result:
    text = read.text("StrippedTextReply") or read.text("TextBody") or ""
    own = {name: read.peek(name) for name in _INBOUND_KEPT}
    fields = {
        "event_id": read.id("MessageID"),
        "channel": "email",
        "type": "email_received",
        "direction": "inbound",
        "identifiers": identifiers(("email", read.inside("FromFull").text("Email"))),
        "occurred_at": sent_at(read.peek("Date"), received_ms),
        "subject": read.label("Subject"),
        "properties": {
            **{name: value for name, value in own.items() if value},
            **({"text": text[:TEXT_LENGTH]} if text else {}),
            "attachments": _attachments(read),
        },
    }
    if fields["event_id"] is None:
        read.wrong("MessageID", "must be text, the id of the message")
    nobody = "FromFull.Email: is missing"
    return finish(fields, read.problems, payload, {"event_id": "MessageID"}, nobody)


def _attachments(read: Fields) -> list[dict[str, Any]]:
    """Return the attachments, without their content."""
    return [
        {name: part.get(name) for name in ("Name", "ContentType", "ContentLength")}
        for part in read.items("Attachments")
        if isinstance(part, dict)
    ]
