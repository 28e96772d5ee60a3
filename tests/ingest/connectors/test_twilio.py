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
from ingest.connectors.meta.connector import Meta, MetaOptions
from ingest.connectors.twilio.connector import SETTINGS, SIGNATURE, Twilio, TwilioOptions
from ingest.connectors.twilio.contract import ADDRESS, FORM, TwilioContract, signed, signed_json
from ingest.testing.values import RECEIVED_MS, RELAXED
from schemas.identifiers import IdentityPolicy
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


def connector(*secrets: str, **options: Any) -> Twilio:
    return Twilio(TwilioOptions(auth_token=secrets or ("t",), **options))


def parse(fields: Any, **options: Any) -> Any:
    request = signed(urlencode(fields).encode())
    (result,) = connector(**options).parse(request, Context("phone", RECEIVED_MS))
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


# Consent


@pytest.mark.parametrize(
    ("told", "decision"),
    [
        ("STOP", False),
        ("START", True),
        ("stop", False),
        ("Start", True),
        ("HELP", None),
        ("", None),
    ],
)
def test_a_decision_that_twilio_states_is_taken(told: str, decision: bool | None):
    for payload, purpose in (
        ("sms_received", "sms_marketing"),
        ("whatsapp_received", "marketing"),
        ("messenger_received", "marketing"),
    ):
        touch = parse({**PAYLOADS[payload], "OptOutType": told, "Body": "ARRET"})
        assert touch.consent == ({} if decision is None else {purpose: decision})
        assert touch.type.endswith("_received")


def test_the_purpose_of_messages_in_apps_is_an_option():
    fields = {**PAYLOADS["whatsapp_received"], "OptOutType": "STOP"}
    assert parse(fields, purpose="whatsapp").consent == {"whatsapp": False}


def test_what_the_company_sent_is_no_decision():
    assert message(OptOutType="STOP").consent == {}


# WhatsApp and Messenger: the same as through Meta


def by_meta(event: dict[str, Any], kind: str = "messages", **more: Any) -> Any:
    value = {"messaging_product": "whatsapp", "metadata": {"phone_number_id": "1"}, **more}
    change = {"field": "messages", "value": {**value, kind: [{"timestamp": "1795000000", **event}]}}
    body = {"object": "whatsapp_business_account", "entry": [{"id": "9", "changes": [change]}]}
    meta = Meta(MetaOptions(app_secret=("s",), verify_token=("v",)))
    request = Request("POST", "/hooks/m", "", "https://x/", {}, json.dumps(body).encode())
    (touch,) = meta.parse(request, Context("m", RECEIVED_MS))
    return touch


def told(touch: Any) -> Any:
    who = IdentityPolicy().normalize_all([(i.kind, i.value) for i in touch.identifiers], None)
    campaign = touch.campaign and touch.campaign.name
    return touch.channel, touch.type, touch.direction, who, touch.traits, touch.subject, campaign


@pytest.mark.parametrize(
    ("fields", "event", "more"),
    [
        (
            {"From": "whatsapp:+5215512345678", "WaId": "5215512345678", "Body": "hola"},
            {"from": "5215512345678", "id": "w1", "type": "text", "text": {"body": "hola"}},
            {},
        ),
        (
            {
                "From": "whatsapp:JP.10001",
                "ExternalUserId": "JP.10001",
                "Body": "hi",
                "ProfileName": "A",
            },
            {"from_user_id": "JP.10001", "id": "w2", "type": "text", "text": {"body": "hi"}},
            {"contacts": [{"user_id": "JP.10001", "profile": {"name": "A"}}]},
        ),
        (
            {"From": "whatsapp:+819012345678", "ExternalUserId": "JP.10001", "Body": "hi"},
            {
                "from": "819012345678",
                "from_user_id": "JP.10001",
                "id": "w3",
                "type": "text",
                "text": {"body": "hi"},
            },
            {},
        ),
        (
            {
                "From": "whatsapp:+819012345678",
                "Body": "Yes",
                "ButtonText": "Yes",
                "ButtonPayload": "y",
            },
            {"from": "819012345678", "id": "w4", "type": "button", "button": {"text": "Yes"}},
            {},
        ),
    ],
)
def test_a_message_is_the_same_through_both_doors(
    fields: dict[str, str], event: dict[str, Any], more: dict[str, Any]
):
    received = {**PAYLOADS["whatsapp_received"], "ProfileName": "", "WaId": "", **fields}
    assert told(parse(received)) == told(by_meta(event, **more))


