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
from typing import Annotated, Any, ClassVar, Self

from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from ingest.connector import Context, Options, Request, Result, WebhookConnector
from ingest.connectors.ses.carriers import Carried, from_eventbridge, is_of_eventbridge
from ingest.connectors.ses.events import (
    RECEIVED,
    ReceiverEvent,
    kind_of,
    properties,
    receivers_of,
    tag_value,
    topic_statuses,
    type_and_outcome,
)
from ingest.connectors.ses.incoming import incoming_mail
from ingest.kit.credentials import CredentialOptions, Credentials
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
from ingest.kit.incoming_mail import MailTouch, Own, OwnDomains, own_receiver, touches
from ingest.kit.mail_addresses import decoded
from ingest.kit.mail_message import address
from ingest.kit.signing import MaxAgeDays
from ingest.kit.sns import HOSTS, NOTIFICATION, TOPIC, Envelope
from schemas.rejection import Rejection

#: Messages that are not events: SES sends them to test a topic.
_TRIALS = frozenset({"AmazonSnsSubscriptionSucceeded"})
_TRIAL = "Successfully validated SNS topic for Amazon SES event publishing."


_NAMES = {"event_id": "MessageId", "occurred_at": "timestamp", "type": "eventType"}


def _topics(given: tuple[str, ...] | None) -> tuple[str, ...] | None:
    if given is not None and (not given or not all(TOPIC.fullmatch(topic) for topic in given)):
        example = "arn:aws:sns:eu-west-1:123456789012:ses"
        raise ValueError(f"must be ARNs of SNS topics, for instance {example}")
    return given


