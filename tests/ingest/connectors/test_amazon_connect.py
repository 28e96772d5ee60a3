"""Amazon Connect's contact records: the key, how they come, and what becomes of them."""

from __future__ import annotations

import copy
import json
from datetime import UTC, datetime
from typing import Any, ClassVar

import pytest
from pydantic import ValidationError

from ingest.connector import Context
from ingest.connectors.amazon_connect.connector import AmazonConnect, AmazonConnectOptions
from ingest.connectors.amazon_connect.contract import (
    DELIVERED_MS,
    REQUEST_ID,
    AmazonConnectContract,
    delivery,
    shown,
)
from ingest.kit.firehose import ATTRIBUTES
from ingest.testing.values import RECEIVED_MS
from schemas.rejection import Rejection
from schemas.touchpoint import Touchpoint

PAYLOADS = AmazonConnectContract.payloads
PHONE = ("phone", "+819012345678")


def connector(**options: Any) -> AmazonConnect:
    return AmazonConnect(AmazonConnectOptions(**{"access_key": "s", **options}))


def parse(
    body: bytes, headers: dict[str, str] | None = None, limit: int = 10_000, **options: Any
) -> list[Any]:
    context = Context("calls", RECEIVED_MS, max_events=limit)
    return list(connector(**options).parse(shown(body, headers=headers), context))


def sample(name: str, options: dict[str, Any] | None = None, **changes: Any) -> Any:
    record = {**PAYLOADS[name], **changes}
    (result,) = parse(json.dumps(record).encode(), **(options or {}))
    return result


def kinds(touch: Touchpoint) -> set[tuple[str, str]]:
    return {(i.kind, i.value) for i in touch.identifiers}


class TestAmazonConnect(AmazonConnectContract):
    pass


class TestThroughFirehose(AmazonConnectContract):
    """Records as Firehose delivers them: several at once, or one."""

    payloads: ClassVar = {
        "two": [PAYLOADS["inbound_answered"], PAYLOADS["email"]],
        "one": PAYLOADS["chat"],
    }

    def encode(self, value: Any) -> bytes:
        plain = super().encode
        return delivery(*map(plain, value)) if isinstance(value, list) else delivery(plain(value))


# How records come


RECORDS = [json.dumps(PAYLOADS[name], ensure_ascii=False).encode() for name in ("chat", "task")]


@pytest.mark.parametrize(
    "body",
    [
        b"[" + b",".join(RECORDS) + b"]",
        b"\n".join(RECORDS),
        b"\r\n\r\n".join(RECORDS) + b"\r\n",
        b"".join(RECORDS),
        b" ".join(RECORDS) + b"\n",
        delivery(*RECORDS),
        delivery(b"\n".join(RECORDS)),
        delivery(b"".join(RECORDS)),
        delivery(b"[" + b",".join(RECORDS) + b"]"),
        delivery(RECORDS[0] + b"\n", b"\n" + RECORDS[1]),
    ],
)
def test_records_come_in_many_ways(body: bytes):
    assert parse(body) == [sample("chat"), sample("task")]


def test_a_record_laid_out_over_lines_is_one():
    assert parse(json.dumps(PAYLOADS["chat"], indent=4).encode()) == [sample("chat")]


@pytest.mark.parametrize(
    ("body", "reasons"),
    [
        (RECORDS[0] + b"\n{broken\n" + RECORDS[1], [None, "unreadable", None]),
        (RECORDS[0] + b"{broken\n" + RECORDS[1], [None, "unreadable", None]),
        (RECORDS[0] + b"\n5\n" + RECORDS[1], [None, "invalid", None]),
        (RECORDS[0] + b'\n{"a": NaN}\n' + RECORDS[1], [None, "invalid", None]),
        (RECORDS[0] + b"\n\xff\n" + RECORDS[1], [None, "unreadable", None]),
        (delivery(RECORDS[0], b"{broken", RECORDS[1]), [None, "unreadable", None]),
        (delivery(RECORDS[0], b"", RECORDS[1]), [None, "unreadable", None]),
        (delivery(), []),
    ],
)
def test_what_is_no_record_costs_no_other(body: bytes, reasons: list[str | None]):
    found = [one.reason if isinstance(one, Rejection) else None for one in parse(body)]
    assert found == reasons


