"""Amazon SES: what became of each e-mail, and what its receiver did with it, through Amazon SNS.

Source: https://docs.aws.amazon.com/ses/latest/dg/event-publishing-retrieving-sns-contents.html
(events of a configuration set, `eventType`), …/notification-contents.html (feedback notifications
of an identity, `notificationType`), …/receiving-email-notifications-contents.html (incoming).
The signature is that of SNS (`ingest/kit/sns.py`). See docs/channels/ses.md.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import partial
from typing import Annotated, Any, ClassVar, NamedTuple

from pydantic import AfterValidator, BeforeValidator, Field

from ingest.connector import Context, Options, Request, Result, WebhookConnector
from ingest.kit.fields import (
    MARKETING,
    Fields,
    Payload,
    campaign,
    decode,
    finish,
    guarded,
    id_text,
    identifiers,
    label,
    snake_case,
)
from ingest.kit.mail_message import address
from ingest.kit.signing import MaxAgeDays
from ingest.kit.sns import HOSTS, NOTIFICATION, TOPIC, Envelope
from schemas.rejection import Rejection

#: Messages that are not events: SES sends them to test a topic.
_TRIALS = frozenset({"AmazonSnsSubscriptionSucceeded"})
_TRIAL = "Successfully validated SNS topic for Amazon SES event publishing."


class Kind(NamedTuple):
    """A kind of event: type and direction, the object that describes it, its receivers.

    `receivers` is a field of that object; '' if they are those of the mail. `single`: one receiver
    did it, and SES does not say which of several.
    """

    type: str
    direction: str
    part: str
    receivers: str = ""
    single: bool = False


KINDS = {
    "Send": Kind("email_processed", "outbound", "send"),
    "Delivery": Kind("email_delivered", "outbound", "delivery", "recipients"),
    "Bounce": Kind("email_bounced", "outbound", "bounce", "bouncedRecipients"),
    "Complaint": Kind("email_complained", "inbound", "complaint", "complainedRecipients"),
    "DeliveryDelay": Kind("email_deferred", "outbound", "deliveryDelay", "delayedRecipients"),
    "Reject": Kind("email_dropped", "outbound", "reject"),
    "Rendering Failure": Kind("email_dropped", "outbound", "failure"),
    "Open": Kind("email_opened", "inbound", "open", single=True),
    "Click": Kind("email_clicked", "inbound", "click", single=True),
    "Subscription": Kind("email_unsubscribed", "inbound", "subscription", single=True),
    "Received": Kind("email_received", "inbound", "receipt"),
}
#: Subtypes of bounces and complaints: SES did not send, the address is on a suppression list.
_SUPPRESSED = frozenset({"Suppressed", "OnAccountSuppressionList"})
_NOT_SPAM = "not-spam"
#: Fields of an event's description that are stored elsewhere, or that name other receivers.
_MAPPED = frozenset(
    {
        "timestamp",
        "recipients",
        "bouncedRecipients",
        "complainedRecipients",
        "delayedRecipients",
        "link",
    }
)
_MAIL = ("messageId", "source", "tags", "sendingAccountId")
_NAMES = {"event_id": "MessageId", "occurred_at": "timestamp", "type": "eventType"}


def _topics(given: tuple[str, ...]) -> tuple[str, ...]:
    if not given or not all(TOPIC.fullmatch(topic) for topic in given):
        example = "arn:aws:sns:eu-west-1:123456789012:ses"
        raise ValueError(f"must be ARNs of SNS topics, for instance {example}")
    return given


class SesOptions(Options):
    """`topics`: the ARN of the SNS topic that SES publishes to, or several. Only their messages are
    accepted, and only their subscriptions confirmed.

    `customer_id_tag` names the message tag that holds your customer id, if you send one;
    `campaign_tag` the one that holds the campaign. `consent_topics` gives topics of a contact list
    a consent purpose of another name. `max_age_days`: the maximum age of a signature.
    """

    topics: Annotated[
        tuple[str, ...],
        BeforeValidator(lambda given: (given,) if isinstance(given, str) else given),
        AfterValidator(_topics),
    ]
    customer_id_tag: str | None = None
    campaign_tag: str = "campaign"
    consent_topics: dict[str, str] = Field(default_factory=dict)
    max_age_days: MaxAgeDays = 3


class Ses(WebhookConnector):
    """Events of Amazon SES, delivered by Amazon SNS.

    It is a `FetchingConnector`: Amazon's certificate verifies a message, and a subscription is
    confirmed by a call.
    """

    name: ClassVar[str] = "ses"
    doc: ClassVar[str] = "E-mail: events of Amazon SES, through Amazon SNS"
    options: ClassVar[type[Options]] = SesOptions
    hosts: ClassVar[re.Pattern[str]] = HOSTS

    def __init__(self, options: SesOptions) -> None:
        self._topics = frozenset(options.topics)
        self._options = options

    def needs(self, request: Request) -> str | None:
        """Return the certificate's address for a message that may be one of our topics'."""
        envelope = Envelope(request)
        return envelope.certificate if envelope.wellformed(self._topics) else None

    def verify(self, request: Request, received_ms: int) -> bool:
        """Return True if Amazon signed this message of one of our topics, and not too long ago."""
        envelope = Envelope(request)
        if not envelope.wellformed(self._topics):
            return False
        if not envelope.is_recent(received_ms, self._options.max_age_days):
            return False
        certificate = request.fetched.get(envelope.certificate)
        return certificate is not None and envelope.is_signed(certificate, received_ms)

    def calls(self, request: Request) -> str | None:
        """Return the address that confirms the subscription that a verified message asks for."""
        return Envelope(request).confirmation()

    def parse(self, request: Request, context: Context) -> Iterator[Result]:
        """Yield a touch for each receiver that the event names; none for SNS's own messages."""
        body = request.json
        if isinstance(body, Rejection):
            yield body
            return
        envelope = Fields(body if isinstance(body, dict) else {})
        if envelope.peek("Type") is None:
            yield Rejection(
                "unreadable", "Type: must be text, as in a message of SNS", request.body
            )
            return
        if envelope.peek("Type") != NOTIFICATION:
            return
        message = envelope.text("Message") or ""
        event = decode(message.encode("utf-8", "replace"))
        if isinstance(event, dict):
            yield from self._events(envelope, event, lambda: request.body)
        elif message.strip() != _TRIAL:
            yield Rejection("unsupported", "Message: must be an event of SES", request.body)

    def _events(
        self, envelope: Fields, event: dict[str, Any], payload: Payload
    ) -> Iterator[Result]:
        read = Fields(event)
        name = read.peek("eventType") or read.peek("notificationType")
        if name in _TRIALS:
            return
        if name is None:
            yield Rejection("unsupported", "eventType: is missing in Message", payload())
            return
        kind = KINDS.get(name) or Kind(f"ses_{snake_case(name)}", "inbound", _camel(name))
        receivers = _receivers(read, kind)
        if kind.single and len(receivers) > 1:
            detail = "mail.destination: names several receivers, SES does not say which of them did"
            yield Rejection("no_identifier", detail, payload(), envelope.peek("MessageId"))
            return
        for number, receiver in enumerate(receivers or [{}]):
            touch = _Touch(name, kind, receiver, number if len(receivers) > 1 else None)
            problems = [*envelope.problems, *read.problems]
            yield guarded(partial(self._touch, touch, envelope, problems), event, payload)

    def _touch(
        self,
        touch: _Touch,
        envelope: Fields,
        problems: list[str],
        event: dict[str, Any],
        payload: Payload,
    ) -> Result:
        read = Fields(event, problems=problems)
        mail, part = read.inside("mail"), read.inside(touch.kind.part)
        kind, outcome = _outcome(touch.name, touch.kind, part)
        consent = {MARKETING: False} if kind == "email_complained" else None
        if touch.name == "Subscription":
            kind, consent = self._preferences(part)
        tag = _first(mail.object("tags").get(self._options.campaign_tag))
        email = _sender(mail) if touch.is_incoming else touch.email
        fields = {
            "event_id": _event_id(envelope, touch.number, read),
            "channel": "email",
            "type": kind,
            "direction": "outbound" if kind == "email_dropped" else touch.kind.direction,
            "identifiers": identifiers(
                ("customer_id", None if touch.is_incoming else self._customer_id(mail)),
                ("email", address(email)),
            ),
            "occurred_at": part.text("timestamp") or envelope.peek("Timestamp"),
            "consent": consent,
            "campaign": campaign(tag),
            "outcome": outcome,
            "subject": mail.inside("commonHeaders").label("subject"),
            "url": part.text("link") if touch.name == "Click" else None,
            "properties": _properties(mail, part, touch),
        }
        return finish(fields, read.problems, payload, _NAMES, f"{touch.where}: is missing")

    def _customer_id(self, mail: Fields) -> str | None:
        """Return the customer id of a mail to one receiver; a tag cannot be that of several."""
        tag = self._options.customer_id_tag
        if tag is None or len(mail.items("destination")) > 1:
            return None
        return _first(mail.object("tags").get(tag))

    def _preferences(self, part: Fields) -> tuple[str, dict[str, bool]]:
        """Return type and consent of a change of the preferences in a contact list."""
        new, old = part.inside("newTopicPreferences"), part.inside("oldTopicPreferences")
        now, before = _statuses(new), _statuses(old)
        names = self._options.consent_topics
        consent = {label(names.get(topic, topic)): opted for topic, opted in now.items()}
        left = any(not opted and before.get(topic) is not False for topic, opted in now.items())
        if new.flag("unsubscribeAll"):
            return "email_unsubscribed", {**dict.fromkeys(consent, False), MARKETING: False}
        return ("email_unsubscribed" if left else "email_resubscribed"), consent


