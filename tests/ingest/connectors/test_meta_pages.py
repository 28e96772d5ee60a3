"""Pages and Instagram: what is undone, whose account it is, advertisements, one bad event."""

from __future__ import annotations

import itertools
import json
from typing import Any

import pytest

from ingest.connector import Context
from ingest.connectors.meta import Meta, MetaOptions
from ingest.connectors.meta.contract import signed
from ingest.testing.values import RECEIVED_MS
from schemas.rejection import Rejection
from schemas.touchpoint import Touchpoint

ACCOUNT = "900000000000001"
CUSTOMER = "7836451239045127"
KINDS = {"page": "facebook", "instagram": "instagram"}
AT = 1795158000000


def parse(entry: dict[str, Any], kind: str = "page", **options: Any) -> list[Any]:
    body = {"object": kind, "entry": [{"id": ACCOUNT, "time": AT, **entry}]}
    connector = Meta(MetaOptions(**{"app_secret": "s", "verify_token": "v", **options}))
    request = signed(json.dumps(body).encode())
    return list(connector.parse(request, Context("fb", RECEIVED_MS)))


def messaging(kind: str = "page", **event: Any) -> Any:
    """What becomes of a messaging event of a customer."""
    given = {"sender": {"id": CUSTOMER}, "recipient": {"id": ACCOUNT}, "timestamp": AT, **event}
    (result,) = parse({"messaging": [given]}, kind)
    return result


def change(field: str, kind: str = "page", **value: Any) -> Any:
    """What becomes of a customer's change of a page."""
    given = {"from": {"id": CUSTOMER, "name": "A"}, **value}
    (result,) = parse({"changes": [{"field": field, "value": given}]}, kind)
    return result


def people(touch: Touchpoint) -> set[tuple[str, str]]:
    return {(i.kind, i.value) for i in touch.identifiers}


# What is undone, edited or empty is not new


@pytest.mark.parametrize("kind", sorted(KINDS))
@pytest.mark.parametrize(
    ("event", "type_"),
    [
        ({"message": {"mid": "m", "text": "Hi"}}, "message_received"),
        ({"message": {"mid": "m", "is_deleted": True}}, "message_deleted"),
        ({"message_edit": {"mid": "m", "text": "Ho", "num_edit": 1}}, "message_edited"),
        ({"reaction": {"mid": "m", "action": "react", "emoji": "❤"}}, "message_reacted"),
        ({"reaction": {"mid": "m", "emoji": "❤"}}, "message_reacted"),
        ({"reaction": {"mid": "m", "action": "unreact"}}, "message_unreacted"),
        ({"reaction": {"mid": "m", "action": "unreact", "emoji": "❤"}}, "message_unreacted"),
        ({"reaction": {"mid": "m", "emoji": "", "reaction": ""}}, "message_unreacted"),
        ({"reaction": {"mid": "m"}}, "message_unreacted"),
        ({"optin": {"type": "notification_messages"}}, "messages_subscribed"),
        (
            {"optin": {"notification_messages_status": "STOP_NOTIFICATIONS"}},
            "messages_unsubscribed",
        ),
        ({"optout": {"type": "marketing_messages"}}, "messages_unsubscribed"),
        ({"account_linking": {"status": "unlinked"}}, "account_unlinked"),
    ],
    ids=str,
)
def test_messaging_events_have_types_by_what_was_done(kind: str, event: Any, type_: str):
    touch = messaging(kind, **event)
    assert (touch.type, touch.direction) == (type_, "inbound")
    assert people(touch) == {(KINDS[kind], CUSTOMER)}


def test_what_the_account_does_to_its_own_messages_is_outbound_and_not_sent_anew():
    sides = {"sender": {"id": ACCOUNT}, "recipient": {"id": CUSTOMER}}
    for event, type_ in (
        ({"message": {"mid": "m", "is_echo": True}}, "message_sent"),
        ({"message": {"mid": "m", "is_echo": True, "is_deleted": True}}, "message_deleted"),
        ({"message_edit": {"mid": "m", "text": "Ho"}}, "message_edited"),
        ({"reaction": {"mid": "m", "action": "unreact"}}, "message_unreacted"),
    ):
        touch = messaging(**sides, **event)
        assert (touch.type, touch.direction) == (type_, "outbound")
        assert people(touch) == {("facebook", CUSTOMER)}


