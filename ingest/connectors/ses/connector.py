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
from typing import Annotated, Any, ClassVar

from pydantic import AfterValidator, BeforeValidator, Field

from ingest.connector import Context, Options, Request, Result, WebhookConnector
from ingest.connectors.ses.events import (
    ReceiverEvent,
    kind_of,
    properties,
    receivers_of,
    sender,
    tag_value,
    topic_statuses,
    type_and_outcome,
)
from ingest.kit.fields import (
    MARKETING,
    Fields,
    Payload,
    campaign,
    decode,
    finish,
    guarded,
    identifiers,
    label,
)
from ingest.kit.mail_message import address
from ingest.kit.signing import MaxAgeDays
from ingest.kit.sns import HOSTS, NOTIFICATION, TOPIC, Envelope
from schemas.rejection import Rejection

#: Messages that are not events: SES sends them to test a topic.
_TRIALS = frozenset({"AmazonSnsSubscriptionSucceeded"})
_TRIAL = "Successfully validated SNS topic for Amazon SES event publishing."


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
        kind = kind_of(name)
        receivers = receivers_of(read, kind)
        if kind.single and len(receivers) > 1:
            detail = "mail.destination: names several receivers, SES does not say which of them did"
            yield Rejection("no_identifier", detail, payload(), envelope.peek("MessageId"))
            return
        for number, receiver in enumerate(receivers or [{}]):
            touch = ReceiverEvent(name, kind, receiver, number if len(receivers) > 1 else None)
            problems = [*envelope.problems, *read.problems]
            yield guarded(partial(self._touch, touch, envelope, problems), event, payload)

    def _touch(
        self,
        touch: ReceiverEvent,
        envelope: Fields,
        problems: list[str],
        event: dict[str, Any],
        payload: Payload,
    ) -> Result:
        read = Fields(event, problems=problems)
        mail, part = read.inside("mail"), read.inside(touch.kind.part)
        kind, outcome = type_and_outcome(touch.name, touch.kind, part)
        consent = {MARKETING: False} if kind == "email_complained" else None
        if touch.name == "Subscription":
            kind, consent = self._preferences(part)
        tag = tag_value(mail.object("tags").get(self._options.campaign_tag))
        email = sender(mail) if touch.is_incoming else touch.email
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
            "properties": properties(mail, part, touch),
        }
        return finish(fields, read.problems, payload, _NAMES, f"{touch.where}: is missing")

    def _customer_id(self, mail: Fields) -> str | None:
        """Return the customer id of a mail to one receiver; a tag cannot be that of several."""
        tag = self._options.customer_id_tag
        if tag is None or len(mail.items("destination")) > 1:
            return None
        return tag_value(mail.object("tags").get(tag))

    def _preferences(self, part: Fields) -> tuple[str, dict[str, bool]]:
        """Return type and consent of a change of the preferences in a contact list."""
        new, old = part.inside("newTopicPreferences"), part.inside("oldTopicPreferences")
        now, before = topic_statuses(new), topic_statuses(old)
        names = self._options.consent_topics
        consent = {label(names.get(topic, topic)): opted for topic, opted in now.items()}
        left = any(not opted and before.get(topic) is not False for topic, opted in now.items())
        if new.flag("unsubscribeAll"):
            return "email_unsubscribed", {**dict.fromkeys(consent, False), MARKETING: False}
        return ("email_unsubscribed" if left else "email_resubscribed"), consent


def _event_id(envelope: Fields, number: int | None, read: Fields) -> str | None:
    message_id = envelope.peek("MessageId")
    if message_id is None:
        read.wrong("MessageId", "must be text")
        return None
    return message_id if number is None else f"{message_id}:{number}"
