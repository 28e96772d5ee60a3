"""Intercom's webhooks: signature and notifications."""

from __future__ import annotations

import copy
import json
from datetime import UTC, datetime
from typing import Any

import pytest

from ingest.connector import Context, Request
from ingest.connectors.intercom.connector import SIGNATURE, Intercom, IntercomOptions
from ingest.connectors.intercom.contract import IntercomContract, signed
from ingest.testing.values import RECEIVED_MS, URL
from schemas.rejection import Rejection
from schemas.touchpoint import Touchpoint

PAYLOADS = IntercomContract.payloads
OWN = ("customer_id", "C-42")
CONTACT = ("intercom", "6961d897719c606240178da8")
LEAD = ("intercom", "5c9553cb27e377f24eed49f7")
EMAIL = ("email", "hanako@example.com")
PHONE = ("phone", "+819012345678")


def connector(*secrets: str, **options: Any) -> Intercom:
    return Intercom(IntercomOptions(client_secret=secrets or ("s",), **options))


def parse(body: Any, **options: Any) -> list[Any]:
    request = signed(json.dumps(body).encode())
    return list(connector(**options).parse(request, Context("chat", RECEIVED_MS)))


def one(body: Any, **options: Any) -> Any:
    (result,) = parse(body, **options)
    return result


def sample(name: str, **changes: Any) -> Any:
    """A payload's touchpoint, with fields of its item changed."""
    body = PAYLOADS[name.replace(".", "_")]
    return one({**body, "data": {**body["data"], "item": {**body["data"]["item"], **changes}}})


def kinds(touch: Touchpoint) -> set[tuple[str, str]]:
    return {(i.kind, i.value) for i in touch.identifiers}


def told(topic: str, item: dict[str, Any]) -> Any:
    return one({"topic": topic, "id": "notif_1", "created_at": 1795147300, "data": {"item": item}})


class TestIntercom(IntercomContract):
    pass


# The signature


def test_the_signature_is_that_of_rfc_2202():
    """Intercom brings no library that checks it; these are the RFC's own bytes."""
    headers = {SIGNATURE: "sha1=effcdf6ae5eb2fa2d27416d5f184df9c259a7c79"}
    body = b"what do ya want for nothing?"
    request = Request("POST", "/hooks/chat", "", URL + "/hooks/chat", headers, body)
    assert connector("Jefe").verify(request, RECEIVED_MS)
    assert not connector("jefe").verify(request, RECEIVED_MS)


@pytest.mark.parametrize("prefix", ["", "sha256=", "SHA1=", "sha1:", "sha1=sha1="])
def test_the_algorithm_is_named(prefix: str):
    request = signed(b"{}")
    digest = request.headers[SIGNATURE].removeprefix("sha1=")
    assert not connector().verify(
        request._replace(headers={SIGNATURE: prefix + digest}), RECEIVED_MS
    )


def test_the_address_answers_when_intercom_asks_for_it():
    reply = connector().handshake(Request("HEAD", "/hooks/chat", "", URL, {}, b""))
    assert (reply.status, reply.body) == (200, b"")


def test_a_ping_tells_of_nobody():
    ping = {"topic": "ping", "id": None, "data": {"item": {"type": "ping", "message": "interzen"}}}
    assert parse(ping) == []


# The map


@pytest.mark.parametrize(
    ("name", "channel", "kind", "direction"),
    [
        ("conversation.user.created", "chat", "conversation_started", "inbound"),
        ("conversation.user.replied", "chat", "message_received", "inbound"),
        ("conversation.admin.replied", "chat", "message_sent", "outbound"),
        ("conversation.admin.closed", "chat", "conversation_closed", "inbound"),
        ("conversation.rating.added", "chat", "conversation_rated", "inbound"),
        ("ticket.contact.replied", "chat", "message_received", "inbound"),
        ("contact.user.created", "chat", "contact_created", "inbound"),
        ("contact.lead.created", "chat", "contact_created", "inbound"),
        ("contact.email.updated", "chat", "contact_email_updated", "inbound"),
        ("contact.user.tag.created", "chat", "contact_tagged", "inbound"),
        ("contact.deleted", "chat", "contact_deleted", "inbound"),
        ("contact.unsubscribed", "email", "email_unsubscribed", "inbound"),
        ("contact.subscribed", "email", "email_subscribed", "inbound"),
        ("granular.unsubscribe", "email", "email_unsubscribed", "inbound"),
        ("company.contact.attached", "chat", "intercom_company_contact_attached", "inbound"),
        ("version.1.user.unsubscribed", "email", "email_unsubscribed", "inbound"),
        ("version.1.conversation.user.replied", "chat", "message_received", "inbound"),
    ],
)
def test_topics_have_their_types(name: str, channel: str, kind: str, direction: str):
    touch = sample(name)
    assert (touch.channel, touch.type, touch.direction) == (channel, kind, direction)


