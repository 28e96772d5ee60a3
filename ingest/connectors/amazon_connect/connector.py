"""Amazon Connect's contact records: calls, chats, tasks and e-mails of a contact center.

Source: https://docs.aws.amazon.com/connect/latest/adminguide/ctr-data-model.html (records),
…/adminguide/contact-lens-example-output-files.html (sentiment, from -5 to 5). They come through
Amazon Data Firehose (`ingest/kit/firehose.py`), or as they are. See
docs/channels/amazon_connect.md.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import Annotated, Any, ClassVar, NamedTuple

from pydantic import Field, StringConstraints

from ingest.connector import Context, Options, Reply, Request, Result, WebhookConnector, secrets
from ingest.kit import firehose
from ingest.kit.fields import (
    Fields,
    Payload,
    campaign,
    each,
    finish,
    identifiers,
    snake_case,
)
from ingest.kit.mail_message import address
from ingest.kit.signing import RequiredSecrets, is_one_of
from schemas.rejection import Rejection
from schemas.times import SECOND_MS, parse_ms

#: Channel of a contact -> our channel; all others are kinds of calls.
CHANNELS = {"VOICE": "phone", "CHAT": "chat", "TASK": "chat", "EMAIL": "email"}
#: Channel -> the initiation methods by which the company turns to the customer.
_OUTBOUND = {
    "VOICE": frozenset({"OUTBOUND", "CALLBACK", "API", "CAMPAIGN_PREVIEW", "EXTERNAL_OUTBOUND"}),
    "EMAIL": frozenset({"OUTBOUND", "AGENT_REPLY", "FLOW"}),
}
#: Contacts beside the one with the customer: a supervisor listens in, a flow runs after the end.
_BESIDE = frozenset({"MONITOR", "DISCONNECT"})
_THIRD_PARTY = "EXTERNAL_OUTBOUND"
#: DisconnectReason, or what the detection of answering machines found -> outcome of a call in
#: which nobody spoke.
OUTCOMES = {
    "TELECOM_BUSY": "busy",
    "TELECOM_UNANSWERED": "no_answer",
    "TELECOM_TIMEOUT": "no_answer",
    "TELECOM_PROBLEM": "failed",
    "TELECOM_NUMBER_INVALID": "failed",
    "TELECOM_POTENTIAL_BLOCKING": "failed",
    "TELECOM_ORIGINATOR_CANCEL": "canceled",
    "CUSTOMER_NEVER_ARRIVED": "canceled",
    "OUTBOUND_DESTINATION_ENDPOINT_ERROR": "failed",
    "OUTBOUND_RESOURCE_ERROR": "failed",
    "OUTBOUND_ATTEMPT_FAILED": "failed",
    "OUTBOUND_PREVIEW_DISCARDED": "canceled",
    "OUTBUND_PREVIEW_DISCARDED": "canceled",  # as Amazon's page has it
    "EXPIRED": "canceled",
    "SIT_TONE_BUSY": "busy",
    "SIT_TONE_INVALID_NUMBER": "failed",
    "SIT_TONE_DETECTED": "failed",
    "FAX_MACHINE_DETECTED": "failed",
    "AMD_UNANSWERED": "no_answer",
}
_VOICEMAIL = frozenset({"VOICEMAIL_BEEP", "VOICEMAIL_NO_BEEP"})
_BY_A_FLOW = "CONTACT_FLOW_DISCONNECT"
#: Contact Lens's sentiment goes from minus this to plus this.
_MOST_SENTIMENT = 5
_MAPPED = frozenset({"CustomerEndpoint", "CustomerId"})
_NAMES = {"event_id": "ContactId", "occurred_at": "InitiationTimestamp"}
_NOBODY = "CustomerEndpoint: is no phone number or address, and nothing else names the customer"


class AmazonConnectOptions(Options):
    """`access_key`: the access key of the Firehose stream's HTTP endpoint.

    `identifier_attributes`: contact attributes that name the customer, with the kind of identifier
    that each holds, for instance {"crmId": "customer_id"}.
    """

    access_key: RequiredSecrets
    identifier_attributes: dict[
        str, Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_]{0,39}$")]
    ] = Field(default_factory=dict)


class AmazonConnect(WebhookConnector):
    """Contact records of an Amazon Connect instance."""

    name: ClassVar[str] = "amazon_connect"
    doc: ClassVar[str] = "Phone: contact records of Amazon Connect, through Amazon Data Firehose"
    options: ClassVar[type[Options]] = AmazonConnectOptions
    reads: ClassVar[tuple[str, ...]] = ("content-type", firehose.ATTRIBUTES)

    def __init__(self, options: AmazonConnectOptions) -> None:
        self._keys = secrets(options.access_key)
        self._kinds = options.identifier_attributes

    def verify(self, request: Request, received_ms: int) -> bool:
        """Return True if the request shows a key of ours: Firehose signs nothing."""
        shown = request.headers.get(firehose.ACCESS_KEY, "")
        return is_one_of(shown.encode("utf-8", "replace"), self._keys)

    def parse(self, request: Request, context: Context) -> Iterator[Result]:
        """Yield a touch for each record."""
        records = list(firehose.records(request.body))
        if len(records) > context.max_events:
            detail = f"the batch: holds {len(records)} records, at most {context.max_events}"
            yield Rejection("too_many", f"{detail} are taken", request.body)
            return
        convert = partial(self._touch, firehose.attributes(request))
        for record in records:
            if isinstance(record, Rejection):
                yield record
            else:
                yield from each([record], request.body, context, convert)

    def around(self, request: Request) -> tuple[bytes, bytes]:
        """Return empty bytes: a record is a body too."""
        return b"", b""

    def reply(self, request: Request) -> Reply:
        """Return the answer that Firehose expects."""
        return firehose.reply(request)

    def _touch(
        self, attributes: dict[str, Any], record: dict[str, Any], payload: Payload
    ) -> Result:
        if record.get("ContactId") is None:
            detail = "ContactId: is missing; contact records are taken"
            return Rejection("unsupported", detail, payload())
        read = Fields(record)
        contact = _Contact.of(read)
        kind, outcome = _told(contact, read)
        campaign_id = read.inside("Campaign").label("CampaignId")
        fields = {
            "event_id": read.text("ContactId"),
            "channel": CHANNELS.get(contact.channel, "phone"),
            "type": kind,
            "direction": "outbound" if contact.is_outbound else "inbound",
            "identifiers": identifiers(*self._customer(contact, read)),
            "occurred_at": read.text("InitiationTimestamp"),
            "campaign": campaign(campaign_id),
            "duration_s": _duration(outcome, contact, read),
            "outcome": outcome,
            "sentiment": _sentiment(read),
            "subject": _segment(read, "connect:EmailSubject"),
            "properties": {
                **{name: value for name, value in record.items() if name not in _MAPPED},
                **({"common_attributes": attributes} if attributes else {}),
            },
        }
        return finish(fields, read.problems, payload, _NAMES, _NOBODY)

    def _customer(self, contact: _Contact, read: Fields) -> list[tuple[str, str | None]]:
        """Return the customer: the endpoint that is not the company's, whoever called."""
        if contact.method == _THIRD_PARTY:
            return []
        endpoint = read.inside("CustomerEndpoint")
        where, type_ = endpoint.text("Address"), endpoint.text("Type")
        given = read.inside("Attributes")
        return [
            ("customer_id", read.id("CustomerId")),
            *((kind, given.id(name)) for name, kind in self._kinds.items() if name in given),
            ("phone", where if type_ == "TELEPHONE_NUMBER" else None),
            ("email", address(where) if type_ == "EMAIL_ADDRESS" else None),
        ]


