"""Amazon SES through Amazon SNS: signature, certificate, confirmation and events."""

from __future__ import annotations

import hashlib
import json
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from cryptography.hazmat.primitives.asymmetric import ec
from pydantic import ValidationError

from ingest.connector import Context, FetchingConnector, Request
from ingest.connectors.ses import Ses, SesOptions
from ingest.connectors.sns import is_certificate_address
from schemas.rejection import Rejection
from schemas.times import DAY_MS, from_ms, rfc3339
from tests.contracts.connector_suite import RECEIVED_MS, URL, ConnectorSuite, load
from tests.ingest.connectors import amazon
from tests.ingest.connectors.amazon import CERTIFICATE, HOST, TOPIC
from tests.ingest.gateway import NOW_MS, Gateway, serving, source
from tests.ingest.https_site import https_site

PAYLOADS = load(Path(__file__).parent / "payloads" / "ses")
NOW = rfc3339(RECEIVED_MS)
PEM = amazon.certificate(RECEIVED_MS)


def topic(name: str) -> str:
    return f"arn:aws:sns:eu-west-1:123456789012:{hashlib.sha1(name.encode()).hexdigest()}"


def request(message: Any, pem: bytes = PEM) -> Request:
    body = message if isinstance(message, bytes) else json.dumps(message).encode()
    headers = {"content-type": "text/plain; charset=UTF-8"}
    url = URL + "/hooks/ses"
    return Request("POST", "/hooks/ses", "", url, headers, body, {CERTIFICATE: pem})


def connector(**options: Any) -> Ses:
    return Ses(SesOptions(**{"topics": [TOPIC], **options}))


def delivered(event: Any, **more: str) -> dict[str, Any]:
    text = event if isinstance(event, str) else json.dumps(event)
    return amazon.signed(amazon.notification(text, NOW, **more))


def confirming(**more: str) -> dict[str, Any]:
    return amazon.signed(amazon.confirmation(NOW, **more))


def parse(event: Any, **options: Any) -> list[Any]:
    context = Context("ses", RECEIVED_MS)
    return list(connector(**options).parse(request(delivered(event)), context))


def one(event: Any, **options: Any) -> Any:
    (result,) = parse(event, **options)
    return result


def changed(name: str, part: str, **changes: Any) -> Any:
    event = PAYLOADS[name]
    return {**event, part: {**event[part], **changes}}


class TestSes(ConnectorSuite):
    """The secrets of the suite stand for topics: those are what tells sources apart."""

    name = "ses"
    payloads = PAYLOADS
    #: The address for leaving and the like are not signed.
    signs_body = False

    def make(self, *secrets: str) -> Ses:
        return Ses(SesOptions(topics=tuple(topic(name) if name else "" for name in secrets)))

    def encode(self, value: Any) -> bytes:
        name = hashlib.sha1(json.dumps(value, sort_keys=True).encode()).hexdigest()
        message = amazon.notification(json.dumps(value), NOW)
        known = next((n for n, payload in PAYLOADS.items() if payload == value), name)
        return json.dumps({**message, "MessageId": known}).encode()

    def signed(self, body: bytes, secret: str, name: str = "") -> Request:
        try:
            message = json.loads(body)
        except (ValueError, RecursionError):
            return request(body)
        if not isinstance(message, dict) or "TopicArn" not in message:
            return request(body)
        # The id of a payload stays when the payload is written in another way.
        message |= {"TopicArn": topic(secret), "MessageId": name or message["MessageId"]}
        return request(amazon.signed(message))

    def unsigned(self, request: Request) -> Iterator[Request]:
        message = json.loads(request.body)
        for name in ("Signature", "SignatureVersion", "SigningCertURL", "Type", "TopicArn"):
            for wrong in (None, "", [], {}, 5, "é", "3", "!!", "\ud800"):
                yield request._replace(body=json.dumps({**message, name: wrong}).encode())
            without = {key: value for key, value in message.items() if key != name}
            yield request._replace(body=json.dumps(without).encode())
        yield request._replace(body=b"")
        yield request._replace(fetched={})


# The signature


@pytest.mark.parametrize("version", ["1", "2"])
@pytest.mark.parametrize("more", [{}, {"Subject": "Amazon SES Email Event Notification"}], ids=str)
def test_both_versions_of_the_signature(version: str, more: dict[str, str]):
    message = amazon.notification("text with\nnewline and 日本", NOW, **more)
    signed = amazon.signed(message, version)
    assert connector().verify(request(signed), RECEIVED_MS)
    other = {**signed, "SignatureVersion": "1" if version == "2" else "2"}
    assert not connector().verify(request(other), RECEIVED_MS)