@pytest.mark.parametrize(
    ("value", "type_"),
    [
        ({"item": "comment", "verb": "add"}, "comment_received"),
        ({"item": "comment", "verb": "edit"}, "comment_edited"),
        ({"item": "comment", "verb": "edited"}, "comment_edited"),
        ({"item": "comment", "verb": "update"}, "comment_edited"),
        ({"item": "comment", "verb": "remove"}, "comment_removed"),
        ({"item": "comment", "verb": "delete"}, "comment_removed"),
        ({"item": "comment", "verb": "hide"}, "meta_feed_comment_hide"),
        ({"item": "comment", "verb": "unhide"}, "meta_feed_comment_unhide"),
        ({"item": "post", "verb": "remove"}, "post_removed"),
        ({"item": "photo", "verb": "update"}, "post_edited"),
        ({"item": "share", "verb": "remove"}, "meta_feed_share_remove"),
        ({"item": "like", "verb": "remove"}, "account_unfollowed"),
        ({"item": "like", "verb": "remove", "post_id": "1"}, "post_unliked"),
        ({"item": "reaction", "verb": "remove", "comment_id": "1"}, "comment_unliked"),
        ({"item": "reaction", "verb": "add", "post_id": "1"}, "post_liked"),
    ],
    ids=str,
)
def test_changes_of_the_feed_have_types_by_what_was_done(value: dict[str, Any], type_: str):
    assert change("feed", **value).type == type_


@pytest.mark.parametrize("field", ["mention", "ratings", "comments"])
@pytest.mark.parametrize("verb", ["edit", "remove", "hide"])
def test_no_other_change_that_is_undone_counts_as_new(field: str, verb: str):
    assert change(field, verb=verb).type not in (change(field).type, change(field, verb="add").type)


def test_a_label_of_the_inbox_is_about_the_customer_and_its_removal_no_new_one():
    user = {"from": None, "user": {"id": CUSTOMER}, "label": {"id": "1"}}
    added = change("inbox_labels", **user, action="add")
    removed = change("inbox_labels", **user, action="remove")
    assert people(added) == people(removed) == {("facebook", CUSTOMER)}
    assert (added.type, removed.type) == ("meta_inbox_labels_add", "meta_inbox_labels_remove")