class _Contact(NamedTuple):
    """The fields that decide the meaning of a record."""

    channel: str
    method: str
    is_outbound: bool
    reason: str
    machine: str
    #: Seconds in which an agent spoke with the customer.
    talk_s: float | None
    has_agent: bool
    #: The contact went on under another id: in another queue, with another agent, as a callback.
    goes_on: bool

    @classmethod
    def of(cls, read: Fields) -> _Contact:
        channel, method = read.text("Channel") or "", read.text("InitiationMethod") or ""
        direction = _segment(read, "connect:Direction")
        if direction not in ("INBOUND", "OUTBOUND"):
            outbound = _OUTBOUND.get(channel, frozenset({"OUTBOUND"}))
            direction = "OUTBOUND" if method in outbound else "INBOUND"
        return cls(
            channel,
            method,
            direction == "OUTBOUND",
            read.text("DisconnectReason") or "",
            read.text("AnsweringMachineDetectionStatus") or "",
            read.inside("Agent").seconds("AgentInteractionDuration"),
            bool(read.object("Agent")),
            "NextContactId" in read,
        )


def _told(contact: _Contact, read: Fields) -> tuple[str, str | None]:
    """Return type and outcome."""
    if contact.method in _BESIDE:
        return f"amazon_connect_{snake_case(contact.method)}", None
    if contact.channel == "VOICE":
        return _call(contact, read)
    if contact.channel == "CHAT":
        return _chat(contact)
    kind = _work(contact) or f"amazon_connect_{snake_case(contact.channel) or 'contact'}"
    return kind, snake_case(contact.reason) or None


