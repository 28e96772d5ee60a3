"""Events of SES through Amazon EventBridge: called with a key, or through SNS."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from pydantic import ValidationError

from ingest.connector import Context, Request
from ingest.connectors.postmark.contract import basic
from ingest.connectors.ses.connector import Ses, SesOptions
from ingest.connectors.ses.contract import SesContract
from ingest.testing.values import RECEIVED_MS, posted
from schemas.rejection import Rejection
from tests.support.ses_requests import PAYLOADS, confirming, delivered, parse, request

DETAIL_TYPES = {
    "send": "Email Sent",
    "delivery": "Email Delivered",
    "bounce": "Email Bounced",
    "complaint": "Email Complaint Received",
    "reject": "Email Rejected",
    "rendering_failure": "Email Rendering Failed",
    "open": "Email Opened",
    "click": "Email Clicked",
    "delivery_delay": "Email Delivery Delayed",
    "subscription": "Email Subscribed",
}


def bridged(event: dict[str, Any], name: str = "Email Sent", number: int = 1) -> dict[str, Any]:
    return {
        "version": "0",
        "id": f"a1b2c3d4-e5f6-7890-abcd-{number:012}",
        "detail-type": name,
        "source": "aws.ses",
        "account": "123456789012",
        "time": "2026-11-20T04:00:03Z",
        "region": "eu-west-1",
        "resources": ["arn:aws:ses:eu-west-1:123456789012:configuration-set/shop"],
        "detail": event,
    }


EVENTS = {
    name: bridged(PAYLOADS[name], kind, number)
    for number, (name, kind) in enumerate(DETAIL_TYPES.items())
}


def called(value: Any, **options: Any) -> list[Any]:
    connector = Ses(SesOptions(token="t", **options))
    return list(connector.parse(posted(json.dumps(value).encode()), Context("ses", RECEIVED_MS)))


class TestByKey(SesContract):
    payloads = EVENTS
    signs_time = False

    def make(self, *secrets: str) -> Ses:
        return Ses(SesOptions.model_validate({"header": "X-Key", "token": secrets}))

    def encode(self, value: Any) -> bytes:
        return json.dumps(value).encode()

    def signed(self, body: bytes, secret: str, name: str = "") -> Request:
        return posted(body, {"x-key": secret})

    def unsigned(self, request: Request) -> Iterator[Request]:
        yield request._replace(headers={})


def test_an_event_is_the_same_as_through_sns_alone():
    for name, event in EVENTS.items():
        direct = parse(PAYLOADS[name])
        for results in (called(event), parse(event)):
            assert [(one.type, one.identifiers, one.consent) for one in results] == [
                (one.type, one.identifiers, one.consent) for one in direct
            ]
            assert results[0].event_id.startswith(event["id"])


def test_the_name_of_an_event_may_stand_around_it():
    for name, kind in DETAIL_TYPES.items():
        inside = {key: value for key, value in PAYLOADS[name].items() if key != "eventType"}
        assert called(bridged(inside, kind))[0].type == called(EVENTS[name])[0].type


def test_a_chosen_part_of_an_event_has_an_id_of_its_content():
    (first,), (again,) = called(PAYLOADS["open"]), called(PAYLOADS["open"])
    (click,) = called(PAYLOADS["click"])
    assert first.event_id == again.event_id != click.event_id
    assert first.type == "email_opened"


def test_an_event_about_the_account_is_unsupported():
    (refused,) = called(bridged({"version": "1.0.0", "data": {}}, "Sending Status Disabled"))
    assert isinstance(refused, Rejection)
    assert refused.reason == "unsupported"


def test_a_key_opens_no_door_of_sns_and_sns_none_without_a_signature():
    connector = Ses(SesOptions(token="t"))
    shown = {"x-touchline-token": "t"}
    for message in (delivered(PAYLOADS["open"]), confirming()):
        signed = request(message)
        asked = signed._replace(headers={**signed.headers, **shown})
        assert not connector.verify(asked, RECEIVED_MS)
        assert connector.needs(asked) is None
    plain = posted(json.dumps(EVENTS["open"]).encode(), shown)
    assert connector.verify(plain, RECEIVED_MS)
    assert connector.calls(plain) is None
    topics = Ses(SesOptions(topics=["arn:aws:sns:eu-west-1:123456789012:ses"]))
    assert not topics.verify(plain, RECEIVED_MS)


def test_a_password_is_as_good():
    connector = Ses(SesOptions(password="p"))
    body = json.dumps(EVENTS["open"]).encode()
    assert connector.verify(posted(body, {"authorization": basic("p")}), RECEIVED_MS)
    assert not connector.verify(posted(body), RECEIVED_MS)


def test_a_source_without_protection_is_refused_at_start():
    with pytest.raises(ValidationError, match="topics are missing"):
        SesOptions()