def test_fields_of_a_reply():
    touch = sample("conversation.user.replied")
    assert touch.event_id == "notif_723cd050-01bf-487f-b32d-c2bd0f618002"
    assert touch.occurred_at == datetime(2026, 11, 20, 4, 0, 2, tzinfo=UTC)
    assert kinds(touch) == {CONTACT, EMAIL}
    assert touch.subject == "Size 42, please & thank you"
    assert touch.properties["text"] == "<p>Size 42, please &amp; thank you</p>"
    assert touch.properties["author_type"] == "user"
    assert touch.properties["id"] == "21322009097"
    assert touch.traits == {"name": "Hanako Yamada"}
    started = sample("conversation.user.created")
    assert started.subject == "在庫は ありますか ？"


def test_who_the_customer_is():
    assert kinds(sample("contact.user.created")) == {OWN, CONTACT, EMAIL, PHONE}
    assert kinds(sample("contact.user.tag.created")) == {OWN, CONTACT, EMAIL, PHONE}
    assert kinds(sample("contact.email.updated")) == {
        OWN,
        CONTACT,
        ("email", "hanako@new.example.com"),
        PHONE,
    }
    assert kinds(sample("contact.deleted")) == {CONTACT}
    assert kinds(sample("ticket.contact.replied")) == {CONTACT, EMAIL}
    assert kinds(sample("version.1.user.unsubscribed")) == {OWN, CONTACT, EMAIL}
    assert kinds(sample("version.1.conversation.user.replied")) == {
        LEAD,
        ("email", "visitor@example.com"),
    }


def test_a_lead_has_no_id_of_yours():
    assert kinds(sample("contact.lead.created")) == {LEAD, ("email", "visitor@example.com")}


def test_whoever_answers_is_not_the_customer():
    for name in ("conversation.admin.replied", "conversation.admin.closed"):
        assert kinds(sample(name)) == {CONTACT}


def test_two_customers_in_one_conversation_stay_two():
    both = [{"type": "contact", "id": "other"}, {"type": "contact", "id": CONTACT[1]}]
    contacts = {"type": "contact.list", "contacts": both}
    assert kinds(sample("conversation.user.replied", contacts=contacts)) == {CONTACT, EMAIL}
    replied = sample("conversation.admin.replied", contacts=contacts)
    assert kinds(replied) == {("intercom", "other")}


def test_decisions_are_consent():
    assert sample("contact.unsubscribed").consent == {"marketing": False}
    assert sample("contact.subscribed").consent == {"marketing": True}
    assert sample("version.1.user.unsubscribed").consent == {"marketing": False}
    assert sample("contact.user.created").consent == {}
    sms = {**PAYLOADS["contact_unsubscribed"], "topic": "contact.unsubscribed_from_sms"}
    assert (one(sms).type, one(sms).consent) == ("sms_unsubscribed", {"sms_marketing": False})


def test_a_subscription_may_have_a_purpose_of_its_own():
    body = PAYLOADS["granular_unsubscribe"]
    assert one(body).consent == {"marketing": False}
    assert one(body, subscriptions={1943066: "announcements"}).consent == {"announcements": False}
    subscribed = {**body, "topic": "granular.subscribe"}
    assert one(subscribed, subscriptions={1943066: "announcements"}).consent == {
        "announcements": True
    }


@pytest.mark.parametrize(("rating", "sentiment"), [(1, -1), (2, -0.5), (3, 0), (4, 0.5), (5, 1)])
def test_a_rating_is_sentiment(rating: int, sentiment: float):
    touch = sample("conversation.rating.added", conversation_rating={"rating": rating})
    assert touch.sentiment == sentiment


