"""Twilio: signature, calls and messages."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from datetime import UTC, datetime
from typing import Any
from urllib.parse import parse_qsl, urlencode

import pytest
from hypothesis import given
from hypothesis import strategies as st
from twilio.request_validator import RequestValidator

from ingest.connector import Context, Reply, Request
from ingest.connectors.twilio.connector import SETTINGS, SIGNATURE, Twilio, TwilioOptions
from ingest.connectors.twilio.contract import ADDRESS, FORM, TwilioContract, signed, signed_json
from ingest.testing.values import RECEIVED_MS, RELAXED
from schemas.rejection import Rejection

PAYLOADS = TwilioContract.payloads


class Many:
    """Form fields with repeated names, in the way that Twilio's library reads them."""

    def __init__(self, pairs: list[tuple[str, str]]) -> None:
        self._pairs = pairs

    def __iter__(self) -> Any:
        return iter([name for name, _ in self._pairs])

    def __bool__(self) -> bool:
        return bool(self._pairs)

    def getall(self, name: str) -> list[str]:
        return [value for other, value in self._pairs if other == name]


def connector(*secrets: str) -> Twilio:
    return Twilio(TwilioOptions(auth_token=secrets or ("t",)))


def parse(fields: Any) -> Any:
    request = signed(urlencode(fields).encode())
    (result,) = connector().parse(request, Context("phone", RECEIVED_MS))
    return result


def call(**fields: str) -> Any:
    return parse({**PAYLOADS["call_completed"], **fields})


def message(**fields: str) -> Any:
    return parse({**PAYLOADS["sms_delivered"], **fields})


def phones(touch: Any) -> list[tuple[str, str]]:
    return [(identifier.kind, identifier.value) for identifier in touch.identifiers]


class TestTwilioForms(TwilioContract):
    @RELAXED
    @given(body=st.binary(max_size=200))
    def test_any_bytes_as_a_form(self, body: bytes):
        self._fuzz(signed(body))


class TestTwilioJson(TwilioContract):
    def encode(self, value: Any) -> bytes:
        return json.dumps(value, ensure_ascii=False).encode("utf-8", "replace")

    def request(self, value: Any, name: str = "") -> Request:
        return signed_json(self.encode(value), self.secrets[0])

    def signed(self, body: bytes, secret: str, name: str = "") -> Request:
        return signed_json(body, secret)


# The signature


@RELAXED
@given(
    pairs=st.lists(
        st.tuples(st.sampled_from(["From", "To", "a", "é"]), st.text(max_size=8)), max_size=6
    ),
    address=st.sampled_from(
        [
            "https://touch.example.com/hooks/phone",
            "https://touch.example.com:443/hooks/phone",
            "https://touch.example.com:8443/hooks/phone?x=1&y=",
            "http://touch.example.com/hooks/phone?z",
            "http://touch.example.com:80/hooks/phone",
        ]
    ),
    port=st.booleans(),
)
def test_twilios_own_library_agrees(pairs: list[tuple[str, str]], address: str, port: bool):
    body = urlencode(pairs, errors="replace").encode()
    fields = Many(parse_qsl(body.decode(), keep_blank_values=True))
    theirs = RequestValidator("t")
    seen = address.replace(".com/", ".com:443/") if port else address
    signature = theirs.compute_signature(address, fields)
    request = Request("POST", "/hooks/phone", "", seen, {SIGNATURE: signature}, body)
    assert connector().verify(request, RECEIVED_MS) == theirs.validate(seen, fields, signature)
    assert signed(body, url=address).headers[SIGNATURE] == signature
    assert not connector().verify(request._replace(body=body + b"&b=2"), RECEIVED_MS)


def test_the_example_of_twilios_documentation():
    fields = {"CallSid": "CA1", "Caller": "+1", "Digits": "1234", "From": "+1", "To": "+2"}
    text = "https://example.com/myapp.php?foo=1&bar=2" + "".join(
        k + v for k, v in sorted(fields.items())
    )
    signature = base64.b64encode(hmac.new(b"12345", text.encode(), hashlib.sha1).digest()).decode()
    body = urlencode(fields).encode()
    request = Request("POST", "", "", text.partition("Call")[0], {SIGNATURE: signature}, body)
    assert connector("12345").verify(request, RECEIVED_MS)