def _chat(contact: _Contact) -> tuple[str, str | None]:
    if contact.goes_on and not contact.has_agent:
        return "conversation_transferred", None
    return "conversation_closed", "answered" if contact.has_agent else "no_answer"


def _work(contact: _Contact) -> str | None:
    """Return the type of a task or an e-mail; None for other channels."""
    if contact.channel == "TASK":
        return "task_expired" if contact.reason == "EXPIRED" else "task_completed"
    if contact.channel != "EMAIL":
        return None
    if not contact.is_outbound:
        return "email_received"
    return "email_dropped" if contact.reason == "DISCARDED" else "email_processed"


def _call(contact: _Contact, read: Fields) -> tuple[str, str | None]:
    outcome = _outcome(contact, read)
    if outcome == "answered":
        return "call_completed", outcome
    if contact.goes_on and outcome == "no_answer":
        return "call_transferred", None
    return "call_missed", outcome


def _outcome(contact: _Contact, read: Fields) -> str:
    """Return the outcome of a call.

    It is answered if an agent spoke with the caller, or whoever was called with anybody. A caller
    whom a flow served without any queue was answered too; one who left before was not.
    """
    if contact.machine in _VOICEMAIL:
        return "no_answer"
    if contact.talk_s:
        return "answered"
    known = OUTCOMES.get(contact.machine) or OUTCOMES.get(contact.reason)
    if known:
        return known
    if contact.is_outbound:
        return "answered" if "ConnectedToSystemTimestamp" in read else "no_answer"
    served = contact.reason == _BY_A_FLOW and not (contact.goes_on or "Queue" in read)
    return "answered" if contact.has_agent or served else "no_answer"


def _duration(outcome: str | None, contact: _Contact, read: Fields) -> float | None:
    """Return the seconds of talk; of a call that a flow served alone, from its start to its end."""
    if outcome != "answered":
        return None
    if contact.has_agent or contact.channel != "VOICE":
        return contact.talk_s
    start, end = (
        _milliseconds(read, name) for name in ("ConnectedToSystemTimestamp", "DisconnectTimestamp")
    )
    return max(end - start, 0) / SECOND_MS if start is not None and end is not None else None


def _milliseconds(read: Fields, name: str) -> int | None:
    text = read.text(name)
    if text is None:
        return None
    try:
        return parse_ms(text)
    except (ValueError, OverflowError):
        read.wrong(name, "must be an RFC 3339 time")
        return None


def _segment(read: Fields, name: str) -> str | None:
    """Return a segment attribute, which is inside an object."""
    value = read.object("SegmentAttributes").get(name)
    return Fields(value).peek("ValueString") if isinstance(value, dict) else None


def _sentiment(read: Fields) -> float | None:
    """Return the customer's sentiment as Contact Lens states it, if the record has it."""
    lens = read.inside("ContactLens")
    for place in (read, lens, lens.inside("ConversationalAnalytics")):
        overall = place.inside("ConversationCharacteristics").inside("Sentiment")
        found = overall.object("OverallSentiment").get("CUSTOMER")
        if isinstance(found, int | float) and not isinstance(found, bool):
            return max(-1.0, min(1.0, found / _MOST_SENTIMENT))
    return None