@pytest.mark.parametrize("kind", ["notification", "confirmation"])
def test_every_field_that_is_signed_counts(kind: str):
    message = delivered("x", Subject="s") if kind == "notification" else confirming()
    for name in message.keys() - {"SigningCertURL", "UnsubscribeURL", "SignatureVersion"}:
        for wrong in (message[name] + " ", message[name][:-1], "", None, 5):
            assert not connector().verify(request({**message, name: wrong}), RECEIVED_MS), name
        without = {key: value for key, value in message.items() if key != name}
        assert not connector().verify(request(without), RECEIVED_MS), name
    assert connector().verify(request({**message, "New": 1}), RECEIVED_MS)


def test_a_subject_cannot_be_slipped_in():
    assert not connector().verify(request({**delivered("x"), "Subject": "s"}), RECEIVED_MS)


def test_raw_delivery_has_no_signature_and_is_refused():
    raw = request(PAYLOADS["open"])
    headers = {**raw.headers, "x-amz-sns-rawdelivery": "true", "x-amz-sns-topic-arn": TOPIC}
    assert connector().needs(raw) is None
    assert not connector().verify(raw._replace(headers=headers), RECEIVED_MS)


def test_a_signature_may_be_three_days_old():
    pem = amazon.certificate(RECEIVED_MS - 10 * DAY_MS, days=300)
    for age_ms, valid in (
        (0, True),
        (3 * DAY_MS, True),
        (3 * DAY_MS + 1000, False),
        (-4 * DAY_MS, False),
    ):
        message = amazon.signed(amazon.notification("x", rfc3339(RECEIVED_MS - age_ms)))
        assert connector().verify(request(message, pem), RECEIVED_MS) is valid
    for text in ("now", "2026-13-01T00:00:00Z", "1"):
        message = amazon.signed(amazon.notification("x", text))
        assert not connector().verify(request(message, pem), RECEIVED_MS)


def test_other_certificates_are_refused():
    message = request(delivered("x"))
    assert connector().verify(message, RECEIVED_MS)
    elliptic = ec.generate_private_key(ec.SECP256R1()).public_key()
    for pem in (
        amazon.certificate(RECEIVED_MS, "somebody"),
        amazon.certificate(RECEIVED_MS - 60 * DAY_MS),
        amazon.certificate(RECEIVED_MS + 60 * DAY_MS),
        amazon.certificate(RECEIVED_MS, public=elliptic),
        PEM[:-40],
        b"",
        b"<html>",
    ):
        assert not connector().verify(message._replace(fetched={CERTIFICATE: pem}), RECEIVED_MS)


# The certificate's address


@pytest.mark.parametrize(
    "url",
    [
        CERTIFICATE,
        "https://sns.us-gov-west-1.amazonaws.com/a.pem",
        "https://sns.cn-north-1.amazonaws.com.cn/a.pem",
        "https://sns.ap-northeast-1.amazonaws.com/SimpleNotificationService-1.pem",
    ],
)
def test_a_certificate_is_fetched_from_amazon(url: str):
    assert connector().needs(request({**delivered("x"), "SigningCertURL": url})) == url


@pytest.mark.parametrize(
    "url",
    [
        CERTIFICATE.replace("https", "http"),
        CERTIFICATE.replace(".pem", ".txt"),
        CERTIFICATE + "?x=.pem",
        CERTIFICATE + "#.pem",
        "https://sns.eu-west-1.amazonaws.com:8443/a.pem",
        "https://user@sns.eu-west-1.amazonaws.com/a.pem",
        "https://sns.eu-west-1.amazonaws.com.example.com/a.pem",
        "https://sns.eu-west-1.amazonaws.com@example.com/a.pem",
        "https://example.com/sns.eu-west-1.amazonaws.com/a.pem",
        "https://xsns.eu-west-1.amazonaws.com/a.pem",
        "https://sns.eu-west-1.amazonaws.org/a.pem",
        "https://sns.example.com.amazonaws.com/a.pem",
        "https://sns-eu-west-1.amazonaws.com/a.pem",
        "https://sns.s3.amazonaws.com/a.pem",
        "https://sns.s3-us-west-2.amazonaws.com/a.pem",
        "https://s3.amazonaws.com/sns.eu-west-1.amazonaws.com/a.pem",
        "https://sns.eu-west-1.s3.amazonaws.com/a.pem",
        "https://[::1/a.pem",
        "//sns.eu-west-1.amazonaws.com/a.pem",
        "file:///a.pem",
        "",
    ],
)
def test_a_certificate_of_another_address_is_neither_fetched_nor_believed(url: str):
    message = request({**delivered("x"), "SigningCertURL": url})
    assert not is_certificate_address(url)
    assert connector().needs(message) is None
    assert not connector().verify(message._replace(fetched={url: PEM}), RECEIVED_MS)