class _Touch(NamedTuple):
    """An event as it concerns one receiver; `number` is the receiver's, of several."""

    name: str
    kind: Kind
    receiver: dict[str, Any]
    number: int | None

    @property
    def email(self) -> str | None:
        found = self.receiver.get("emailAddress")
        return found if isinstance(found, str) else None

    @property
    def is_incoming(self) -> bool:
        return self.name == "Received"

    @property
    def where(self) -> str:
        """The field that names the customer."""
        if self.is_incoming:
            return "mail.source"
        kind = self.kind
        return f"{kind.part}.{kind.receivers}" if kind.receivers else "mail.destination"


def _event_id(envelope: Fields, number: int | None, read: Fields) -> str | None:
    message_id = envelope.peek("MessageId")
    if message_id is None:
        read.wrong("MessageId", "must be text")
        return None
    return message_id if number is None else f"{message_id}:{number}"


def _camel(name: str) -> str:
    """Return the name of the object that describes an event that is not known yet."""
    words = "".join(name.split())
    return words[:1].lower() + words[1:]


def _receivers(read: Fields, kind: Kind) -> list[dict[str, Any]]:
    """Return the receivers that an event tells of, as objects with their `emailAddress`."""
    if kind.receivers:
        found = read.inside(kind.part).items(kind.receivers)
    else:
        found = read.inside("mail").items("destination")
    if kind.type == "email_received":
        return [{}]
    return [one if isinstance(one, dict) else {"emailAddress": one} for one in found]