def test_the_address_is_part_of_the_signature():
    request = signed(urlencode(PAYLOADS["call_completed"]).encode())
    for url in (ADDRESS + "?x=1", ADDRESS + "/", "http" + ADDRESS[5:], "https://[", "https://a:b/"):
        assert not connector().verify(request._replace(url=url), RECEIVED_MS)


def test_a_shared_key_may_sign_with_sha_256():
    body = urlencode(PAYLOADS["call_completed"]).encode()
    fields = Many(parse_qsl(body.decode(), keep_blank_values=True))
    signature = RequestValidator("t").compute_signature(ADDRESS, fields, "HMAC_SHA256")
    headers = {"content-type": FORM, SIGNATURE: signature}
    request = Request("POST", "/hooks/phone", "", ADDRESS, headers, body)
    for setting, valid in (("HMAC_SHA256", True), ("HMAC_SHA1", False), ("NONE", False)):
        named = {**headers, SETTINGS: f"key=webhooks_sharedkey_1,algorithm={setting}"}
        assert connector().verify(request._replace(headers=named), RECEIVED_MS) is valid


def test_json_needs_the_hash_of_the_body_in_the_address():
    body = json.dumps(PAYLOADS["call_completed"]).encode()
    request = signed_json(body)
    signature = RequestValidator("t").compute_signature(ADDRESS, {})
    without = request._replace(url=ADDRESS, headers={**request.headers, SIGNATURE: signature})
    assert connector().verify(request, RECEIVED_MS)
    assert not connector().verify(without, RECEIVED_MS)
    assert RequestValidator("t").validate(request.url, body.decode(), request.headers[SIGNATURE])


def test_the_reply_is_an_empty_twiml_document():
    reply = connector().reply(signed(b"a=1"))
    assert reply == Reply(200, reply.body, "text/xml")
    assert reply.body.endswith(b"<Response/>")


# Calls


def test_an_answered_call():
    touch = call()
    assert (touch.channel, touch.type, touch.direction) == ("phone", "call_completed", "outbound")
    assert (touch.outcome, touch.duration_s) == ("answered", 93)
    assert phones(touch) == [("phone", "+819012345678")], "the receiver; not our own number"
    assert touch.occurred_at == datetime(2026, 11, 20, 4, 5, 6, tzinfo=UTC)
    assert touch.event_id == "CA00000000000000000000000000000001:completed"


def test_a_missed_call_from_a_customer():
    touch = parse(PAYLOADS["call_inbound_no_answer"])
    assert (touch.type, touch.direction, touch.outcome) == ("call_missed", "inbound", "no_answer")
    assert phones(touch) == [("phone", "+819087654321")]


@pytest.mark.parametrize(
    ("status", "kind", "outcome"),
    [
        ("completed", "call_completed", "answered"),
        ("no-answer", "call_missed", "no_answer"),
        ("busy", "call_missed", "busy"),
        ("failed", "call_missed", "failed"),
        ("canceled", "call_missed", "canceled"),
        ("in-progress", "twilio_call_in_progress", None),
        ("initiated", "twilio_call_initiated", None),
    ],
)
def test_statuses_of_calls(status: str, kind: str, outcome: str | None):
    touch = call(CallStatus=status)
    assert (touch.type, touch.outcome) == (kind, outcome)


def test_callbacks_on_the_way_are_told_apart_and_ends_are_one():
    ringing = parse(PAYLOADS["call_ringing"])
    assert ringing.type == "twilio_call_ringing"
    assert ringing.event_id == "CA00000000000000000000000000000001:ringing:1"
    assert call(SequenceNumber="2").event_id == call(SequenceNumber="3").event_id


