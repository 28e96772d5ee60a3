"""Amazon SNS: its signature, its certificate, and the confirmation of a subscription."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from cryptography.hazmat.primitives.asymmetric import ec
from pydantic import ValidationError

from ingest.connector import Context, FetchingConnector
from ingest.connectors.ses import sns_signer
from ingest.connectors.ses.contract import NOW, PEM, request, topic
from ingest.connectors.ses.sns_signer import CERTIFICATE, HOST, TOPIC
from ingest.kit.sns import is_certificate_address
from ingest.testing.values import RECEIVED_MS
from schemas.times import DAY_MS, rfc3339
from tests.support.gateway import NOW_MS, Gateway, serving, source
from tests.support.https_site import https_site
from tests.support.ses_requests import PAYLOADS, confirming, connector, delivered

# The signature


@pytest.mark.parametrize("version", ["1", "2"])
@pytest.mark.parametrize("more", [{}, {"Subject": "Amazon SES Email Event Notification"}], ids=str)
def test_both_versions_of_the_signature(version: str, more: dict[str, str]):
    message = sns_signer.notification("text with\nnewline and 日本", NOW, **more)
    signed = sns_signer.signed(message, version)
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
    pem = sns_signer.certificate(RECEIVED_MS - 10 * DAY_MS, days=300)
    for age_ms, valid in (
        (0, True),
        (3 * DAY_MS, True),
        (3 * DAY_MS + 1000, False),
        (-4 * DAY_MS, False),
    ):
        message = sns_signer.signed(sns_signer.notification("x", rfc3339(RECEIVED_MS - age_ms)))
        assert connector().verify(request(message, pem), RECEIVED_MS) is valid
    for text in ("now", "2026-13-01T00:00:00Z", "1"):
        message = sns_signer.signed(sns_signer.notification("x", text))
        assert not connector().verify(request(message, pem), RECEIVED_MS)


def test_other_certificates_are_refused():
    message = request(delivered("x"))
    assert connector().verify(message, RECEIVED_MS)
    elliptic = ec.generate_private_key(ec.SECP256R1()).public_key()
    for pem in (
        sns_signer.certificate(RECEIVED_MS, "somebody"),
        sns_signer.certificate(RECEIVED_MS - 60 * DAY_MS),
        sns_signer.certificate(RECEIVED_MS + 60 * DAY_MS),
        sns_signer.certificate(RECEIVED_MS, public=elliptic),
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
    other = request(sns_signer.signed(sns_signer.confirmation(NOW, topic("another"))))
    assert not connector().verify(other, RECEIVED_MS)
    leaving = sns_signer.signed({**sns_signer.confirmation(NOW), "Type": "UnsubscribeConfirmation"})
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
        return web.Response(
            body=sns_signer.certificate(NOW_MS) if known else b"<ConfirmSubscription/>"
        )


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
    confirmed = sns_signer.signed(sns_signer.confirmation(now))
    assert (await gateway.post("/hooks/mail", confirmed)).status == 200
    assert there.called == [CERTIFICATE, confirmed["SubscribeURL"]]
    for version in ("1", "2"):
        message = sns_signer.signed(sns_signer.notification(event, now), version)
        assert (await gateway.post("/hooks/mail", message)).status == 200
    assert [row["type"] for row in gateway.accepted] == ["email_processed"] * 2
    assert len(there.called) == 2


async def test_what_is_not_amazons_stores_nothing_and_calls_nobody(site: tuple[Gateway, Amazon]):
    (gateway, there), now = site, rfc3339(NOW_MS)
    foreign = sns_signer.confirmation(now, topic("another"))
    elsewhere = sns_signer.confirmation(now, SigningCertURL="https://example.com/a.pem")
    for message in (foreign, elsewhere):
        assert (await gateway.post("/hooks/mail", sns_signer.signed(message))).status == 401
    assert (await gateway.post("/hooks/mail", PAYLOADS["open"])).status == 401
    assert there.called == []
    forged = sns_signer.signed(sns_signer.confirmation(now), name="somebody")
    assert (await gateway.post("/hooks/mail", forged)).status == 401
    assert there.called == [CERTIFICATE]
    assert gateway.publisher.records == []