def test_nothing_is_fetched_for_other_topics_or_what_is_no_message():
    assert isinstance(connector(), FetchingConnector)
    good = delivered("x")
    assert connector().needs(request(good)) == CERTIFICATE
    for name in ("Type", "TopicArn", "MessageId", "Timestamp", "SignatureVersion", "Message"):
        for wrong in (None, "", 5, []):
            assert connector().needs(request({**good, name: wrong})) is None, name
    assert connector().needs(request({**good, "TopicArn": topic("another")})) is None
    for body in (b"", b"[]", b"5", b"{", b"[" * 100_000, b"\xff"):
        assert connector().needs(request(body)) is None
        assert connector().calls(request(body)) is None


# The confirmation


def test_a_subscription_to_our_topic_is_confirmed_at_amazon():
    message = confirming()
    assert connector().verify(request(message), RECEIVED_MS)
    assert connector().calls(request(message)) == message["SubscribeURL"]
    assert list(connector().parse(request(message), Context("ses", RECEIVED_MS))) == []


def test_no_other_subscription_is_confirmed():
    other = request(amazon.signed(amazon.confirmation(NOW, topic("another"))))
    assert not connector().verify(other, RECEIVED_MS)
    leaving = amazon.signed({**amazon.confirmation(NOW), "Type": "UnsubscribeConfirmation"})
    assert connector().verify(request(leaving), RECEIVED_MS)
    assert connector().calls(request(leaving)) is None
    assert list(connector().parse(request(leaving), Context("ses", RECEIVED_MS))) == []
    assert connector().calls(request(delivered("x", SubscribeURL=HOST))) is None
    for url in (
        f"https://example.com/?Action=ConfirmSubscription&TopicArn={TOPIC}&Token=1",
        f"http://sns.eu-west-1.amazonaws.com/?Action=ConfirmSubscription&TopicArn={TOPIC}",
        f"{HOST}/?Action=ConfirmSubscription&TopicArn={topic('another')}&Token=1",
        f"{HOST}/?Action=ConfirmSubscription&TopicArn={TOPIC}&TopicArn={topic('another')}",
        f"{HOST}/?Action=DeleteTopic&TopicArn={TOPIC}",
        f"{HOST}/",
        "https://[::1",
    ):
        assert connector().calls(request(confirming(SubscribeURL=url))) is None


@pytest.mark.parametrize(
    "topics", [(), [""], "", ["ses"], ["arn:aws:sqs:eu-west-1:123456789012:ses"], [TOPIC + "\nx"]]
)
def test_topics_must_be_named(topics: Any):
    with pytest.raises(ValidationError, match="topics"):
        connector(topics=topics)
    assert connector(topics=TOPIC).needs(request(delivered("x"))) == CERTIFICATE


# Through the gateway


class Amazon:
    """Amazon's host; notes what was called."""

    def __init__(self) -> None:
        self.called: list[str] = []

    async def answer(self, request: web.Request) -> web.StreamResponse:
        self.called.append(HOST + request.raw_path)
        known = HOST + request.path == CERTIFICATE
        return web.Response(body=amazon.certificate(NOW_MS) if known else b"<ConfirmSubscription/>")


@pytest.fixture
async def site(tmp_path: Path) -> AsyncIterator[tuple[Gateway, Amazon]]:
    """A gateway with a source `mail`, for which Amazon's host is on this machine."""
    called = Amazon()
    sources = [source("mail", "ses", {"topics": [TOPIC]})]
    async with (
        https_site(tmp_path, HOST.removeprefix("https://"), called.answer) as reached,
        serving(given=sources, get=reached.get()) as gateway,
    ):
        yield gateway, called


async def test_from_the_confirmation_to_events(site: tuple[Gateway, Amazon]):
    (gateway, there), now = site, rfc3339(NOW_MS)
    event = json.dumps(
        {"eventType": "Send", "mail": {"destination": ["a@example.com"]}, "send": {}}
    )
    confirmed = amazon.signed(amazon.confirmation(now))
    assert (await gateway.post("/hooks/mail", confirmed)).status == 200
    assert there.called == [CERTIFICATE, confirmed["SubscribeURL"]]
    for version in ("1", "2"):
        message = amazon.signed(amazon.notification(event, now), version)
        assert (await gateway.post("/hooks/mail", message)).status == 200
    assert [row["type"] for row in gateway.accepted] == ["email_processed"] * 2
    assert len(there.called) == 2