def _outcome(name: str, kind: Kind, part: Fields) -> tuple[str, str | None]:
    """Return type and outcome, if an event says more than its name."""
    outcome = None
    match name:
        case "Bounce" if part.peek("bounceSubType") in _SUPPRESSED:
            return "email_dropped", "suppressed"
        case "Complaint" if part.peek("complaintSubType") in _SUPPRESSED:
            return "email_dropped", "suppressed"
        case "Complaint" if part.peek("complaintFeedbackType") == _NOT_SPAM:
            return "ses_not_spam", None
        case "Complaint":
            outcome = part.label("complaintFeedbackType")
        case "Bounce":
            outcome = part.label("bounceType")
        case "DeliveryDelay":
            outcome = part.label("delayType")
        case "Reject":
            outcome = part.label("reason")
        case "Rendering Failure":
            outcome = name
    return kind.type, snake_case(outcome or "") or None


def _statuses(preferences: Fields) -> dict[str, bool]:
    """Return topic -> True if the receiver wants it."""
    statuses = {}
    for one in preferences.items("topicSubscriptionStatus"):
        topic = one.get("topicName") if isinstance(one, dict) else None
        status = one.get("subscriptionStatus") if isinstance(one, dict) else None
        if isinstance(topic, str) and topic and status in ("OptIn", "OptOut"):
            statuses[topic] = status == "OptIn"
    return statuses


def _first(tag: object) -> str | None:
    """Return the value of a message tag, which is a list."""
    return id_text(tag[0]) if isinstance(tag, list) and tag else None


def _sender(mail: Fields) -> str | None:
    """Return the writer of an incoming message: from the header, else from the envelope."""
    headers = mail.inside("commonHeaders").items("from")
    first = headers[0] if headers else None
    return first if isinstance(first, str) else mail.text("source")


def _properties(mail: Fields, part: Fields, touch: _Touch) -> dict[str, Any]:
    own = {name: value for name, value in part.values() if name not in _MAPPED}
    receiver = {name: value for name, value in touch.receiver.items() if name != "emailAddress"}
    sent = {name: value for name, value in mail.values() if name in _MAIL}
    return {**own, **receiver, "mail": sent}