@pytest.mark.parametrize("record", [5, {}, {"data": None}, {"data": 5}, {"data": "@@@@"}])
def test_a_record_of_firehose_is_base64(record: object):
    body = json.dumps({"requestId": "r", "timestamp": 1, "records": [record]}).encode()
    (refused,) = parse(body)
    assert (refused.reason, refused.detail) == ("invalid", "records.data: must be base64")


def test_records_are_a_list():
    (refused,) = parse(b'{"requestId": "r", "timestamp": 1, "records": 5}')
    assert (refused.reason, refused.detail) == ("unreadable", "records: must be a list")


def test_too_many_records_are_refused_as_a_whole():
    body = delivery(b"\n".join(RECORDS), RECORDS[0])
    assert len(parse(body, limit=3)) == 3
    (refused,) = parse(body, limit=2)
    assert (refused.reason, refused.payload) == ("too_many", body)


def test_attributes_of_the_stream_are_kept():
    header = {ATTRIBUTES: json.dumps({"commonAttributes": {"site": "osaka"}})}
    (touch,) = parse(RECORDS[0], header)
    assert touch.properties["common_attributes"] == {"site": "osaka"}
    for strange in ("", "{", "5", '{"commonAttributes": 5}', "\udc80"):
        assert parse(RECORDS[0], {ATTRIBUTES: strange}) == [sample("chat")]


# The answer


def test_firehose_hears_its_own_request_id_and_a_time():
    reply = connector().reply(shown(delivery(*RECORDS)))
    assert (reply.status, reply.content_type) == (200, "application/json")
    assert json.loads(reply.body) == {"requestId": REQUEST_ID, "timestamp": DELIVERED_MS}


@pytest.mark.parametrize("body", [b"", b"{}", b"[]", RECORDS[0], b'{"requestId": 5}', b"[" * 5000])
def test_others_hear_nothing(body: bytes):
    reply = connector().reply(shown(body))
    assert (reply.status, reply.body) == (200, b"")


# What becomes of a record


@pytest.mark.parametrize(
    ("name", "channel", "kind", "direction", "outcome", "duration_s"),
    [
        ("inbound_answered", "phone", "call_completed", "inbound", "answered", 318),
        ("inbound_abandoned", "phone", "call_missed", "inbound", "no_answer", None),
        ("inbound_self_service", "phone", "call_completed", "inbound", "answered", 390),
        ("inbound_queue_transfer", "phone", "call_transferred", "inbound", None, None),
        ("transfer", "phone", "call_completed", "inbound", "answered", 95),
        ("outbound_answered", "phone", "call_completed", "outbound", "answered", 61),
        ("outbound_busy", "phone", "call_missed", "outbound", "busy", None),
        ("callback_no_answer", "phone", "call_missed", "outbound", "no_answer", None),
        ("campaign_voicemail", "phone", "call_missed", "outbound", "voicemail", None),
        ("web_call", "phone", "call_completed", "inbound", "answered", 120),
        ("monitored", "phone", "amazon_connect_monitor", "inbound", None, None),
        ("chat", "chat", "conversation_closed", "inbound", "answered", 400),
        ("sms_unanswered", "chat", "conversation_closed", "inbound", "no_answer", None),
        ("task", "chat", "task_completed", "inbound", "agent_completed", None),
        ("task_expired", "chat", "task_expired", "inbound", "expired", None),
        ("email", "email", "email_received", "inbound", "agent_disconnect", None),
        ("email_reply", "email", "email_processed", "outbound", "contact_flow_disconnect", None),
        ("email_discarded", "email", "email_dropped", "outbound", "discarded", None),
    ],
)
def test_contacts_have_their_types(  # noqa: PLR0917 - a table
    name: str, channel: str, kind: str, direction: str, outcome: str | None, duration_s: Any
):
    touch = sample(name)
    assert (touch.channel, touch.type, touch.direction) == (channel, kind, direction)
    assert (touch.outcome, touch.duration_s) == (outcome, duration_s)


@pytest.mark.parametrize(
    ("reason", "outcome"),
    [
        ("TELECOM_BUSY", "busy"),
        ("TELECOM_TIMEOUT", "no_answer"),
        ("TELECOM_UNANSWERED", "no_answer"),
        ("TELECOM_PROBLEM", "failed"),
        ("TELECOM_NUMBER_INVALID", "failed"),
        ("TELECOM_POTENTIAL_BLOCKING", "failed"),
        ("TELECOM_ORIGINATOR_CANCEL", "canceled"),
        ("OUTBOUND_ATTEMPT_FAILED", "failed"),
        ("EXPIRED", "canceled"),
        ("AGENT_DISCONNECT", "no_answer"),
        ("A_REASON_OF_TOMORROW", "no_answer"),
        (None, "no_answer"),
    ],
)
def test_why_a_call_was_missed(reason: str | None, outcome: str):
    touch = sample("outbound_busy", DisconnectReason=reason)
    assert (touch.type, touch.outcome) == ("call_missed", outcome)


