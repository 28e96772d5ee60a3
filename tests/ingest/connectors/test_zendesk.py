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
        ("ticket.csat_received", "conversation_rated", "inbound", None),
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


# Private comments


@pytest.mark.parametrize("kind", ["ticket.comment_added", "ticket.attachment_linked_to_comment"])
def test_a_private_comment_is_addressed_to_nobody(kind: str):
    body = PAYLOADS["ticket_comment_added_by_agent"]
    comment = {**body["event"]["comment"], "body": "is rude", "is_public": False}
    refused = parse({**body, "type": f"zen:event-type:{kind}", "event": {"comment": comment}})
    assert isinstance(refused, Rejection)
    assert refused.reason == "no_identifier"
    assert "private" in refused.detail
    assert "rude" not in refused.detail


@pytest.mark.parametrize("kind", ["comment_made_private", "comment_redacted", "soft_deleted"])
def test_what_was_taken_back_is_no_message(kind: str):
    body = {
        **PAYLOADS["ticket_comment_added_by_customer"],
        "type": f"zen:event-type:ticket.{kind}",
    }
    touch = parse(body)
    assert (touch.type, touch.subject) == (f"zendesk_ticket_{kind}", "サイズ違い")


def test_a_comment_in_html_is_a_text():
    written = {"id": "1", "is_public": True, "author": {"id": "8447388090494", "is_staff": False}}
    comment = {**written, "html_body": "<p>Size&nbsp;42 &amp;lt; <b>43</b></p><style>p{}</style>"}
    touch = sample("ticket.comment_added.by_customer", comment=comment)
    assert touch.subject == "Size 42 &lt; 43"


# Satisfaction


def rated(kind: str = "ticket.csat_received", **event: Any) -> Any:
    body = PAYLOADS["ticket_csat_received"]
    return parse({**body, "type": f"zen:event-type:{kind}", "event": event})


@pytest.mark.parametrize(
    ("score", "sentiment"),
    [
        ("GOOD", 1), ("good", 1), ("good_with_comment", 1), ("BAD", -1), ("bad_with_comment", -1),
        (1, -1), (2, -0.5), (3, 0), ("4", 0.5), (5, 1),
    ],
)  # fmt: skip
def test_satisfaction_is_sentiment(score: object, sentiment: float):
    for event in (
        {"satisfaction_score": {"score": score}},
        {"satisfaction_rating": {"score": score, "comment": None}},
        {"satisfaction_score": score},
        {"current": score, "previous": "OFFERED"},
        {"rating": {"value": score}},
    ):
        touch = rated(**event)
        assert (touch.type, touch.sentiment) == ("conversation_rated", sentiment)
    assert rated("ticket.satisfaction_score_changed", current=score).sentiment == sentiment


def test_the_comment_of_a_rating_is_its_subject():
    touch = sample("ticket.csat_received")
    assert (touch.subject, kinds(touch)) == ("quick & kind", {REQUESTER, TICKET})


@pytest.mark.parametrize("score", ["OFFERED", "unoffered", None, {}, [], 7, "great"])
def test_what_is_no_rating_is_no_sentiment(score: object):
    touch = rated(satisfaction_score={"score": score})
    assert (touch.type, touch.sentiment) == ("zendesk_ticket_csat_received", None)


def test_a_survey_that_is_offered_is_no_rating():
    touch = rated("ticket.csat_requested")
    assert (touch.type, touch.direction) == ("zendesk_ticket_csat_requested", "outbound")
    assert touch.sentiment is None


# Ids that are one person


def test_the_two_ids_of_merged_users_are_one_person():
    merged = ("zendesk", "6596848315901")
    known = {("customer_id", "C-42"), REQUESTER, merged, ("email", "hanako@example.com")}
    assert kinds(sample("user.merged")) == known


@pytest.mark.parametrize(
    ("kind", "identity", "gained"),
    [
        ("created", {"type": "email", "value": "h@example.com"}, ("email", "h@example.com")),
        ("created", {"type": "phone_number", "value": "+819012345678"}, ("phone", "+819012345678")),
        ("changed", {"type": "google", "value": "h@example.com"}, ("email", "h@example.com")),
        ("created", {"type": "facebook", "value": "1"}, None),
        ("deleted", {"type": "email", "value": "h@example.com"}, None),
    ],
)
def test_an_identity_that_is_gained_is_the_users(
    kind: str, identity: dict[str, str], gained: tuple[str, str] | None
):
    body = {**PAYLOADS["user_created"], "type": f"zen:event-type/user.identity_{kind}"}
    former = {"type": "email", "value": "former@example.com"}
    known = {("customer_id", "C-42"), REQUESTER, ("email", "hanako@example.com")}
    for field in ("identity", "current"):
        touch = parse({**body, "event": {field: identity, "previous": former}})
        assert kinds(touch) == known | ({gained} if gained else set())
        assert touch.type == f"zendesk_user_identity_{kind}"
    agent = {**body, "detail": {**body["detail"], "role": "agent"}}
    assert parse({**agent, "event": {"identity": identity}}).reason == "no_identifier"


def test_a_ticket_of_an_agent_is_nobodys():
    author = {"id": "8447388090494", "is_staff": True}
    comment = {"id": "1", "body": "done", "is_public": True, "author": author}
    refused = sample("ticket.comment_added.by_agent", comment=comment)
    assert refused.reason == "no_identifier"
    assigned = {"requester_id": "8447388090495"}
    assert sample("ticket.priority_changed", assigned).reason == "no_identifier"
    customer = {"id": "77", "is_staff": False}
    copied = sample("ticket.comment_added.by_customer", assigned, comment={"author": customer})
    assert kinds(copied) == {("zendesk", "77")}


def test_a_suspension_by_the_company_is_no_decision():
    body = {**PAYLOADS["user_created"], "type": "zen:event-type:user.suspended_changed"}
    touch = parse({**body, "event": {"current": True, "previous": False}})
    assert touch.consent == {}


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