@pytest.mark.parametrize("status", ["sent", "delivered", "read", "failed"])
def test_a_status_is_the_same_through_both_doors(status: str):
    ours = {**PAYLOADS["whatsapp_read"], "MessageStatus": status, "SmsStatus": status}
    event = {"id": "w", "status": status, "recipient_id": "819012345678"}
    assert told(parse(ours)) == told(by_meta(event, "statuses"))


def test_the_number_and_the_id_of_a_customer_are_both_taken():
    fields = {"From": "whatsapp:+819012345678", "ExternalUserId": "JP.1"}
    touch = parse({**PAYLOADS["whatsapp_received"], **fields})
    assert phones(touch) == [("phone", "+819012345678"), ("whatsapp", "JP.1")]
    fields = {"From": "whatsapp:JP.1", "ExternalUserId": "JP.1", "WaId": "819012345678"}
    touch = parse({**PAYLOADS["whatsapp_received"], **fields})
    assert {*phones(touch)} == {("phone", "+819012345678"), ("whatsapp", "JP.1")}


def test_the_receiver_of_a_message_may_be_known_by_an_id_alone():
    touch = parse({**PAYLOADS["whatsapp_read"], "To": "whatsapp:JP.1"})
    assert phones(touch) == [("whatsapp", "JP.1")]


def test_an_advertisement_is_the_campaign():
    assert parse(PAYLOADS["whatsapp_from_advertisement"]).campaign.name == "120000000000000013"
    post = {**PAYLOADS["whatsapp_from_advertisement"], "ReferralSourceType": "post"}
    assert parse(post).campaign is None


def test_a_messenger_account_is_facebooks():
    touch = parse(PAYLOADS["messenger_received"])
    assert (touch.channel, touch.type) == ("social", "message_received")
    assert phones(touch) == [("facebook", "1000000000000015")]
    sent = message(From="messenger:2", To="messenger:1", MessageStatus="failed", ErrorCode="63016")
    assert (sent.type, sent.outcome, phones(sent)) == (
        "message_failed",
        "63016",
        [("facebook", "1")],
    )


def test_a_reaction_that_is_taken_back_is_no_reaction():
    fields = {**PAYLOADS["whatsapp_received"], "MessageType": "reaction"}
    assert parse({**fields, "Body": "👍"}).type == "message_reacted"
    assert parse({**fields, "Body": ""}).type == "message_unreacted"


@pytest.mark.parametrize(
    "status",
    [
        "accepted", "scheduled", "queued", "sending", "sent", "delivered", "undelivered", "failed",
        "read", "canceled", "partially_delivered", "receiving", "received",
    ],
)  # fmt: skip
def test_statuses_of_a_message_are_told_apart(status: str):
    for payload in ("sms_delivered", "whatsapp_read"):
        fields = {**PAYLOADS[payload], "MessageStatus": status, "SmsStatus": status}
        touch = parse({**fields, "From": fields["To"], "To": fields["From"]})
        assert touch.event_id.endswith(f":{status}")
        assert touch.direction == (
            "inbound"
            if status in ("received", "receiving") or touch.type == "message_read"
            else "outbound"
        )


# Own accounts


@pytest.mark.parametrize("payload", ["call_completed", "sms_received", "whatsapp_received"])
def test_an_own_number_is_no_customer(payload: str):
    fields = PAYLOADS[payload]
    customer = fields["To" if payload == "call_completed" else "From"]
    plain = customer.removeprefix("whatsapp:")
    for own in (plain, f"{plain[:3]} {plain[3:]}", f"00{plain[1:]}"):
        refused = parse(fields, own_numbers=(own,))
        assert isinstance(refused, Rejection)
        assert refused.reason == "no_identifier"


def test_a_call_of_the_company_to_itself_has_no_customer():
    assert call(From="+819012345678").reason == "no_identifier"


# Machines, recordings and what else belongs to a call


