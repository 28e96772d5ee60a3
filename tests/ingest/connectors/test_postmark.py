"""Postmark's webhooks: what they show instead of a signature, and events."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from aiohttp import encode_basic_auth
from pydantic import ValidationError

from ingest.connector import Context, Request
from ingest.connectors.postmark.connector import Postmark, PostmarkOptions
from ingest.connectors.postmark.contract import PostmarkContract, basic
from ingest.kit.mail_message import TEXT_LENGTH
from ingest.testing.values import RECEIVED_MS, posted
from schemas.rejection import Rejection
from schemas.times import from_ms

PAYLOADS = PostmarkContract.payloads

SOON = (from_ms(RECEIVED_MS) + timedelta(minutes=1)).strftime("%a, %d %b %Y %H:%M:%S +0000")


def request(body: bytes, **headers: str) -> Request:
    return posted(body, {name.replace("_", "-"): value for name, value in headers.items()})


def connector(**options: Any) -> Postmark:
    return Postmark(PostmarkOptions(**{"password": "p", **options}))


def parse(value: Any, **options: Any) -> Any:
    body = json.dumps(value).encode()
    context = Context("postmark", RECEIVED_MS)
    (result,) = connector(**options).parse(request(body), context)
    return result


def changed(name: str, **changes: Any) -> Any:
    return parse({**PAYLOADS[name], **changes})


class TestPostmark(PostmarkContract):
    pass


class TestPostmarkByToken(PostmarkContract):
    def make(self, *secrets: str) -> Postmark:
        return Postmark(PostmarkOptions(header="X-Shown", token=secrets))

    def signed(self, body: bytes, secret: str, name: str = "") -> Request:
        return request(body, x_shown=secret)


# What is shown


def test_basic_authentication_is_that_of_other_clients():
    shown = encode_basic_auth("hook", "pässwörd: 1", encoding="utf-8")
    ours = connector(username="hook", password="pässwörd: 1")
    assert ours.verify(request(b"", authorization=shown), RECEIVED_MS)
    assert ours.verify(request(b"", authorization=shown.replace("Basic", "basic")), RECEIVED_MS)
    assert not ours.verify(request(b"", authorization=shown.replace("Basic", "X")), RECEIVED_MS)


@pytest.mark.parametrize(
    "shown",
    [
        basic("p", "another"),
        basic("p", ""),
        basic(""),
        basic("pp"),
        "Basic",
        "Basic !!",
        "Bearer p",
        "p",
    ],
)
def test_anything_else_is_refused(shown: str):
    assert connector().verify(request(b"", authorization=basic("p")), RECEIVED_MS)
    assert not connector().verify(request(b"", authorization=shown), RECEIVED_MS)


def test_where_password_and_token_are_given_both_must_be_right():
    ours = connector(token=("t", "u"))
    right = {"authorization": basic("p"), "x_touchline_token": "u"}
    assert ours.verify(request(b"", **right), RECEIVED_MS)
    for name in right:
        assert not ours.verify(request(b"", **{**right, name: "x"}), RECEIVED_MS)
        assert not ours.verify(
            request(b"", **{k: v for k, v in right.items() if k != name}), RECEIVED_MS
        )


@pytest.mark.parametrize(
    "options",
    [{}, {"username": "u"}, {"password": "p", "username": "a:b"}, {"token": "t", "header": ""}],
    ids=str,
)
def test_a_source_without_protection_is_refused_at_start(options: dict[str, Any]):
    with pytest.raises(ValidationError):
        PostmarkOptions(**options)


# The map


def test_records_have_their_types_and_directions():
    results = {name: parse(value) for name, value in PAYLOADS.items()}
    assert {name: (touch.type, touch.direction) for name, touch in results.items()} == {
        "delivery": ("email_delivered", "outbound"),
        "bounce": ("email_bounced", "outbound"),
        "bounce_transient": ("email_deferred", "outbound"),
        "bounce_auto_responder": ("email_auto_replied", "inbound"),
        "spam_complaint": ("email_complained", "inbound"),
        "open": ("email_opened", "inbound"),
        "click": ("email_clicked", "inbound"),
        "unsubscribe": ("email_unsubscribed", "inbound"),
        "resubscribe": ("email_resubscribed", "inbound"),
        "suppressed": ("postmark_suppressed", "inbound"),
        "inbound": ("email_received", "inbound"),
    }
    assert {touch.channel for touch in results.values()} == {"email"}


def test_fields_of_a_record():
    delivery, bounce = parse(PAYLOADS["delivery"]), parse(PAYLOADS["bounce"])
    assert delivery.occurred_at == datetime(2026, 11, 20, 4, 0, 0, 907_025, tzinfo=UTC)
    assert [(i.kind, i.value) for i in delivery.identifiers] == [("email", "hanako@example.com")]
    assert delivery.campaign.name == "welcome"
    assert delivery.properties["Details"] == "smtp;250 OK"
    assert bounce.event_id == "bounce:4323372036854775807"
    assert (bounce.outcome, bounce.subject) == ("hard_bounce", "Welcome")
    assert "Content" not in bounce.properties
    assert parse(PAYLOADS["click"]).url == "https://shop.example.com/boots"
    assert changed("bounce", Type="SoftBounce").outcome == "soft_bounce"
    assert changed("bounce", Type="Unsubscribe").type == "email_unsubscribed"
    assert parse(PAYLOADS["bounce_auto_responder"]).type not in ("email_bounced", "email_opened")


def test_a_record_without_id_has_one_of_what_tells_it_apart():
    first = parse(PAYLOADS["click"]).event_id
    assert changed("click", Geo=None, UserAgent="other").event_id == first
    for change in (
        {"Recipient": "b@example.com"},
        {"OriginalLink": "https://shop.example.com/else"},
        {"ReceivedAt": "2026-11-20T05:00:00Z"},
        {"MessageID": "another"},
        {"RecordType": "Open"},
    ):
        assert changed("click", **change).event_id != first, change


@pytest.mark.parametrize(
    "change",
    [
        {"MessageStream": "broadcast-2"},
        {"SuppressSending": False},
        {"SuppressionReason": "SpamComplaint"},
        {"Origin": "Admin"},
        {"Recipient": "other@example.com"},
    ],
    ids=str,
)
def test_no_decision_of_one_second_is_taken_for_a_redelivery_of_another(change: dict[str, Any]):
    first = changed("unsubscribe", MessageID=None)
    assert changed("unsubscribe", MessageID=None).event_id == first.event_id
    assert changed("unsubscribe", MessageID=None, Tag="x").event_id == first.event_id
    assert changed("unsubscribe", MessageID=None, **change).event_id != first.event_id


def test_bounces_of_one_second_without_ids_differ_by_their_type():
    hard = changed("bounce", ID=None)
    assert changed("bounce", ID=None, Type="Transient").event_id != hard.event_id


def test_of_an_incoming_message_the_customer_is_the_sender():
    touch = parse(PAYLOADS["inbound"])
    assert [(i.kind, i.value) for i in touch.identifiers] == [("email", "taro@example.com")]
    assert touch.event_id == "73e6d360-66eb-11e1-8e72-a8904824019b"
    assert touch.occurred_at == datetime(2026, 11, 20, 4, 0, 10, tzinfo=UTC)
    assert touch.subject == "Re: 在庫はありますか？"
    assert touch.properties["text"] == "はい、お願いします。"
    assert touch.properties["MailboxHash"] == "order7"
    assert touch.properties["attachments"] == [
        {"Name": "list.txt", "ContentType": "text/plain", "ContentLength": 8}
    ]
    assert "dGhlIGxpc3Q=" not in touch.model_dump_json()
    assert changed("inbound", RecordType="Inbound").type == "email_received"
    long = changed("inbound", StrippedTextReply="長" * 100_000)
    assert len(long.properties["text"]) == TEXT_LENGTH


@pytest.mark.parametrize(
    "date",
    [
        "",
        "yesterday",
        "Fri, 20 Nov 9999 13:00:10 +0900",
        "Fri, 20 Nov 1950 13:00:10 +0900",
        5,
        None,
        SOON,
    ],
)
def test_a_sender_whose_clock_is_wrong_costs_no_message(date: Any):
    assert changed("inbound", Date=date).occurred_at is None
    assert changed("inbound", Date="Fri, 20 Nov 2026 04:00:10").occurred_at.tzinfo is not None


def test_decisions_of_the_customer_are_consent():
    streams = {"broadcast": "newsletter"}
    assert parse(PAYLOADS["unsubscribe"]).consent == {"marketing": False}
    assert parse(PAYLOADS["unsubscribe"], streams=streams).consent == {"newsletter": False}
    assert parse(PAYLOADS["spam_complaint"], streams=streams).consent == {"marketing": False}
    assert parse(PAYLOADS["resubscribe"]).consent == {"marketing": True}
    assert changed("unsubscribe", SuppressionReason="SpamComplaint").consent == {"marketing": False}
    for name in ("suppressed", "bounce", "open"):
        assert parse(PAYLOADS[name]).consent == {}


@pytest.mark.parametrize("reason", ["ManualSuppression", "SpamComplaint"])
def test_a_suppression_by_staff_withdraws_no_consent(reason: str):
    touch = changed("unsubscribe", Origin="Admin", SuppressionReason=reason)
    assert (touch.type, touch.consent) == ("postmark_suppressed", {})
    for origin in ("Recipient", "Customer"):
        touch = changed("unsubscribe", Origin=origin, SuppressionReason=reason)
        assert (touch.type, touch.consent) == ("email_unsubscribed", {"marketing": False})


@pytest.mark.parametrize("origin", ["Customer", "Admin", None])
def test_a_suppression_that_the_company_lifts_is_no_consent(origin: str):
    touch = changed("resubscribe", Origin=origin)
    assert (touch.type, touch.consent) == ("email_resubscribed", {})


def test_metadata_is_the_customer_only_if_told_so():
    assert [i.kind for i in parse(PAYLOADS["open"]).identifiers] == ["email"]
    touch = parse(PAYLOADS["open"], customer_id_metadata="customer")
    assert [(i.kind, i.value) for i in touch.identifiers] == [
        ("customer_id", "C-42"),
        ("email", "hanako@example.com"),
    ]


def test_a_record_of_tomorrow_is_kept_under_its_name():
    assert changed("open", RecordType="OwlReading").type == "postmark_owl_reading"
    assert changed("bounce", Type="Owl").type == "postmark_owl"
    assert changed("bounce", RecordType="OwlBounce").identifiers[0].value == "gone@example.com"


# Bad data


@pytest.mark.parametrize(
    ("name", "change", "named"),
    [
        ("open", {"RecordType": 5}, "RecordType"),
        ("open", {"RecordType": None}, "RecordType"),
        ("open", {"RecordType": "e" * 500}, "RecordType"),
        ("open", {"Recipient": {}}, "Recipient"),
        ("open", {"ReceivedAt": "yesterday"}, "ReceivedAt"),
        ("open", {"ReceivedAt": 5}, "ReceivedAt"),
        ("click", {"OriginalLink": []}, "OriginalLink"),
        ("bounce", {"ID": []}, "ID"),
        ("bounce", {"Type": 1}, "Type"),
        ("resubscribe", {"SuppressSending": "no"}, "SuppressSending"),
        ("inbound", {"FromFull": "taro@example.com"}, "FromFull"),
        ("inbound", {"MessageID": None}, "MessageID"),
        ("inbound", {"Attachments": {}}, "Attachments"),
    ],
    ids=str,
)
def test_a_wrong_record_is_refused(name: str, change: dict[str, Any], named: str):
    refused = changed(name, **change)
    assert isinstance(refused, Rejection)
    assert refused.detail.startswith(f"{named}: ")
    assert json.loads(refused.payload) == {**PAYLOADS[name], **change}


def test_a_record_of_nobody():
    refused = changed("open", Recipient="")
    assert (refused.reason, refused.detail) == ("no_identifier", "Recipient: is missing")
    assert changed("inbound", FromFull={}).reason == "no_identifier"