@pytest.mark.parametrize(
    ("found", "kind", "outcome"),
    [
        ("HUMAN_ANSWERED", "call_completed", "answered"),
        ("AMD_UNRESOLVED", "call_completed", "answered"),
        ("VOICEMAIL_NO_BEEP", "call_missed", "voicemail"),
        ("AMD_UNANSWERED", "call_missed", "no_answer"),
        ("SIT_TONE_BUSY", "call_missed", "busy"),
        ("FAX_MACHINE_DETECTED", "call_missed", "voicemail"),
    ],
)
def test_an_answering_machine_is_no_answer(found: str, kind: str, outcome: str):
    touch = sample("campaign_voicemail", AnsweringMachineDetectionStatus=found)
    assert (touch.type, touch.outcome) == (kind, outcome)


def test_whoever_spoke_was_reached_however_it_ended():
    touch = sample("inbound_answered", DisconnectReason="TELECOM_PROBLEM")
    assert (touch.type, touch.outcome) == ("call_completed", "answered")


@pytest.mark.parametrize(
    ("change", "kind"),
    [
        ({"Queue": {"Name": "Orders"}}, "call_missed"),
        ({"DisconnectReason": "CUSTOMER_DISCONNECT"}, "call_missed"),
        ({"NextContactId": "n"}, "call_transferred"),
    ],
    ids=str,
)
def test_a_flow_answers_only_whom_it_serves_to_the_end(change: dict[str, Any], kind: str):
    assert sample("inbound_self_service", **change).type == kind


def test_an_agent_whose_time_is_not_told_answered_too():
    agent = {"ARN": "arn:aws:connect:agent", "Username": "sato"}
    touch = sample("inbound_answered", Agent=agent)
    assert (touch.type, touch.outcome, touch.duration_s) == ("call_completed", "answered", None)


def test_the_record_tells_the_direction_of_a_contact_by_api():
    started = {"connect:Direction": {"ValueString": "OUTBOUND"}}
    assert sample("chat", SegmentAttributes=started).direction == "outbound"
    inbound = {"connect:Direction": {"ValueString": "INBOUND"}}
    assert sample("campaign_voicemail", SegmentAttributes=inbound).direction == "inbound"


def test_fields_of_a_call():
    touch = sample("inbound_answered")
    assert touch.event_id == PAYLOADS["inbound_answered"]["ContactId"]
    assert touch.occurred_at == datetime(2026, 11, 20, 7, 0, tzinfo=UTC)
    assert kinds(touch) == {PHONE}
    assert touch.sentiment == pytest.approx(0.62)
    assert touch.properties["Queue"]["Name"] == "Orders"
    assert touch.properties["Agent"]["Username"] == "sato"
    assert touch.properties["Attributes"]["Language"] == "ja-JP"
    assert sample("email").subject == "Where is my order?"
    assert sample("campaign_voicemail").campaign.name == "autumn-2026"


def test_a_later_version_of_a_record_is_the_same_event():
    later = sample(
        "inbound_answered",
        LastUpdateTimestamp="2026-11-20T09:00:00Z",
        Attributes={"survey": "5"},
    )
    assert later.event_id == sample("inbound_answered").event_id


# Who the customer is


def test_the_customer_is_the_endpoint_that_is_not_the_companys():
    assert kinds(sample("outbound_answered")) == {PHONE}
    assert kinds(sample("email")) == {("email", "hanako@example.com")}
    assert kinds(sample("email_reply")) == {("email", "hanako@example.com")}
    assert kinds(sample("web_call")) == {("customer_id", "C-42")}, "a SIP address is no number"
    own = {"+81345670000", "support@company.example"}
    for name in PAYLOADS:
        assert not {value for _, value in kinds(sample(name))} & own