@pytest.mark.parametrize(
    ("answered_by", "outcome"),
    [
        ("machine_start", "voicemail"),
        ("machine_end_beep", "voicemail"),
        ("machine_end_silence", "voicemail"),
        ("machine_end_other", "voicemail"),
        ("fax", "voicemail"),
        ("human", "answered"),
        ("unknown", "answered"),
        ("", "answered"),
    ],
)
def test_a_call_that_a_machine_took_is_missed(answered_by: str, outcome: str):
    touch = call(AnsweredBy=answered_by)
    missed = outcome == "voicemail"
    assert (touch.type, touch.outcome) == ("call_missed" if missed else "call_completed", outcome)
    assert touch.duration_s == (None if missed else 93)
    assert touch.properties.get("CallDuration") == ("93" if missed else None)
    assert touch.event_id == call().event_id
    assert call(CallStatus="busy", AnsweredBy=answered_by).outcome == "busy"


def test_parts_of_a_call_are_no_calls():
    base = {
        "CallSid": "CA9",
        "From": "+819012345678",
        "To": "+815012345678",
        "Direction": "inbound",
    }
    found = [
        parse({**base, **more})
        for more in (
            {"CallStatus": "completed"},
            {"RecordingSid": "RE1", "RecordingStatus": "completed", "CallStatus": "completed"},
            {"RecordingSid": "RE1", "RecordingStatus": "absent"},
            {"RecordingSid": "RE1", "RecordingStatus": "in-progress"},
            {"TranscriptionSid": "TR1", "TranscriptionStatus": "completed", "RecordingSid": "RE1"},
            {"TranscriptionSid": "GT1", "TranscriptionEvent": "transcription-started"},
            {"ConferenceSid": "CF1", "StatusCallbackEvent": "participant-join"},
            {"ConferenceSid": "CF1", "StatusCallbackEvent": "participant-leave"},
            {"AnsweredBy": "machine_start"},
        )
    ]
    assert [touch.type for touch in found] == [
        "call_completed",
        "twilio_recording_completed",
        "twilio_recording_absent",
        "twilio_recording_in_progress",
        "twilio_transcription_completed",
        "twilio_transcription_started",
        "twilio_conference_participant_join",
        "twilio_conference_participant_leave",
        "twilio_answered_by_machine_start",
    ]
    assert len({touch.event_id for touch in found}) == len(found)
    assert all(phones(touch) == [("phone", "+819012345678")] for touch in found)


def test_a_recording_names_its_customer_in_the_address_of_the_callback():
    fields = {
        "CallSid": "CA9",
        "RecordingSid": "RE1",
        "RecordingStatus": "completed",
        "RecordingDuration": "42",
        "RecordingStartTime": "Fri, 20 Nov 2026 05:00:00 +0000",
    }
    refused = parse(fields)
    assert (refused.reason, refused.detail.partition(":")[0]) == ("no_identifier", "To")
    assert "add From, To and Direction to the address" in refused.detail
    body = urlencode(fields).encode()
    query = "From=%2B819012345678&To=%2B815012345678&Direction=inbound"
    request = signed(body, url=f"{ADDRESS}?{query}")
    assert connector().verify(request, RECEIVED_MS)
    (touch,) = connector().parse(request, Context("phone", RECEIVED_MS))
    assert phones(touch) == [("phone", "+819012345678")]
    assert (touch.type, touch.direction) == ("twilio_recording_completed", "inbound")
    assert touch.occurred_at == datetime(2026, 11, 20, 5, tzinfo=UTC)
    assert touch.duration_s is None, "the call itself has it"


# Conversations

SAID = PAYLOADS["conversation_message_of_customer"]
CONVERSATION = ("anonymous_id", "twilio-conversation-CH00000000000000000000000000000021")


@pytest.mark.parametrize(
    ("author", "source", "kind", "who"),
    [
        ("whatsapp:+819012345678", "WHATSAPP", "message_received", ("phone", "+819012345678")),
        ("whatsapp:JP.1", "WHATSAPP", "message_received", ("whatsapp", "JP.1")),
        ("messenger:1", "MESSENGER", "message_received", ("facebook", "1")),
        ("+819012345678", "SMS", "sms_received", ("phone", "+819012345678")),
        ("+819012345678", "", "sms_received", ("phone", "+819012345678")),
        ("agent@example.com", "SDK", "message_sent", None),
        ("+819012345678", "API", "message_sent", None),
        ("system", "API", "message_sent", None),
        ("", "", "message_sent", None),
    ],
)
def test_the_author_of_a_message_in_a_conversation(
    author: str, source: str, kind: str, who: tuple[str, str] | None
):
    touch = parse({**SAID, "Author": author, "Source": source})
    assert touch.type == kind
    assert touch.direction == ("inbound" if who else "outbound")
    assert phones(touch) == [*([who] if who else []), CONVERSATION]
    assert touch.occurred_at == datetime(2026, 11, 20, 4, 22, tzinfo=UTC)
    assert touch.subject == "予約を変えたいです"


