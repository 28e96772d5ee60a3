"""Mailgun's webhooks: signature and events."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest
from mailgun.security import SecurityGuard

from ingest.connector import Context, Request, TokenConnector, original
from ingest.connectors.mailgun.connector import Mailgun, MailgunOptions
from ingest.connectors.mailgun.contract import NOW, TOKEN, MailgunContract, signature
from ingest.testing.values import RECEIVED_MS, posted
from schemas.rejection import Rejection
from schemas.times import DAY_MS
from schemas.touchpoint import Touchpoint

PAYLOADS = MailgunContract.payloads


def signed(value: Any, key: str = "k", **changes: Any) -> Request:
    return posted(json.dumps({**value, "signature": {**signature(key), **changes}}).encode())


def connector(**options: Any) -> Mailgun:
    return Mailgun(MailgunOptions(**{"signing_key": "k", **options}))


def parse(value: Any, **options: Any) -> Any:
    (result,) = connector(**options).parse(signed(value), Context("mailgun", RECEIVED_MS))
    return result


def one(options: dict[str, Any] | None = None, /, **event: Any) -> Any:
    given = {"event": "opened", "id": "e", "timestamp": 1795147200.5, "recipient": "a@example.com"}
    return parse({"event-data": {**given, **event}}, **(options or {}))


class TestMailgun(MailgunContract):
    pass


# The signature


def test_mailguns_own_library_agrees():
    for name, key in (("k", "k"), ("other", "k"), ("k", "other")):
        shown = signature(name)
        ours = connector(signing_key=key).verify(signed({"event-data": {}}, name), RECEIVED_MS)
        theirs = SecurityGuard.verify_webhook(key, **shown, max_age_seconds=0)
        assert ours == theirs == (name == key)
    for changes in ({"token": TOKEN[::-1]}, {"timestamp": str(int(NOW) - 1)}):
        shown = {**signature("k"), **changes}
        assert not SecurityGuard.verify_webhook("k", **shown, max_age_seconds=0)
        assert not connector().verify(signed({"event-data": {}}, **changes), RECEIVED_MS)


def test_an_event_of_a_subaccount_is_signed_by_the_account_above_it_too():
    both = {**signature("of the subaccount"), "parent-signature": signature("k")["signature"]}
    assert connector().verify(signed({"event-data": {}}, **both), RECEIVED_MS)
    assert not connector(signing_key="x").verify(signed({"event-data": {}}, **both), RECEIVED_MS)


def test_the_timestamp_may_be_a_number():
    shown = signature("k")
    assert connector().verify(signed({}, timestamp=int(shown["timestamp"])), RECEIVED_MS)


def test_a_signature_may_be_three_days_old():
    for age_ms, valid in (
        (0, True),
        (3 * DAY_MS, True),
        (3 * DAY_MS + 1000, False),
        (-4 * DAY_MS, False),
    ):
        shown = signature("k", timestamp=str((RECEIVED_MS - age_ms) // 1000))
        assert connector().verify(signed({}, **shown), RECEIVED_MS) is valid


@pytest.mark.parametrize("timestamp", ["", "now", "-5", "１７９５", "1" * 40, "1795147200.5"])
def test_a_strange_timestamp_is_refused(timestamp: str):
    shown = signature("k", timestamp=timestamp)
    assert not connector().verify(signed({}, **shown), RECEIVED_MS)


# The token


def test_a_redelivery_uses_its_token_for_the_same_event():
    assert isinstance(connector(), TokenConnector)
    value = PAYLOADS["clicked"]
    turned = {"event-data": dict(reversed(value["event-data"].items()))}
    first = connector().token_use(signed(value))
    assert first.token == TOKEN.encode()
    assert connector().token_use(signed(turned, **signature("k", timestamp="1"))) == first
    written = posted(json.dumps(json.loads(signed(value).body), indent=2).encode())
    assert connector().token_use(written) == first


def test_any_other_event_is_another_use_of_the_token():
    value = PAYLOADS["clicked"]["event-data"]
    first = connector().token_use(signed({"event-data": value}))
    for change in ({"recipient": "b@example.com"}, {"url": "https://else.example.com"}, {"x": 1}):
        other = connector().token_use(signed({"event-data": {**value, **change}}))
        assert (other.token, other.event != first.event) == (first.token, True)
    assert connector().token_use(signed({"event-data": value}, token="t")).token == b"t"
    assert connector().token_use(posted(b"[" * 100_000)).token == b""


# The map


def test_events_have_their_types_and_directions():
    results = {name: parse(value) for name, value in PAYLOADS.items()}
    assert {name: (touch.type, touch.direction) for name, touch in results.items()} == {
        "accepted": ("email_processed", "outbound"),
        "delivered": ("email_delivered", "outbound"),
        "failed_permanent": ("email_bounced", "outbound"),
        "failed_temporary": ("email_deferred", "outbound"),
        "failed_suppressed": ("email_dropped", "outbound"),
        "rejected": ("email_dropped", "outbound"),
        "opened": ("email_opened", "inbound"),
        "clicked": ("email_clicked", "inbound"),
        "unsubscribed": ("email_unsubscribed", "inbound"),
        "unsubscribed_list": ("email_unsubscribed", "inbound"),
        "complained": ("email_complained", "inbound"),
        "received": ("email_received", "inbound"),
    }
    assert {touch.channel for touch in results.values()} == {"email"}


def test_fields_of_an_event():
    touch = parse(PAYLOADS["delivered"])
    assert touch.event_id == "CPgfbmQMTCKtHW6uIWtuV1:1795147201"
    assert touch.occurred_at == datetime(2026, 11, 20, 4, 0, 1, 251_000, tzinfo=UTC)
    assert [(i.kind, i.value) for i in touch.identifiers] == [("email", "hanako@example.com")]
    assert (touch.campaign.name, touch.subject) == ("autumn sale", "Autumn sale")
    assert touch.properties["message_id"].startswith("20261120040000.1.8C4F@")
    assert touch.properties["delivery-status"]["code"] == 250
    assert touch.properties["user-variables"] == {"customer": "C-42"}
    assert "message" not in touch.properties
    assert parse(PAYLOADS["clicked"]).url == "https://shop.example.com/boots"
    assert parse(PAYLOADS["failed_suppressed"]).outcome == "suppress-bounce"


def test_a_subject_in_encoded_words_is_text():
    headers = {"subject": "=?UTF-8?B?5Zyo5bqr?= =?UTF-8?Q?_OK?=", "from": "t@example.com"}
    assert one(message={"headers": headers}).subject == "在庫 OK"
    routed = one(
        event="accepted",
        recipient="a@shop.example",
        flags={"is-routed": True},
        message={"headers": headers},
    )
    assert routed.subject == "在庫 OK"


def test_of_an_incoming_message_the_customer_is_the_sender():
    touch = parse(PAYLOADS["received"])
    assert [(i.kind, i.value) for i in touch.identifiers] == [("email", "taro@example.com")]
    assert touch.subject == "在庫はありますか？"
    routed = {"flags": {"is-routed": True}, "message": {"headers": {"from": "t@example.com"}}}
    later = one(event="delivered", recipient="support@shop.example.com", **routed)
    assert later.type == "mailgun_routed_delivered"
    assert [i.value for i in later.identifiers] == ["t@example.com"]
    nobody = one(event="stored", recipient="support@shop.example.com")
    assert (nobody.reason, nobody.detail) == (
        "no_identifier",
        "event-data.message.headers.from: is missing",
    )


@pytest.mark.parametrize("sender", ["a," * 200_000, "@" * 400_000, "(" * 2000, ":" * 2000])
def test_a_sender_that_is_no_address_is_nobody_and_soon_so(sender: str):
    message = {"headers": {"from": sender}}
    refused = one(event="accepted", flags={"is-routed": True}, message=message)
    assert isinstance(refused, Rejection)
    assert sender not in refused.detail


def test_decisions_are_consent():
    lists = {"weekly@mail.shop.example.com": "newsletter"}
    assert parse(PAYLOADS["unsubscribed"], lists=lists).consent == {"marketing": False}
    assert parse(PAYLOADS["unsubscribed_list"], lists=lists).consent == {"newsletter": False}
    assert parse(PAYLOADS["unsubscribed_list"]).consent == {"marketing": False}
    assert parse(PAYLOADS["complained"]).consent == {"marketing": False}
    assert parse(PAYLOADS["opened"]).consent == {}


def test_a_user_variable_is_the_customer_only_if_told_so():
    assert [i.kind for i in parse(PAYLOADS["opened"]).identifiers] == ["email"]
    touch = parse(PAYLOADS["opened"], customer_id_variable="customer")
    assert [(i.kind, i.value) for i in touch.identifiers] == [
        ("customer_id", "C-42"),
        ("email", "hanako@example.com"),
    ]


def test_an_event_of_tomorrow_is_kept_under_its_name():
    assert one(event="list_member_uploaded").type == "mailgun_list_member_uploaded"


# Bad data


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"event": 5}, "event"),
        ({"event": None}, "event"),
        ({"recipient": {}}, "recipient"),
        ({"timestamp": "1795147200"}, "timestamp"),
        ({"timestamp": 1795147200000}, "timestamp"),
        ({"id": None}, "id"),
        ({"id": []}, "id"),
        ({"id": "x" * 600}, "id"),
        ({"url": 5}, "url"),
        ({"message": ["x"]}, "message"),
        ({"message": {"headers": {"subject": []}}}, "message.headers.subject"),
        ({"flags": 1}, "flags"),
        ({"event": "e" * 500}, "event"),
    ],
    ids=str,
)
def test_a_wrong_event_is_refused(change: dict[str, Any], named: str):
    refused = one(**change)
    assert isinstance(refused, Rejection)
    assert refused.detail.startswith(f"event-data.{named}: ")


def test_what_is_kept_of_an_event_is_without_its_signature():
    refused = one(recipient=None)
    assert refused.reason == "no_identifier"
    assert json.loads(refused.payload)["event"] == "opened"
    assert b"signature" not in refused.payload
    accepted = parse(PAYLOADS["opened"])
    assert isinstance(accepted, Touchpoint)
    assert json.loads(original(accepted)) == PAYLOADS["opened"]["event-data"]


@pytest.mark.parametrize("value", [{}, {"event-data": None}, {"event-data": []}])
def test_a_request_without_an_event_is_unreadable(value: Any):
    refused = parse(value)
    assert (refused.reason, refused.detail) == ("unreadable", "event-data: must be an object")