def test_a_topic_of_tomorrow_is_kept_under_its_name():
    body = {**PAYLOADS["contact_user_created"], "topic": "contact.dreamt.ofShop"}
    assert one(body).type == "intercom_contact_dreamt_of_shop"


def test_a_redelivery_is_the_same_event():
    body = {**PAYLOADS["contact_user_created"], "id": None}
    again = {**body, "delivery_attempts": 2, "delivered_at": 5, "first_sent_at": 1}
    assert one(body).event_id == one(again).event_id
    assert one(body).event_id != one({**body, "created_at": 1}).event_id


def test_a_long_message_is_whole_in_properties_and_short_in_the_subject():
    text = "<" * 300_000
    source = {"body": text, "author": {"type": "user", "id": CONTACT[1]}}
    touch = sample("conversation.user.created", source=source)
    assert touch.properties["text"] == text
    assert len(touch.subject) == 100


# Notes among colleagues


@pytest.mark.parametrize(
    "topic", ["conversation.admin.noted", "ticket.note.created", "conversation.admin.replied"]
)
def test_a_note_is_addressed_to_nobody(topic: str):
    body = copy.deepcopy(PAYLOADS["conversation_admin_replied"])
    (part,) = body["data"]["item"]["conversation_parts"]["conversation_parts"]
    part.update(part_type="note", body="<p>is rude</p>")
    refused = one({**body, "topic": topic})
    assert isinstance(refused, Rejection)
    assert refused.reason == "no_identifier"
    assert "a note among colleagues" in refused.detail
    assert "rude" not in refused.detail


def test_a_note_within_another_topic_is_not_its_subject():
    body = copy.deepcopy(PAYLOADS["conversation_admin_replied"])
    (part,) = body["data"]["item"]["conversation_parts"]["conversation_parts"]
    part.update(part_type="note", body="<p>is rude</p>")
    touch = one({**body, "topic": "conversation.admin.assigned"})
    assert (touch.type, touch.subject) == ("intercom_conversation_admin_assigned", None)
    assert "text" not in touch.properties


# Ids that are one person


@pytest.mark.parametrize(
    ("topic", "other"),
    [
        ("contact.merged", {"merged_from": {"type": "contact", "id": LEAD[1]}}),
        ("contact.lead.signed_up", {"lead": {"type": "lead", "id": LEAD[1], "user_id": "made-up"}}),
        ("contact.signed_up", {"contact": {"type": "contact", "id": LEAD[1]}}),
        ("visitor.signed_up", {"visitor": {"type": "visitor", "id": LEAD[1]}}),
    ],
)
def test_the_two_ids_of_one_person_are_joined(topic: str, other: dict[str, Any]):
    body = copy.deepcopy(PAYLOADS["contact_user_created"])
    body["data"]["item"].update(other)
    assert kinds(one({**body, "topic": topic})) == {OWN, CONTACT, LEAD, EMAIL, PHONE}
    unrelated = one({**body, "topic": "contact.user.updated"})
    assert kinds(unrelated) == {OWN, CONTACT, EMAIL, PHONE}


# Ids in another place


def test_a_rating_is_of_whoever_gave_it():
    rating = {"rating": 2, "contact": {"type": "contact", "id": "second"}}
    touch = sample("conversation.rating.added", conversation_rating=rating)
    assert kinds(touch) == {("intercom", "second")}


@pytest.mark.parametrize(
    ("item", "known"),
    [
        (
            {"intercom_user_id": CONTACT[1], "email": EMAIL[1], "user_id": "made-up"},
            {CONTACT, EMAIL},
        ),
        ({"user_id": "C-42"}, {OWN}),
    ],
)
def test_a_data_event_names_its_contact(item: dict[str, Any], known: set[tuple[str, str]]):
    touch = told("event.created", {"type": "event", "event_name": "placed-order", **item})
    assert (touch.type, kinds(touch)) == ("intercom_event_created", known)