async def test_what_is_not_amazons_stores_nothing_and_calls_nobody(site: tuple[Gateway, Amazon]):
    (gateway, there), now = site, rfc3339(NOW_MS)
    foreign = amazon.confirmation(now, topic("another"))
    elsewhere = amazon.confirmation(now, SigningCertURL="https://example.com/a.pem")
    for message in (foreign, elsewhere):
        assert (await gateway.post("/hooks/mail", amazon.signed(message))).status == 401
    assert (await gateway.post("/hooks/mail", PAYLOADS["open"])).status == 401
    assert there.called == []
    forged = amazon.signed(amazon.confirmation(now), name="somebody")
    assert (await gateway.post("/hooks/mail", forged)).status == 401
    assert there.called == [CERTIFICATE]
    assert gateway.publisher.records == []


# The map


def test_events_have_their_types_and_directions():
    results = {name: parse(value)[0] for name, value in PAYLOADS.items()}
    assert {name: (touch.type, touch.direction) for name, touch in results.items()} == {
        "send": ("email_processed", "outbound"),
        "delivery": ("email_delivered", "outbound"),
        "bounce": ("email_bounced", "outbound"),
        "bounce_suppressed": ("email_dropped", "outbound"),
        "complaint": ("email_complained", "inbound"),
        "reject": ("email_dropped", "outbound"),
        "open": ("email_opened", "inbound"),
        "click": ("email_clicked", "inbound"),
        "rendering_failure": ("email_dropped", "outbound"),
        "delivery_delay": ("email_deferred", "outbound"),
        "subscription": ("email_unsubscribed", "inbound"),
        "notification_bounce": ("email_bounced", "outbound"),
        "notification_received": ("email_received", "inbound"),
    }
    assert {touch.channel for touch in results.values()} == {"email"}


def test_fields_of_events():
    bounce, click = one(PAYLOADS["bounce"]), one(PAYLOADS["click"])
    assert bounce.event_id == "22b80b92-fdea-4c2c-8f9d-bdfb0c7bf324"
    assert bounce.occurred_at == datetime(2026, 11, 20, 4, 0, 2, 669_000, tzinfo=UTC)
    assert [(i.kind, i.value) for i in bounce.identifiers] == [("email", "gone@example.com")]
    assert (bounce.outcome, bounce.subject) == ("permanent", "Autumn sale")
    assert bounce.properties["diagnosticCode"] == "smtp; 550 5.1.1 user unknown"
    assert bounce.properties["mail"]["messageId"].startswith("EXAMPLE7c191be45")
    assert click.url == "https://shop.example.com/boots"
    assert (click.campaign.name, click.properties["ipAddress"]) == ("autumn", "198.51.100.7")
    assert one(PAYLOADS["send"]).occurred_at == from_ms(RECEIVED_MS)
    outcomes = {name: one(PAYLOADS[name]).outcome for name in PAYLOADS if name != "delivery"}
    assert outcomes["reject"] == "bad_content"
    assert outcomes["rendering_failure"] == "rendering_failure"
    assert outcomes["delivery_delay"] == "mailbox_full"
    assert outcomes["notification_bounce"] == "transient"
    assert outcomes["bounce_suppressed"] == "suppressed"
    assert outcomes["complaint"] == "abuse"


def test_each_receiver_has_a_touch_of_its_own_without_the_others():
    first, second = parse(PAYLOADS["delivery"])
    assert [i.value for i in first.identifiers] == ["hanako@example.com"]
    assert [i.value for i in second.identifiers] == ["gone@example.com"]
    assert first.event_id != second.event_id
    assert "gone@" not in first.model_dump_json()
    assert "hanako@" not in second.model_dump_json()
    assert "hanako@" not in one(PAYLOADS["bounce"]).model_dump_json()


@pytest.mark.parametrize("name", ["open", "click", "subscription"])
def test_what_one_of_several_receivers_did_is_nobodys(name: str):
    event = changed(name, "mail", destination=["a@example.com", "b@example.com"])
    refused = one(event)
    assert isinstance(refused, Rejection)
    assert refused.reason == "no_identifier"
    assert refused.detail.startswith("mail.destination: names several receivers")


def test_of_an_incoming_message_the_customer_is_the_sender():
    touch = one(PAYLOADS["notification_received"])
    assert [(i.kind, i.value) for i in touch.identifiers] == [("email", "taro@example.com")]
    assert touch.subject == "在庫はありますか？"
    assert "support@" not in json.dumps(touch.properties["mail"])
    bare = one(changed("notification_received", "mail", commonHeaders={}))
    assert [i.value for i in bare.identifiers] == ["bounce-1@mail.example.com"]