@pytest.mark.parametrize(
    ("direction", "customer"),
    [
        ("inbound", "+815012345678"),
        ("outbound-api", "+819012345678"),
        ("outbound-dial", "+819012345678"),
        ("", "+819012345678"),
    ],
)
def test_the_customer_is_the_other_side(direction: str, customer: str):
    assert phones(call(Direction=direction)) == [("phone", customer)]


def test_minutes_are_not_taken_for_seconds():
    assert call(CallDuration="", Duration="2").duration_s is None


@pytest.mark.parametrize(
    "address",
    [
        "client:agent",
        "sip:a@example.com",
        "anonymous",
        "+266696687",
        "Restricted",
        "",
        "ACME",
        "12345",
    ],
)
def test_what_is_no_number_names_no_customer(address: str):
    refused = call(Direction="inbound", From=address)
    assert isinstance(refused, Rejection)
    assert (refused.reason, refused.detail.partition(":")[0]) == ("no_identifier", "From")
    assert dict(parse_qsl(refused.payload.decode()))["CallStatus"] == "completed"


# Messages


def test_an_incoming_message():
    touch = parse(PAYLOADS["sms_received"])
    assert (touch.channel, touch.type, touch.direction) == ("phone", "sms_received", "inbound")
    assert touch.properties["text"] == "営業時間を教えて下さい ☎️\nお願いします"
    assert touch.subject == "営業時間を教えて下さい ☎️ お願いします"
    assert phones(touch) == [("phone", "+819012345678")]
    assert touch.event_id == "SM00000000000000000000000000000001:received"
    assert touch.occurred_at is None


def test_a_whatsapp_address_is_a_phone_number():
    touch = parse(PAYLOADS["whatsapp_received"])
    assert phones(touch) == [("phone", "+819012345678")]
    assert touch.properties["From"] == "whatsapp:+819012345678"


@pytest.mark.parametrize(
    ("status", "kind", "outcome"),
    [
        ("delivered", "sms_delivered", None),
        ("undelivered", "sms_failed", "undelivered"),
        ("failed", "sms_failed", "failed"),
        ("sent", "twilio_message_sent", None),
        ("read", "twilio_message_read", None),
    ],
)
def test_statuses_of_messages_are_about_the_receiver(status: str, kind: str, outcome: str | None):
    touch = message(MessageStatus=status, SmsStatus=status)
    assert (touch.type, touch.outcome, touch.direction) == (kind, outcome, "outbound")
    assert phones(touch) == [("phone", "+819012345678")]
    assert touch.event_id == f"SM00000000000000000000000000000002:{status}"


# Bad data


@pytest.mark.parametrize(
    ("fields", "reason", "named"),
    [
        ({"a": "1"}, "unsupported", "CallSid or MessageSid"),
        ({"CallSid": "CA1", "RecordingStatus": "completed"}, "invalid", "CallStatus"),
        ({"MessageSid": "SM1", "To": "+819012345678"}, "invalid", "MessageStatus"),
        ({**PAYLOADS["call_completed"], "CallDuration": "long"}, "invalid", "CallDuration"),
        ({**PAYLOADS["call_completed"], "CallDuration": "-1"}, "invalid", "CallDuration"),
        ({**PAYLOADS["call_completed"], "Timestamp": "2026"}, "invalid", "Timestamp"),
    ],
)
def test_a_wrong_request_is_refused_with_its_bytes(fields: Any, reason: str, named: str):
    refused = parse(fields)
    assert isinstance(refused, Rejection)
    assert (refused.reason, refused.detail.partition(": ")[0]) == (reason, named)
    assert dict(parse_qsl(refused.payload.decode())) == {k: v for k, v in fields.items() if v}


def test_a_form_that_is_not_utf_8_is_unreadable():
    body = b"CallSid=CA1&Body=%ff%fe"
    (refused,) = connector().parse(signed(body), Context("phone", RECEIVED_MS))
    assert isinstance(refused, Rejection)
    assert (refused.reason, refused.payload) == ("unreadable", body)