@pytest.mark.parametrize(
    ("change", "kind", "outcome", "duration"),
    [
        ({}, "call_completed", "answered", 90),
        ({"answered_at": "2026-11-20T04:00:10Z"}, "call_completed", "answered", 90),
        ({"ended_at": "later"}, "call_completed", "answered", None),
        ({"answered_at": None, "ended_reason": "voicemail"}, "call_missed", "voicemail", None),
        ({"answered_at": None, "ended_reason": "gone"}, "call_missed", "no_answer", None),
    ],
)
def test_a_call_is_one_by_phone(
    change: dict[str, Any], kind: str, outcome: str, duration: float | None
):
    call = {
        "type": "call", "id": "123", "contact_id": CONTACT[1], "admin_id": "789",
        "state": "completed", "ended_reason": "completed", "direction": "outbound",
        "answered_at": 1795147210, "ended_at": 1795147300, "phone": PHONE[1], **change,
    }  # fmt: skip
    touch = told("call.ended", call)
    assert (touch.channel, touch.type, touch.direction) == ("phone", kind, "outbound")
    assert (touch.outcome, touch.duration_s) == (outcome, duration)
    assert kinds(touch) == {CONTACT, PHONE}
    started = told("call.started", {**call, "direction": "inbound"})
    assert (started.channel, started.type) == ("phone", "intercom_call_started")
    assert started.direction == "inbound"


@pytest.mark.parametrize("company", ["admin", "bot", "team"])
def test_whoever_works_for_the_company_is_no_customer(company: str):
    own = {"type": company, "id": "1957471", "email": "cordelia@company.example"}
    contacts = {"contacts": [own]}
    for item in ({"contact": own}, {"user": own}, {"contacts": contacts}, own):
        refused = told("conversation.priority.updated", item)
        assert refused.reason == "no_identifier"


def test_an_admin_who_is_a_contact_too_is_no_customer():
    for changes in ({"id": "1957471"}, {"email": "cordelia@company.example"}):
        contact = {"type": "contact", "id": CONTACT[1], **changes}
        refused = sample("conversation.admin.replied", contacts={"contacts": [contact]})
        assert refused.reason == "no_identifier"
    own_id = {"type": "contact", "id": CONTACT[1], "external_id": "1957471", "role": "user"}
    touch = sample("conversation.admin.replied", contacts={"contacts": [own_id]})
    assert kinds(touch) == {CONTACT, ("customer_id", "1957471")}, "an id of yours is another kind"


# Taken back, repeated


def test_what_was_taken_back_is_no_subject():
    body = copy.deepcopy(PAYLOADS["conversation_user_replied"])
    (part,) = body["data"]["item"]["conversation_parts"]["conversation_parts"]
    part.update(redacted=True, body="<p>This message was deleted</p>")
    touch = one({**body, "topic": "conversation_part.redacted"})
    assert (touch.type, touch.subject) == ("intercom_conversation_part_redacted", None)


def test_a_rating_that_was_taken_back_is_no_sentiment():
    assert (
        sample("conversation.rating.added", conversation_rating={"rating": None}).sentiment is None
    )
    assert sample("conversation.rating.added", conversation_rating=None).sentiment is None


@pytest.mark.parametrize(
    "topic", ["conversation.admin.replied.translated", "ticket.admin.replied.translated"]
)
def test_the_translation_of_a_reply_is_no_further_message(topic: str):
    touch = one({**PAYLOADS["conversation_admin_replied"], "topic": topic})
    assert touch.direction == "outbound"
    assert touch.type.startswith("intercom_")


@pytest.mark.parametrize(
    "item",
    [
        {"ticket": {"conversation_rating": {"rating": 4}}},
        {"ticket_rating": {"rating": "4"}},
        {"ticket": {"rating": 4}},
        {"rating": 4},
    ],
)
def test_the_rating_of_a_ticket_is_sentiment_too(item: dict[str, Any]):
    contact = {"type": "contact", "id": CONTACT[1]}
    touch = told("ticket.rating.provided", {**item, "contact": contact})
    assert (touch.type, touch.sentiment) == ("conversation_rated", 0.5)


# Decisions