def test_the_company_is_no_customer_of_a_conversation():
    touch = parse(
        {**SAID, "Author": "+815012345678", "Source": "SMS"}, own_numbers=("+815012345678",)
    )
    assert (touch.type, phones(touch)) == ("message_sent", [CONVERSATION])
    added = PAYLOADS["conversation_participant_added"]
    proxy = {**added, "MessagingBinding.Address": added["MessagingBinding.ProxyAddress"]}
    assert phones(parse(proxy)) == [CONVERSATION]


@pytest.mark.parametrize(
    ("fields", "kind"),
    [
        (
            {"EventType": "onMessageUpdated", "DateUpdated": "2026-11-20T04:24:00Z"},
            "message_edited",
        ),
        (
            {"EventType": "onMessageUpdated", "DateUpdated": "2026-11-20T04:25:00Z"},
            "message_edited",
        ),
        (
            {"EventType": "onMessageRemoved", "DateRemoved": "2026-11-20T04:24:00Z"},
            "message_deleted",
        ),
        ({"EventType": "onConversationAdded"}, "conversation_started"),
        ({"EventType": "onConversationUpdated"}, "twilio_conversation_updated"),
        ({"EventType": "onConversationRemoved"}, "twilio_conversation_removed"),
        (
            {"EventType": "onConversationStateUpdated", "StateTo": "closed"},
            "conversation_closed",
        ),
        (
            {"EventType": "onConversationStateUpdated", "StateTo": "active"},
            "conversation_reopened",
        ),
        (
            {"EventType": "onConversationStateUpdated", "StateTo": "inactive"},
            "twilio_conversation_inactive",
        ),
        ({"EventType": "onParticipantAdded"}, "twilio_participant_added"),
        ({"EventType": "onParticipantUpdated"}, "twilio_participant_updated"),
        ({"EventType": "onParticipantRemoved"}, "twilio_participant_removed"),
        ({"EventType": "onDeliveryUpdated", "Status": "sent"}, "twilio_message_sent"),
        ({"EventType": "onDeliveryUpdated", "Status": "delivered"}, "message_delivered"),
        ({"EventType": "onDeliveryUpdated", "Status": "read"}, "message_read"),
        ({"EventType": "onDeliveryUpdated", "Status": "failed"}, "message_failed"),
    ],
)
def test_events_of_a_conversation(fields: dict[str, str], kind: str):
    touch = parse({**SAID, **fields})
    assert touch.type == kind
    assert CONVERSATION in phones(touch)
    assert touch.type != parse(SAID).type
    assert touch.event_id != parse(SAID).event_id


def test_events_of_a_conversation_are_told_apart():
    events = [
        {**SAID, "EventType": event, "Status": status, "StateTo": state, "DateUpdated": updated}
        for event in ("onMessageUpdated", "onDeliveryUpdated", "onConversationStateUpdated")
        for status in ("delivered", "read")
        for state in ("active", "closed")
        for updated in ("2026-11-20T04:24:00Z", "2026-11-20T04:25:00Z")
    ]
    assert len({parse(event).event_id for event in events}) == len(events)
    again = {**SAID, "RetryCount": "1"}
    assert parse(again).event_id == parse(SAID).event_id


@pytest.mark.parametrize(
    "event",
    [
        "onMessageAdd", "onMessageUpdate", "onMessageRemove", "onConversationAdd",
        "onConversationUpdate", "onConversationRemove", "onParticipantAdd", "onParticipantUpdate",
        "onParticipantRemove", "onUserUpdate",
    ],
)  # fmt: skip
def test_what_has_not_happened_yet_is_no_event(event: str):
    refused = parse({**SAID, "EventType": event})
    assert (refused.reason, refused.detail.partition(":")[0]) == ("unsupported", "EventType")


def test_a_user_of_the_company_is_no_customer():
    refused = parse({"EventType": "onUserAdded", "UserSid": "US1", "Identity": "agent"})
    assert refused.reason == "no_identifier"