def test_events_that_differ_have_ids_that_differ():
    react = {"mid": "m", "action": "react", "emoji": "❤"}
    events = (
        {"message": {"mid": "m", "text": "Hi"}},
        {"message": {"mid": "m", "is_deleted": True}},
        {"message_edit": {"mid": "m", "text": "a", "num_edit": 1}},
        {"message_edit": {"mid": "m", "text": "b", "num_edit": 2}},
        {"reaction": react},
        {"reaction": {**react, "emoji": "😮"}},
        {"reaction": {**react, "action": "unreact"}},
        {"reaction": react, "timestamp": AT + 1},
        {"read": {"watermark": AT}},
        {"delivery": {"watermark": AT}},
        {"postback": {"mid": "m", "title": "a"}},
    )
    ids = [messaging(**event).event_id for event in events]
    assert len(set(ids)) == len(ids)
    assert ids == [messaging(**event).event_id for event in events]
    comment = {"item": "comment", "comment_id": "1", "created_time": AT // 1000}
    changes = (
        {"verb": "add", "message": "a"},
        {"verb": "edited", "message": "b"},
        {"verb": "edited", "message": "c"},
        {"verb": "hide"},
        {"verb": "unhide"},
        {"verb": "remove"},
    )
    ids = [change("feed", **comment, **one).event_id for one in changes]
    assert len(set(ids)) == len(ids)


# Whose account it is


def test_what_an_account_writes_to_itself_names_nobody():
    same = {"sender": {"id": "77"}, "recipient": {"id": "77"}}
    refused = messaging("instagram", **same, message={"mid": "m", "text": "Hi", "is_self": True})
    assert refused.reason == "no_identifier"


# Advertisements

AD = {"ad_id": "1200", "source": "ADS", "type": "OPEN_THREAD"}


@pytest.mark.parametrize("kind", sorted(KINDS))
@pytest.mark.parametrize(
    "event",
    [
        {"referral": AD},
        {"postback": {"title": "Go", "referral": AD}},
        {"message": {"mid": "m", "text": "Hi", "referral": AD}},
        {"message": {"mid": "m", "text": "Hi"}, "referral": AD},
        {"optin": {"type": "notification_messages", "referral": AD}},
    ],
    ids=str,
)
def test_an_advertisement_is_the_campaign_wherever_it_stands(kind: str, event: dict[str, Any]):
    assert messaging(kind, **event).campaign.name == "1200"


def test_the_title_of_an_advertisement_is_the_campaign_s_name():
    titled = {**AD, "ads_context_data": {"ad_title": "Boots"}}
    campaign = messaging(referral=titled).campaign
    assert (campaign.name, campaign.content, campaign.source) == ("Boots", "1200", "ADS")
    assert messaging(referral={"ref": "door", "source": "SHORTLINK"}).campaign is None


def test_a_comment_on_an_advertisement_and_its_lead_have_the_campaign():
    media = {"id": "1", "media_product_type": "AD", "ad_id": "1200", "ad_title": "Boots"}
    campaign = change("comments", "instagram", id="5", text="Nice", media=media).campaign
    assert (campaign.name, campaign.content) == ("Boots", "1200")
    lead = {"leadgen_id": "7", "form_id": "8", "ad_id": "1200", "created_time": AT // 1000}
    assert change("leadgen", **lead).campaign.name == "1200"
    assert change("leadgen", **{**lead, "ad_id": None}).campaign is None


# Calls


def calls(*events: dict[str, Any]) -> list[Any]:
    return parse({"calls": [{"id": "c_1", "timestamp": 1671644824, **event} for event in events]})


def test_calls_of_messenger_are_of_the_channel_phone_and_of_whoever_is_on_the_line():
    sides = {"from": CUSTOMER, "to": ACCOUNT, "call_direction": "user_initiated"}
    turned = {"from": ACCOUNT, "to": CUSTOMER, "call_direction": "business_initiated"}
    ringing = {"event": "call_status", "recipient_id": CUSTOMER, "call_status": "ringing"}
    found = calls(
        {"event": "connect", **sides},
        {"event": "connect", **turned, "id": "c_2"},
        ringing,
        {**ringing, "call_status": "accepted"},
        {"event": "terminate", "status": "Completed", "duration": 120},
        {"event": "terminate", "status": "Completed", "id": "c_2"},
        {"event": "terminate", "status": "Failed", "id": "c_3"},
    )
    assert {touch.channel for touch in found} == {"phone"}
    assert [(touch.type, touch.direction, touch.outcome) for touch in found] == [
        ("meta_call_connect", "inbound", None),
        ("meta_call_connect", "outbound", None),
        ("meta_call_ringing", "outbound", None),
        ("meta_call_accepted", "outbound", None),
        ("call_completed", "inbound", "answered"),
        ("call_missed", "inbound", "no_answer"),
        ("call_missed", "inbound", "failed"),
    ]
    line = ("anonymous_id", "meta-call-c_1")
    assert people(found[0]) == people(found[2]) == {("facebook", CUSTOMER), line}
    assert people(found[4]) == {line}
    assert found[4].duration_s == 120
    assert len({touch.event_id for touch in found}) == len(found)


@pytest.mark.parametrize("answer", ["approve", "reject"])
def test_an_answer_about_calls_is_of_the_channel_phone(answer: str):
    """It comes as a messaging event, or as the entry itself."""
    sides = {"sender": {"id": CUSTOMER}, "recipient": {"id": ACCOUNT}, "timestamp": AT}
    event = {**sides, "call_permission_reply": {"response": answer}}
    bare = parse({**event, "id": None})
    for (touch,) in (parse({"messaging": [event]}), bare):
        assert (touch.channel, touch.type) == ("phone", "postback_received")
        assert (touch.outcome, touch.consent, people(touch)) == (
            answer,
            {},
            {("facebook", CUSTOMER)},
        )


# Orders


def test_a_cart_that_is_sent_is_an_order_with_its_total():
    boots = {"id": 123, "retailer_id": "b-42", "name": "Boots", "unit_price": 11.5, "quantity": 2}
    order = {"products": [{**boots, "currency": "THB"}], "note": "In brown, please"}
    touch = messaging(order=order)
    assert (touch.channel, touch.type, touch.subject) == ("commerce", "order_placed", order["note"])
    assert (str(touch.value.amount), touch.value.currency) == ("23", "THB")
    for products in ([boots], [], 5, [5]):
        touch = messaging(order={"products": products})
        assert (touch.type, touch.value) == ("order_placed", None)


# Answers of customers


@pytest.mark.parametrize(
    ("kind", "answer", "sentiment"),
    [
        ("csat", "1", -1),
        ("csat", "5", 1),
        ("csat", 4, 0.5),
        ("nps", "0", -1),
        ("nps", "10", 1),
        ("ces", "4", 0),
        ("csat", "6", None),
        ("csat", "", None),
        ("csat", "1" * 5000, None),
        ("text", "5", None),
    ],
)
def test_an_answer_on_a_scale_is_sentiment(kind: str, answer: Any, sentiment: float | None):
    question = {"type": kind, "payload": answer, "follow_up": {"payload": "Fast"}}
    feedback = {"feedback_screens": [{"screen_id": 0, "questions": {"q1": question}}]}
    touch = messaging(messaging_feedback=feedback)
    assert (touch.type, touch.sentiment, touch.subject) == ("conversation_rated", sentiment, "Fast")


# One bad event costs itself alone; what only helps costs nothing

GOOD = {"sender": {"id": CUSTOMER}, "message": {"mid": "m", "text": "Hi"}, "timestamp": AT}
COMMENT = {
    "field": "feed",
    "value": {"item": "comment", "verb": "add", "from": {"id": CUSTOMER}, "comment_id": "1"},
}


@pytest.mark.parametrize("bad", [5, None, "x", [], {}], ids=str)
@pytest.mark.parametrize(
    ("name", "good"), [("messaging", GOOD), ("standby", GOOD), ("changes", COMMENT)]
)
def test_one_bad_event_of_an_entry_costs_no_other(name: str, good: Any, bad: Any):
    before, refused, after = parse({name: [good, bad, good]})
    assert [type(one) for one in (before, refused, after)] == [Touchpoint, Rejection, Touchpoint]


def test_a_list_that_is_none_is_refused_and_costs_no_other_list():
    for name, other in itertools.permutations(("messaging", "standby", "changes"), 2):
        good = COMMENT if name == "changes" else GOOD
        found = parse({name: [good], other: 5})
        assert {type(one) for one in found} == {Touchpoint, Rejection}
        (refused,) = (one for one in found if isinstance(one, Rejection))
        assert refused.detail.startswith(f"entry.{other}: ")


def test_one_bad_entry_costs_no_other():
    request = signed(
        json.dumps({"object": "page", "entry": [5, {"id": ACCOUNT, "messaging": [GOOD]}]}).encode()
    )
    connector = Meta(MetaOptions(app_secret="s", verify_token="v"))
    found = list(connector.parse(request, Context("fb", RECEIVED_MS)))
    assert [type(one) for one in found] == [Rejection, Touchpoint]


@pytest.mark.parametrize("wrong", [5, "x", [5], {"a": 1}], ids=str)
def test_what_only_helps_costs_no_event(wrong: Any):
    for name in ("referral", "prior_message"):
        assert messaging(message={"mid": "m", "text": "Hi"}, **{name: wrong}).subject == "Hi"
    assert messaging(message={"mid": "m", "text": "Hi", "referral": wrong}).subject == "Hi"
    for name in ("post", "permalink_url", "media", "ad_id", "action"):
        assert (
            change("feed", item="comment", verb="add", **{name: wrong}).type == "comment_received"
        )
    liked = change("feed", item="reaction", verb="add", post_id="1", reaction_type=wrong)
    assert liked.type in ("post_liked", "post_reacted")
