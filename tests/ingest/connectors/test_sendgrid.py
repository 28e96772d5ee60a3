"""SendGrid's Event Webhook: signature and events."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from pydantic import ValidationError
from sendgrid.helpers.eventwebhook import EventWebhook

from ingest.connector import Context
from ingest.connectors.sendgrid.connector import SIGNATURE, TIMESTAMP, SendGrid, SendGridOptions
from ingest.connectors.sendgrid.contract import SendGridContract, private_key, public_key, signed
from ingest.testing.values import RECEIVED_MS
from schemas.rejection import Rejection
from schemas.times import DAY_MS
from schemas.touchpoint import Touchpoint

PAYLOADS = SendGridContract.payloads


def pem(name: str) -> str:
    key = private_key(name).public_key()
    return key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()


def connector(**options: Any) -> SendGrid:
    return SendGrid(SendGridOptions(**{"public_key": public_key("k"), **options}))


def parse(value: Any, **options: Any) -> list[Any]:
    request = signed(json.dumps(value).encode())
    return list(connector(**options).parse(request, Context("mail", RECEIVED_MS)))


def one(**event: Any) -> Any:
    options = event.pop("options", {})
    given = {"email": "a@example.com", "timestamp": 1795147200, "event": "open", "sg_event_id": "e"}
    (result,) = parse([{**given, **event}], **options)
    return result


class TestSendGrid(SendGridContract):
    pass


# The signature


def test_sendgrids_own_library_agrees():
    for value in (*PAYLOADS.values(), [], [{"email": "日本@example.com"}]):
        request = signed(json.dumps(value, ensure_ascii=False).encode() + b"\r\n")
        theirs = EventWebhook(public_key("k"))
        for body in (request.body, request.body + b" "):
            verdict = theirs.verify_signature(
                body.decode(), request.headers[SIGNATURE], request.headers[TIMESTAMP]
            )
            assert verdict == connector().verify(request._replace(body=body), RECEIVED_MS)


@pytest.mark.parametrize(
    "key",
    [
        pem("k"),
        pem("k").replace("\n", "\\n"),
        public_key("k"),
        f" {public_key('k')}\n",
        (public_key("x"), pem("k")),
    ],
    ids=["PEM", "PEM on one line", "base64", "base64 with spaces", "a list"],
)
def test_a_key_may_be_pem_or_base64(key: Any):
    assert connector(public_key=key).verify(signed(b"[]"), RECEIVED_MS)


def _rsa() -> str:
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048).public_key()
    return key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()


@pytest.mark.parametrize(
    "key", ["", "abc", "SG.secret-looking", "äöü", public_key("k")[:-8], _rsa(), ()]
)
def test_what_is_no_key_is_refused_at_start(key: Any):
    with pytest.raises(ValidationError, match="public_key") as refusal:
        connector(public_key=key)
    problem = refusal.value.errors(include_input=False)[0]["msg"]
    assert not key or str(key) not in problem


def test_a_signature_may_be_three_days_old():
    for age_ms, valid in (
        (0, True),
        (3 * DAY_MS, True),
        (3 * DAY_MS + 1000, False),
        (-4 * DAY_MS, False),
    ):
        request = signed(b"[]", timestamp=str((RECEIVED_MS - age_ms) // 1000))
        assert connector().verify(request, RECEIVED_MS) is valid
    old = signed(b"[]", timestamp=str(RECEIVED_MS // 1000 - 600))
    assert not connector(max_age_days=0.005).verify(old, RECEIVED_MS)


@pytest.mark.parametrize("timestamp", ["", "now", "-5", "１７９５", "1" * 40, "1795147200.5"])
def test_a_strange_timestamp_is_refused(timestamp: str):
    assert not connector().verify(signed(b"[]", timestamp=timestamp), RECEIVED_MS)


# The map


def test_events_have_their_types_and_directions():
    results = [touch for value in PAYLOADS.values() for touch in parse(value)]
    assert [(touch.type, touch.direction) for touch in results] == [
        ("email_processed", "outbound"),
        ("email_deferred", "outbound"),
        ("email_delivered", "outbound"),
        ("email_bounced", "outbound"),
        ("email_bounced", "outbound"),
        ("email_dropped", "outbound"),
        ("email_opened", "inbound"),
        ("email_clicked", "inbound"),
        ("email_complained", "inbound"),
        ("email_unsubscribed", "inbound"),
        ("email_unsubscribed", "inbound"),
        ("email_resubscribed", "inbound"),
    ]
    assert {touch.channel for touch in results} == {"email"}


def test_fields_of_events():
    processed, deferred, _, bounce, blocked, _ = parse(PAYLOADS["delivery"])
    _, click, *_ = parse(PAYLOADS["engagement"])
    assert processed.event_id == "cHJvY2Vzc2VkLTE"
    assert processed.occurred_at == datetime(2026, 11, 20, 4, 0, tzinfo=UTC)
    assert [(i.kind, i.value) for i in processed.identifiers] == [("email", "hanako@example.com")]
    assert processed.campaign.name == "autumn sale"
    assert processed.properties["category"] == ["autumn sale", "newsletter"]
    assert processed.properties["customer"] == "C-42"
    assert deferred.properties["attempt"] == "5"
    assert deferred.campaign.name == "autumn sale"
    assert (bounce.outcome, blocked.outcome) == ("bounce", "blocked")
    assert click.url == "https://shop.example.com/boots"
    assert click.campaign.name == "Autumn sale, week 2"


def test_decisions_are_consent():
    touches = {touch.event_id: touch for touch in parse(PAYLOADS["engagement"])}
    assert touches["c3BhbS0x"].consent == {"marketing": False}
    assert touches["dW5zdWItMQ"].consent == {"marketing": False}
    assert touches["Z3JvdXAtMQ"].consent == {"marketing": False}
    assert touches["Z3JvdXAtMg"].consent == {"marketing": True}
    assert touches["b3Blbi0x"].consent == {}


def test_a_group_may_have_a_purpose_of_its_own():
    options = {"groups": {10: "newsletter"}}
    assert one(event="group_unsubscribe", asm_group_id=10, options=options).consent == {
        "newsletter": False
    }
    assert one(event="group_unsubscribe", asm_group_id=11, options=options).consent == {
        "marketing": False
    }
    assert one(event="unsubscribe", asm_group_id=10, options=options).consent == {
        "marketing": False
    }


def test_a_custom_argument_is_the_customer_only_if_told_so():
    assert [i.kind for i in one(customer_id="C-1").identifiers] == ["email"]
    touch = one(customer_id=17, options={"customer_id_arg": "customer_id"})
    assert [(i.kind, i.value) for i in touch.identifiers] == [
        ("customer_id", "17"),
        ("email", "a@example.com"),
    ]
    assert touch.properties["customer_id"] == 17


def test_an_event_of_tomorrow_is_kept_under_its_name():
    assert one(event="Read By Owl").type == "sendgrid_read_by_owl"


def test_an_event_without_id_gets_one_of_its_content():
    first, again, other = (
        one(sg_event_id=None),
        one(sg_event_id=None),
        one(sg_event_id=None, ip="::1"),
    )
    assert first.event_id == again.event_id != other.event_id


# Bad data


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"event": 5}, "event"),
        ({"event": None}, "event"),
        ({"email": {}}, "email"),
        ({"timestamp": "1795147200"}, "timestamp"),
        ({"timestamp": 1795147200000}, "timestamp"),
        ({"timestamp": -1}, "timestamp"),
        ({"timestamp": True}, "timestamp"),
        ({"sg_event_id": []}, "sg_event_id"),
        ({"sg_event_id": "x" * 600}, "sg_event_id"),
        ({"url": 5}, "url"),
        ({"event": "e" * 500}, "event"),
    ],
    ids=str,
)
def test_a_wrong_event_is_refused_alone(change: dict[str, Any], named: str):
    good = {"email": "a@example.com", "timestamp": 1795147200, "event": "open", "sg_event_id": "e"}
    wrong = {**good, **change}
    before, refused, after = parse([good, wrong, good])
    assert isinstance(before, Touchpoint)
    assert isinstance(after, Touchpoint)
    assert isinstance(refused, Rejection)
    assert refused.detail.startswith(f"{named}: ")
    assert json.loads(refused.payload) == wrong


@pytest.mark.parametrize("email", [None, ""])
def test_an_event_of_the_account_names_no_customer(email: str | None):
    refused = one(event="account_status_change", email=email)
    assert (refused.reason, refused.detail) == ("no_identifier", "email: is missing")


def test_no_events_are_fine():
    assert parse([]) == []
