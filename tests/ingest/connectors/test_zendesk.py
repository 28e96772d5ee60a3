"""Zendesk's event webhooks: signature and events."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest

from ingest.connector import Context
from ingest.connectors.zendesk.connector import TIMESTAMP, Zendesk, ZendeskOptions
from ingest.connectors.zendesk.contract import NOW, ZendeskContract, signed
from ingest.testing.values import RECEIVED_MS
from schemas.rejection import Rejection
from schemas.times import DAY_MS, rfc3339
from schemas.touchpoint import Touchpoint

PAYLOADS = ZendeskContract.payloads
REQUESTER = ("zendesk", "8447388090494")
TICKET = ("anonymous_id", "zendesk-22129848-ticket-5158")
CHAT = ("anonymous_id", "zendesk-22129848-ticket-141")


def connector(**options: Any) -> Zendesk:
    return Zendesk(ZendeskOptions(**{"signing_secret": "s", **options}))


def parse(body: Any) -> Any:
    request = signed(json.dumps(body).encode())
    (result,) = connector().parse(request, Context("help", RECEIVED_MS))
    return result


def sample(name: str, detail: dict[str, Any] | None = None, **event: Any) -> Any:
    """A payload's touchpoint, with fields of its detail and its event changed."""
    body = PAYLOADS[name.replace(".", "_")]
    changes = {"detail": {**body["detail"], **(detail or {})}, "event": {**body["event"], **event}}
    return parse({**body, **changes})


def kinds(touch: Touchpoint) -> set[tuple[str, str]]:
    return {(i.kind, i.value) for i in touch.identifiers}


class TestZendesk(ZendeskContract):
    pass


# The signature


def test_a_signature_may_be_three_days_old():
    for age_ms, valid in (
        (0, True),
        (3 * DAY_MS, True),
        (3 * DAY_MS + 1000, False),
        (-4 * DAY_MS, False),
    ):
        request = signed(b"{}", timestamp=rfc3339(RECEIVED_MS - age_ms))
        assert connector().verify(request, RECEIVED_MS) is valid
    old = signed(b"{}", timestamp=rfc3339(RECEIVED_MS - 600_000))
    assert not connector(max_age_days=0.005).verify(old, RECEIVED_MS)


def test_the_timestamp_is_signed():
    request = signed(b"{}", timestamp=NOW)
    later = {**request.headers, TIMESTAMP: NOW.replace("08", "09")}
    assert not connector().verify(request._replace(headers=later), RECEIVED_MS)


@pytest.mark.parametrize(
    "timestamp", ["", "now", "1795147200", "２０２６-11-20T04:00:00Z", "9" * 40]
)
def test_a_strange_timestamp_is_refused(timestamp: str):
    assert not connector().verify(signed(b"{}", timestamp=timestamp), RECEIVED_MS)


# The map


@pytest.mark.parametrize(
    ("name", "kind", "direction", "outcome"),
    [
        ("ticket.created", "ticket_created", "inbound", None),
        ("ticket.comment_added.by_customer", "message_received", "inbound", None),
        ("ticket.comment_added.by_agent", "message_sent", "outbound", None),
        ("ticket.comment_added.note", "zendesk_ticket_comment_added", "inbound", None),
        ("ticket.status_changed.solved", "ticket_solved", "inbound", "solved"),
        ("ticket.status_changed.pending", "zendesk_ticket_status_changed", "inbound", "pending"),
        ("ticket.priority_changed", "zendesk_ticket_priority_changed", "inbound", None),
        ("messaging_ticket.message_added.by_customer", "message_received", "inbound", None),
        ("messaging_ticket.message_added.by_system", "message_sent", "outbound", None),
        ("user.created", "contact_created", "inbound", None),
        ("user.name_changed", "zendesk_user_name_changed", "inbound", None),
        ("user.merged", "contact_merged", "inbound", None),
    ],
)
def test_events_have_their_types(name: str, kind: str, direction: str, outcome: str | None):
    touch = sample(name)
    assert (touch.channel, touch.type, touch.direction, touch.outcome) == (
        "chat",
        kind,
        direction,
        outcome,
    )