@pytest.mark.parametrize(
    ("topic", "stat", "channel", "kind", "consent"),
    [
        ("email", "unsubscribe", "email", "email_unsubscribed", {"marketing": False}),
        ("email", "spam_complaint", "email", "email_complained", {"marketing": False}),
        ("sms", "unsubscribe", "phone", "sms_unsubscribed", {"sms_marketing": False}),
        ("email", "click", "chat", "intercom_content_stat_email", {}),
    ],
)
def test_what_the_receiver_of_a_message_decided_is_consent(
    topic: str, stat: str, channel: str, kind: str, consent: dict[str, bool]
):
    contact = {"type": "contact", "id": CONTACT[1]}
    item = {"type": f"content_stat.{topic}", "content_stat": {"stat_type": stat}}
    touch = told(f"content_stat.{topic}", {**item, "contact": contact})
    assert (touch.channel, touch.type, touch.consent) == (channel, kind, consent)
    assert touch.direction == "inbound"


def test_what_was_sent_is_outbound():
    item = {"content_stat": {"stat_type": "receipt"}, "contact": {"id": CONTACT[1]}}
    assert told("content_stat.push", item).direction == "outbound"


def test_a_subscription_to_text_messages_is_one_of_sms():
    body = copy.deepcopy(PAYLOADS["granular_unsubscribe"])
    (subscription,) = body["data"]["item"]["subscription_types"]["data"]
    subscription["content_types"] = ["sms_message"]
    touch = one(body)
    assert (touch.type, touch.channel) == ("sms_unsubscribed", "phone")
    assert touch.consent == {"sms_marketing": False}
    assert one(body, subscriptions={1943066: "alerts"}).consent == {"alerts": False}


@pytest.mark.parametrize(
    ("given", "consent"),
    [
        ({"unsubscribed_from_emails": True}, {"marketing": False}),
        ({"sms_consent": True}, {"sms_marketing": True}),
        ({"sms_consent": True, "unsubscribed_from_sms": True}, {"sms_marketing": False}),
        ({"unsubscribed_from_emails": False, "sms_consent": False}, {}),
    ],
)
def test_a_new_contact_comes_with_its_decisions(given: dict[str, bool], consent: dict[str, bool]):
    assert sample("contact.user.created", **given).consent == consent
    body = {**PAYLOADS["contact_user_created"], "topic": "contact.user.updated"}
    body = {**body, "data": {"item": {**body["data"]["item"], **given}}}
    assert one(body).consent == {}, "a later change repeats them"


# Bad data


@pytest.mark.parametrize(
    ("topic", "item"),
    [
        ("admin.logged_in", {"type": "admin", "id": "1", "email": "a@company.example"}),
        ("company.created", {"type": "company", "id": "1", "name": "Yamada KK"}),
        ("conversation.deleted", {"type": "conversation", "id": "1"}),
    ],
)
def test_what_tells_of_the_workspace_names_no_customer(topic: str, item: dict[str, Any]):
    refused = one({"topic": topic, "id": "notif_1", "created_at": 1, "data": {"item": item}})
    assert isinstance(refused, Rejection)
    assert (refused.reason, refused.event_id) == ("no_identifier", "notif_1")


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"topic": None}, "topic"),
        ({"topic": "..."}, "topic"),
        ({"id": []}, "id"),
        ({"created_at": "2026-11-20"}, "created_at"),
        ({"data": 5}, "data"),
        ({"data": {"item": "x"}}, "data.item"),
        ({"data": {"item": {"contact": 5}}}, "data.item.contact"),
        ({"data": {"item": {"type": "contact", "id": []}}}, "data.item.id"),
        ({"data": {"item": {"type": "contact", "email": 5}}}, "data.item.email"),
        ({"data": {"item": {"contacts": {"contacts": 5}}}}, "data.item.contacts.contacts"),
    ],
    ids=str,
)
def test_a_wrong_notification_is_refused(change: dict[str, Any], named: str):
    refused = one({**PAYLOADS["contact_user_created"], **change})
    assert isinstance(refused, Rejection)
    assert refused.detail.startswith(f"{named}: ")


@pytest.mark.parametrize("rating", ["good", 0, 6, 2.5])
def test_a_wrong_rating_is_named(rating: object):
    refused = sample("conversation.rating.added", conversation_rating={"rating": rating})
    assert refused.detail.startswith("data.item.conversation_rating.rating: ")