def test_attributes_are_the_customer_only_if_told_so():
    options = {"identifier_attributes": {"crmId": "customer_id", "absent": "email"}}
    assert kinds(sample("inbound_answered", options)) == {PHONE, ("customer_id", "C-42")}
    assert kinds(sample("inbound_answered")) == {PHONE}
    with pytest.raises(ValidationError):
        connector(identifier_attributes={"crmId": "Customer Id"})


@pytest.mark.parametrize(
    "change",
    [
        {"CustomerEndpoint": None},
        {"CustomerEndpoint": {"Address": "anonymous", "Type": "CONTACT_FLOW"}},
        {"InitiationMethod": "EXTERNAL_OUTBOUND"},
    ],
    ids=str,
)
def test_a_contact_without_a_customer_is_nobodys(change: dict[str, Any]):
    refused = sample("inbound_abandoned", **change)
    assert isinstance(refused, Rejection)
    assert (refused.reason, refused.event_id) == (
        "no_identifier",
        PAYLOADS["inbound_abandoned"]["ContactId"],
    )


# Sentiment, tomorrow, bad data


@pytest.mark.parametrize(
    ("score", "sentiment"), [(5, 1), (-5, -1), (0, 0), (-2.5, -0.5), (7, 1), ("good", None)]
)
def test_sentiment_of_contact_lens(score: object, sentiment: float | None):
    characteristics = {"Sentiment": {"OverallSentiment": {"CUSTOMER": score}}}
    within = {"ConversationCharacteristics": characteristics}
    for change in (
        {"ContactLens": within},
        {"ContactLens": {"ConversationalAnalytics": within}},
        {"ContactLens": None, **within},
    ):
        assert sample("inbound_answered", **change).sentiment == sentiment
    assert sample("inbound_answered", ContactLens=None).sentiment is None


def test_a_channel_of_tomorrow_is_kept_under_its_name():
    touch = sample("inbound_answered", Channel="HOLOGRAM")
    assert (touch.channel, touch.type) == ("phone", "amazon_connect_hologram")


@pytest.mark.parametrize("body", [b"{}", b'{"AgentARN": "a", "EventType": "LOGIN"}'])
def test_other_records_of_amazon_connect_are_not_taken(body: bytes):
    (refused,) = parse(body)
    assert (refused.reason, refused.payload) == (
        "unsupported",
        body.replace(b": ", b":").replace(b", ", b","),
    )


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"ContactId": 5.5}, "ContactId"),
        ({"ContactId": "x" * 600}, "ContactId"),
        ({"InitiationTimestamp": "yesterday"}, "InitiationTimestamp"),
        ({"InitiationTimestamp": 5}, "InitiationTimestamp"),
        ({"DisconnectTimestamp": "later"}, "DisconnectTimestamp"),
        ({"CustomerEndpoint": "+81"}, "CustomerEndpoint"),
        ({"CustomerEndpoint": {"Address": 5}}, "CustomerEndpoint.Address"),
        ({"Agent": 5}, "Agent"),
        ({"Agent": {"AgentInteractionDuration": "long"}}, "Agent.AgentInteractionDuration"),
        ({"Agent": {"AgentInteractionDuration": -1}}, "Agent.AgentInteractionDuration"),
        ({"Channel": []}, "Channel"),
        ({"SegmentAttributes": "x"}, "SegmentAttributes"),
        ({"ContactLens": ["x"]}, "ContactLens"),
    ],
    ids=lambda value: str(value)[:60],
)
def test_a_wrong_field_is_named(change: dict[str, Any], named: str):
    refused = sample("inbound_self_service", **copy.deepcopy(change))
    assert isinstance(refused, Rejection)
    assert refused.detail.startswith(f"{named}: ")


# Own accounts


def test_an_own_number_is_no_customer():
    record = PAYLOADS["inbound_answered"]
    customer = record["CustomerEndpoint"]["Address"]
    own = [sample("inbound_answered", {"own_numbers": (f"00{customer[1:]}",)})]
    for name in ("SystemEndpoint", "TransferredToEndpoint"):
        own.append(sample("inbound_answered", **{name: record["CustomerEndpoint"]}))
    for found in own:
        kinds = {} if isinstance(found, Rejection) else {i.kind for i in found.identifiers}
        assert "phone" not in kinds


def test_an_own_address_is_no_customer():
    found = sample("email", {"own_numbers": ("Hanako@example.com",)})
    kinds = {} if isinstance(found, Rejection) else {i.kind for i in found.identifiers}
    assert "email" not in kinds