def test_fields_of_a_comment():
    touch = sample("ticket.comment_added.by_customer")
    assert touch.event_id == "d4f5c389-8f4a-4c2e-a1b9-8e4f39c71d02"
    assert touch.occurred_at == datetime(2026, 11, 20, 4, 0, 2, 123_456, tzinfo=UTC)
    assert touch.subject == "Size 42, please"
    assert touch.properties["priority"] == "HIGH"
    assert touch.properties["event"]["comment"]["id"] == "9876543210"
    assert sample("ticket.created").subject == "サイズ違い"


def test_the_customer_of_a_ticket_is_its_requester():
    for name in PAYLOADS:
        if name.startswith("ticket"):
            assert kinds(parse(PAYLOADS[name])) == {REQUESTER, TICKET}, name


def test_a_ticket_that_an_agent_opened_for_the_customer_is_outbound():
    touch = sample("ticket.created", {"submitter_id": "8447388090495"})
    assert touch.direction == "outbound"
    assert kinds(touch) == {REQUESTER, TICKET}


def test_somebody_in_copy_is_another_person():
    author = {"id": "77", "is_staff": False}
    comment = {"id": "1", "body": "me too", "is_public": True, "author": author}
    assert kinds(sample("ticket.comment_added.by_customer", comment=comment)) == {("zendesk", "77")}


def test_what_is_said_in_messaging_is_said_to_the_customer_of_the_ticket():
    assert kinds(sample("messaging_ticket.message_added.by_customer")) == {REQUESTER, CHAT}
    assert kinds(sample("messaging_ticket.message_added.by_system")) == {CHAT}


def test_a_note_is_no_message():
    touch = sample("ticket.comment_added.note")
    assert touch.subject is None


def test_who_an_end_user_is():
    touch = sample("user.created")
    assert kinds(touch) == {
        ("customer_id", "C-42"),
        REQUESTER,
        ("email", "hanako@example.com"),
    }
    assert sample("user.name_changed").traits == {"name": "山田花子"}


@pytest.mark.parametrize("role", ["agent", "admin", "", None])
def test_an_agent_is_no_customer(role: str | None):
    refused = sample("user.created", {"role": role})
    assert isinstance(refused, Rejection)
    assert refused.reason == "no_identifier"


def test_both_spellings_of_the_type_are_read():
    body = {**PAYLOADS["user_created"], "type": "zen:event-type/user.identity_created"}
    assert parse(body).type == "zendesk_user_identity_created"


def test_an_event_without_id_gets_one_of_its_content():
    body = {**PAYLOADS["user_created"], "id": None}
    assert parse(body).event_id == parse(body).event_id
    assert parse(body).event_id != parse({**body, "account_id": 1}).event_id


# Bad data


@pytest.mark.parametrize(
    ("kind", "detail"),
    [
        ("article.published", {"id": "1", "brand_id": "2"}),
        ("organization.created", {"id": "1", "external_id": "2", "name": "Yamada KK"}),
        ("agent.state_changed", {"account_id": "1", "agent_id": "2"}),
        ("ticket.created", {}),
    ],
)
def test_what_tells_of_the_company_names_no_customer(kind: str, detail: dict[str, Any]):
    refused = parse({"type": f"zen:event-type:{kind}", "id": "e", "time": NOW, "detail": detail})
    assert isinstance(refused, Rejection)
    assert (refused.reason, refused.event_id) == ("no_identifier", "e")


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"type": None}, "type"),
        ({"type": "ticket.created"}, "type"),
        ({"type": "zen:event-type:"}, "type"),
        ({"id": []}, "id"),
        ({"time": "yesterday"}, "time"),
        ({"time": 5}, "time"),
        ({"account_id": []}, "account_id"),
        ({"detail": 5}, "detail"),
        ({"event": 5}, "event"),
        ({"event": {"comment": 5}}, "event.comment"),
        ({"event": {"comment": {"is_public": "yes"}}}, "event.comment.is_public"),
        ({"event": {"comment": {"author": {"is_staff": 1}}}}, "event.comment.author.is_staff"),
        ({"event": {"comment": {"body": 5}}}, "event.comment.body"),
    ],
    ids=str,
)
def test_a_wrong_event_is_refused(change: dict[str, Any], named: str):
    refused = parse({**PAYLOADS["ticket_comment_added_by_customer"], **change})
    assert isinstance(refused, Rejection)
    assert refused.detail.startswith(f"{named}: ")