def test_decisions_are_consent():
    assert one(PAYLOADS["complaint"]).consent == {"marketing": False}
    assert one(PAYLOADS["subscription"]).consent == {"weekly": False, "offers": True}
    named = one(PAYLOADS["subscription"], consent_topics={"weekly": "newsletter"})
    assert named.consent == {"newsletter": False, "offers": True}
    everything = {
        "unsubscribeAll": True,
        "topicSubscriptionStatus": [{"topicName": "offers", "subscriptionStatus": "OptIn"}],
    }
    left = one(changed("subscription", "subscription", newTopicPreferences=everything))
    assert left.consent == {"offers": False, "marketing": False}
    part = PAYLOADS["subscription"]["subscription"]
    back = one(
        changed(
            "subscription",
            "subscription",
            newTopicPreferences=part["oldTopicPreferences"],
            oldTopicPreferences=part["newTopicPreferences"],
        )
    )
    assert (back.type, back.consent) == ("email_resubscribed", {"weekly": True, "offers": True})
    for name in ("bounce", "bounce_suppressed", "open"):
        assert one(PAYLOADS[name]).consent == {}


def test_a_complaint_that_is_none_is_no_decision():
    praised = one(changed("complaint", "complaint", complaintFeedbackType="not-spam"))
    assert (praised.type, praised.consent) == ("ses_not_spam", {})
    suppressed = changed("complaint", "complaint", complaintSubType="OnAccountSuppressionList")
    touch = one(suppressed)
    assert (touch.type, touch.direction, touch.consent) == ("email_dropped", "outbound", {})


def test_a_tag_is_the_customer_only_if_told_so():
    assert [i.kind for i in one(PAYLOADS["open"]).identifiers] == ["email"]
    touch = one(PAYLOADS["open"], customer_id_tag="customer")
    assert [(i.kind, i.value) for i in touch.identifiers] == [
        ("customer_id", "C-42"),
        ("email", "hanako@example.com"),
    ]


@pytest.mark.parametrize("name", ["delivery", "bounce"])
def test_a_tag_of_a_mail_to_several_receivers_does_not_make_them_one_person(name: str):
    for touch in parse(PAYLOADS[name], customer_id_tag="customer"):
        assert [i.kind for i in touch.identifiers] == ["email"]


def test_an_event_of_tomorrow_is_kept_under_its_name():
    event = {**PAYLOADS["open"], "eventType": "Owl Reading", "owlReading": {"owl": "Ada"}}
    touch = one(event)
    assert (touch.type, touch.properties["owl"]) == ("ses_owl_reading", "Ada")


@pytest.mark.parametrize(
    "message",
    [
        "Successfully validated SNS topic for Amazon SES event publishing.",
        {"notificationType": "AmazonSnsSubscriptionSucceeded", "message": "You have …"},
    ],
)
def test_what_ses_sends_to_try_a_topic_is_no_event(message: Any):
    assert parse(message) == []


# Bad data


@pytest.mark.parametrize("message", ["", "hello", "[]", "5", "{}", '{"a": 1}', "[" * 5000])
def test_a_message_of_something_else_is_unsupported(message: str):
    refused = one(message)
    assert refused.reason == "unsupported"
    assert "hello" not in refused.detail


@pytest.mark.parametrize(
    ("name", "part", "change", "named"),
    [
        ("open", "mail", {"destination": "a@example.com"}, "mail.destination"),
        ("open", "mail", {"tags": []}, "mail.tags"),
        ("open", "open", {"timestamp": "yesterday"}, "timestamp"),
        ("open", "open", {"timestamp": 5}, "open.timestamp"),
        ("click", "click", {"link": {}}, "click.link"),
        ("bounce", "bounce", {"bouncedRecipients": {}}, "bounce.bouncedRecipients"),
        ("bounce", "bounce", {"bounceType": []}, "bounce.bounceType"),
        ("subscription", "subscription", {"newTopicPreferences": 1}, "subscription.newTopic"),
    ],
    ids=str,
)
def test_a_wrong_event_is_refused(name: str, part: str, change: dict[str, Any], named: str):
    refused = one(changed(name, part, **change))
    assert isinstance(refused, Rejection)
    assert refused.reason == "invalid"
    assert refused.detail.startswith(named)


def test_one_wrong_receiver_costs_no_other():
    good, wrong = parse(changed("delivery", "delivery", recipients=["a@example.com", 5]))
    assert [i.value for i in good.identifiers] == ["a@example.com"]
    assert (wrong.reason, wrong.detail) == ("no_identifier", "delivery.recipients: is missing")