class SesOptions(CredentialOptions):
    """`topics`: the ARN of the SNS topic that SES publishes to, or several. Only their messages are
    accepted, and only their subscriptions confirmed. For events that Amazon EventBridge sends
    without SNS: `token`, the value of the API key whose name is `header`, or `password` with
    `username`. At least one of the three.

    `customer_id_tag` names the message tag that holds your customer id, if you send one;
    `campaign_tag` the one that holds the campaign. `consent_topics` gives topics of a contact list
    a consent purpose of another name. `own_domains` are the company's, whose addresses are never a
    customer's; by default, of an incoming mail, the domain of the address that received it.
    `max_age_days`: the maximum age of a signature.
    """

    topics: Annotated[
        tuple[str, ...] | None,
        BeforeValidator(lambda given: (given,) if isinstance(given, str) else given),
        AfterValidator(_topics),
    ] = None
    customer_id_tag: str | None = None
    campaign_tag: str = "campaign"
    consent_topics: dict[str, str] = Field(default_factory=dict)
    own_domains: OwnDomains = ()
    max_age_days: MaxAgeDays = 3

    @model_validator(mode="after")
    def _guarded(self) -> Self:
        if self.topics is None and self.password is None and self.token is None:
            raise ValueError("topics are missing; or, for EventBridge, token or password")
        return self


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
        self._topics = frozenset(options.topics or ())
        self._credentials = Credentials(options)
        self._own = Own(options.own_domains)
        self._options = options

    def needs(self, request: Request) -> str | None:
        """Return the certificate's address for a message that may be one of our topics'."""
        envelope = Envelope(request)
        return envelope.certificate if envelope.wellformed(self._topics) else None

    def verify(self, request: Request, received_ms: int) -> bool:
        """Return True if Amazon signed this message of one of our topics, and not too long ago.

        What is no message of SNS must show the credentials.
        """
        envelope = Envelope(request)
        if not envelope.type:
            return self._credentials.shown_by(request)
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
        if not isinstance(body, dict):
            body = {}
        if is_of_eventbridge(body):
            yield from self._events(from_eventbridge(body), lambda: request.body)
        elif "mail" in body and ("eventType" in body or "notificationType" in body):
            # EventBridge sends a chosen part of its event too.
            yield from self._events(Carried(body), lambda: request.body)
        elif not isinstance(body.get("Type"), str):
            detail = "Type: must be text, as in a message of SNS, or detail, as of EventBridge"
            yield Rejection("unreadable", detail, request.body)
        elif body["Type"] == NOTIFICATION:
            yield from self._notification(Fields(body), lambda: request.body)

    def _notification(self, envelope: Fields, payload: Payload) -> Iterator[Result]:
        message = envelope.text("Message") or ""
        event = decode(message.encode("utf-8", "replace"))
        if not isinstance(event, dict):
            if message.strip() != _TRIAL:
                yield Rejection("unsupported", "Message: must be an event of SES", payload())
        elif is_of_eventbridge(event):
            yield from self._events(from_eventbridge(event), payload)
        else:
            carrier = (envelope.peek("MessageId"), envelope.peek("Timestamp"))
            yield from self._events(Carried(event, *carrier, derives=False), payload)

    def _events(self, carried: Carried, payload: Payload) -> Iterator[Result]:
        event = carried.event
        read = Fields(event)
        name = read.peek("eventType") or read.peek("notificationType")
        if name in _TRIALS:
            return
        if name is None:
            yield Rejection("unsupported", "eventType: is missing in Message", payload())
            return
        kind = kind_of(name)
        if name == RECEIVED:
            for found in touches(*incoming_mail(event, self._options.own_domains), self.name):
                yield guarded(partial(self._received, found, carried), event, payload)
            return
        receivers = receivers_of(read, kind)
        if kind.single and len(receivers) > 1:
            detail = "mail.destination: names several receivers, SES does not say which of them did"
            yield Rejection("no_identifier", detail, payload(), carried.id)
            return
        for number, receiver in enumerate(receivers or [{}]):
            touch = ReceiverEvent(name, kind, receiver, number if len(receivers) > 1 else None)
            convert = partial(self._touch, touch, carried, list(read.problems))
            yield guarded(convert, event, payload)

    def _received(
        self, found: MailTouch, carried: Carried, event: dict[str, Any], payload: Payload
    ) -> Result:
        read = Fields(event)
        mail, part = read.inside("mail"), read.inside("receipt")
        touch = ReceiverEvent(RECEIVED, kind_of(RECEIVED), {}, found.number)
        fields = {
            **found.fields(_checked_id(carried, read)),
            "occurred_at": part.text("timestamp") or carried.time,
            "subject": decoded(mail.inside("commonHeaders").label("subject") or "") or None,
            "properties": {**properties(mail, part, touch), **found.properties},
        }
        nobody = found.nobody or "mail.source: is missing"
        return finish(fields, read.problems, payload, _NAMES, nobody)

    def _touch(
        self,
        touch: ReceiverEvent,
        carried: Carried,
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
        whole, email = _checked_id(carried, read), address(touch.email)
        fields = {
            "event_id": whole if touch.number is None else f"{whole}:{touch.number}",
            "channel": "email",
            "type": kind,
            "direction": "outbound" if kind == "email_dropped" else touch.kind.direction,
            "identifiers": identifiers(("customer_id", self._customer_id(mail)), ("email", email)),
            "occurred_at": part.text("timestamp") or carried.time,
            "consent": consent,
            "campaign": campaign(tag),
            "outcome": outcome,
            "subject": decoded(mail.inside("commonHeaders").label("subject") or "") or None,
            "url": part.text("link") if touch.name == "Click" else None,
            "properties": properties(mail, part, touch),
        }
        refused = own_receiver(self._own, email, touch.where, fields, payload)
        nobody = f"{touch.where}: is missing"
        return refused or finish(fields, read.problems, payload, _NAMES, nobody)

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
        if old.flag("unsubscribeAll"):
            return "email_resubscribed", {**consent, MARKETING: True}
        return ("email_unsubscribed" if left else "email_resubscribed"), consent


def _checked_id(carried: Carried, read: Fields) -> str | None:
    event_id = carried.event_id()
    if event_id is None:
        read.wrong("MessageId", "must be text")
    return event_id
