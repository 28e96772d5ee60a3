"""Meta's webhooks: signature, handshake, and the events of pages, Instagram and WhatsApp."""

from __future__ import annotations

import copy
import json
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlencode

import pytest
from cryptography.hazmat.primitives.hashes import SHA1

from ingest.connector import Context, Request
from ingest.connectors.meta import SIGNATURE, Meta, MetaOptions
from ingest.connectors.meta.contract import PAYLOADS, MetaContract, mac, signed
from ingest.testing.values import RECEIVED_MS, URL
from schemas.rejection import Rejection
from schemas.touchpoint import Touchpoint

PAGE = "682498302938465"
INSTAGRAM = "17841405309211844"
BUSINESS_NUMBER = "+815550783881"
PSID = ("facebook", "7836451239045127")
IGSID = ("instagram", "1044172839405566")
HANDLE = ("instagram", "Hanako.Y")
PHONE = ("phone", "+819012345678")
BSUID = ("whatsapp", "JP.13491208655302741918")


def connector(**options: Any) -> Meta:
    return Meta(MetaOptions(**{"app_secret": "s", "verify_token": "v", **options}))


def parse(body: Any, **options: Any) -> list[Any]:
    request = signed(json.dumps(body).encode())
    return list(connector(**options).parse(request, Context("fb", RECEIVED_MS)))


def touches(name: str, **options: Any) -> list[Touchpoint]:
    return parse(PAYLOADS[name], **options)


def messaging(event: dict[str, Any], *, kind: str = "page", account: str = PAGE) -> Any:
    (result,) = parse({"object": kind, "entry": [{"id": account, "messaging": [event]}]})
    return result


def change(field: str, value: Any, *, kind: str = "page", account: str = PAGE) -> Any:
    changes = [{"field": field, "value": value}]
    (result,) = parse({"object": kind, "entry": [{"id": account, "changes": changes}]})
    return result


def kinds(touch: Touchpoint) -> set[tuple[str, str]]:
    return {(i.kind, i.value) for i in touch.identifiers}


class TestMeta(MetaContract):
    pass


# The signature and the handshake


def test_the_signature_is_that_of_rfc_4231():
    """These are the RFC's own bytes (test case 2)."""
    digest = "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"
    headers = {SIGNATURE: f"sha256={digest}"}
    request = Request("POST", "/", "", URL, headers, b"what do ya want for nothing?")
    assert connector(app_secret="Jefe").verify(request, RECEIVED_MS)
    assert not connector(app_secret="jefe").verify(request, RECEIVED_MS)


def test_the_older_signature_with_sha_1_is_not_taken():
    old = f"sha1={mac(b'{}', 's', SHA1())}"
    for headers in ({"x-hub-signature": old}, {SIGNATURE: old}):
        request = Request("POST", "/", "", URL, headers, b"{}")
        assert not connector().verify(request, RECEIVED_MS)


@pytest.mark.parametrize("prefix", ["", "SHA256=", "sha256:", "sha1=", "sha256=sha256="])
def test_the_algorithm_is_named(prefix: str):
    shown = prefix + signed(b"{}").headers[SIGNATURE].removeprefix("sha256=")
    request = signed(b"{}")._replace(headers={SIGNATURE: shown})
    assert not connector().verify(request, RECEIVED_MS)


def hand(query: dict[str, str] | str, **options: Any) -> tuple[int, bytes]:
    text = query if isinstance(query, str) else urlencode(query)
    reply = connector(**options).handshake(Request("GET", "/hooks/fb", text, URL, {}, b""))
    return reply.status, reply.body


def test_the_challenge_is_given_back_to_whoever_knows_the_token():
    query = {"hub.mode": "subscribe", "hub.challenge": "1158201444", "hub.verify_token": "ü &1"}
    assert hand(query, verify_token="ü &1") == (200, b"1158201444")
    assert hand(query, verify_token=("old", "ü &1")) == (200, b"1158201444")


@pytest.mark.parametrize(
    "change",
    [
        {"hub.verify_token": "w"},
        {"hub.verify_token": ""},
        {"hub.verify_token": "v "},
        {"hub.mode": "unsubscribe"},
        {"hub.challenge": ""},
    ],
    ids=str,
)
def test_a_handshake_that_fails_is_forbidden(change: dict[str, str]):
    right = {"hub.mode": "subscribe", "hub.challenge": "1", "hub.verify_token": "v"}
    assert hand(right) == (200, b"1")
    assert hand({**right, **change}) == (403, b"")


@pytest.mark.parametrize("query", ["", "hub.mode=subscribe", "%ff=%ff", "a=1&" * 500])
def test_a_strange_handshake_is_forbidden(query: str):
    assert hand(query) == (403, b"")


# What becomes of events


def test_messaging_events_of_a_page_have_their_types():
    found = [(touch.type, touch.direction) for touch in touches("page_messaging")]
    assert found == [
        ("message_received", "inbound"),
        ("message_sent", "outbound"),
        ("message_received", "inbound"),
        ("message_received", "inbound"),
        ("message_read", "inbound"),
        ("message_delivered", "outbound"),
        ("postback_received", "inbound"),
        ("message_reacted", "inbound"),
        ("message_unreacted", "inbound"),
        ("referral_received", "inbound"),
        ("message_edited", "inbound"),
        ("messages_subscribed", "inbound"),
        ("messages_unsubscribed", "inbound"),
        ("messages_subscribed", "inbound"),
        ("messages_subscribed", "inbound"),
        ("account_linked", "inbound"),
        ("meta_pass_thread_control", "inbound"),
        ("message_received", "inbound"),
    ]


def test_changes_of_a_page_have_their_types():
    found = [(touch.type, touch.outcome) for touch in touches("page_feed")]
    assert found == [
        ("comment_received", None),
        ("comment_edited", None),
        ("comment_removed", None),
        ("post_liked", "love"),
        ("post_reacted", "angry"),
        ("post_unliked", "angry"),
        ("comment_liked", "like"),
        ("account_followed", None),
        ("account_unfollowed", None),
        ("post_received", None),
        ("post_received", None),
        ("post_shared", None),
        ("post_liked", None),
        ("meta_feed_comment_hide", None),
        ("mention_received", None),
        ("review_received", None),
        ("form_submitted", None),
        ("meta_videos", None),
    ]


def test_events_of_instagram_have_their_types():
    found = [(touch.type, kinds(touch)) for touch in touches("instagram")]
    assert found == [
        ("message_received", {IGSID}),
        ("message_sent", {IGSID}),
        ("mention_received", {IGSID}),
        ("message_received", {IGSID}),
        ("message_deleted", {IGSID}),
        ("message_read", {IGSID}),
        ("message_reacted", {IGSID}),
        ("postback_received", {IGSID}),
        ("comment_received", {IGSID, HANDLE}),
        ("comment_received", {IGSID, HANDLE}),
        ("comment_received", {IGSID, HANDLE}),
        ("mention_received", {("anonymous_id", "instagram-comment-17894227972186120")}),
        ("mention_received", {("anonymous_id", "instagram-media-17918195224117854")}),
        ("message_received", {IGSID}),
    ]


def test_events_of_whatsapp_have_their_types():
    found = [(touch.channel, touch.type, touch.direction) for touch in touches("whatsapp")]
    assert found == [
        *[("social", "message_received", "inbound")] * 2,
        *[("social", "postback_received", "inbound")] * 2,
        ("social", "message_reacted", "inbound"),
        ("social", "message_unreacted", "inbound"),
        ("commerce", "order_placed", "inbound"),
        ("social", "meta_system", "inbound"),
        ("social", "message_received", "inbound"),
        ("social", "message_sent", "outbound"),
        ("social", "message_delivered", "outbound"),
        ("social", "message_read", "inbound"),
        ("social", "message_failed", "outbound"),
        ("social", "message_delivered", "outbound"),
        ("social", "message_sent", "outbound"),
        ("social", "messages_unsubscribed", "inbound"),
        ("social", "messages_subscribed", "inbound"),
        ("phone", "meta_call_connect", "inbound"),
        ("phone", "call_completed", "inbound"),
        ("phone", "call_missed", "outbound"),
    ]


def test_fields_of_a_message():
    touch = touches("page_messaging")[0]
    mid = PAYLOADS["page_messaging"]["entry"][0]["messaging"][0]["message"]["mid"]
    assert touch.event_id == mid
    assert touch.occurred_at == datetime(2026, 11, 20, 7, 0, tzinfo=UTC)
    assert touch.subject == touch.properties["text"] == "こんにちは、在庫はありますか？"
    assert touch.properties == {
        "account_id": PAGE,
        "message": {"mid": mid},
        "text": "こんにちは、在庫はありますか？",
    }


def test_fields_of_a_comment():
    touch = touches("page_feed")[0]
    assert touch.event_id == "5552163924_881277"
    assert touch.occurred_at == datetime(2026, 11, 20, 7, 0, tzinfo=UTC)
    assert touch.url == "https://www.facebook.com/shoes/posts/5552163924"
    assert (touch.subject, touch.traits) == ("Lovely colour!", {"name": "Hanako Yamada"})
    assert touch.properties["post_id"] == f"{PAGE}_5552163924"
    assert touch.properties["account_id"] == PAGE


def test_what_comes_later_is_dated_by_the_notice_of_it():
    """`created_time` of a comment that was edited or removed is that of the comment."""
    added, edited, removed = touches("page_feed")[:3]
    assert added.occurred_at == datetime(2026, 11, 20, 7, 0, tzinfo=UTC)
    assert edited.occurred_at == removed.occurred_at == datetime(2026, 11, 20, 7, 1, 40, tzinfo=UTC)
    assert len({added.event_id, edited.event_id, removed.event_id}) == 3


def test_an_advertisement_that_led_to_the_conversation_is_its_campaign():
    (postback,) = [t for t in touches("page_messaging") if t.type == "postback_received"]
    campaign = postback.campaign
    assert campaign is not None
    assert (campaign.name, campaign.source, campaign.content) == (
        "Autumn shoes",
        "ADS",
        "6045246247433",
    )


def test_fields_of_a_whatsapp_message_and_call():
    message, *_, completed, missed = touches("whatsapp")
    assert message.event_id == "wamid.HBgLMTY1MDM4Nzk0MzkVAgASGBQ000"
    assert kinds(message) == {PHONE, BSUID}
    assert message.traits == {"name": "山田花子"}
    assert message.properties["text"] == "Does it come in another color?"
    assert message.properties["phone_number_id"] == "106540352242922"
    assert (completed.outcome, completed.duration_s) == ("answered", 40)
    assert (missed.outcome, missed.duration_s) == ("failed", None)


def test_a_customer_who_hides_the_number_is_known_by_the_id():
    (touch,) = [t for t in touches("whatsapp") if t.event_id == "wamid.hidden-number"]
    assert kinds(touch) == {("whatsapp", "JP.99491208655302741918")}


def test_each_status_of_a_message_is_an_event():
    found = [t for t in touches("whatsapp") if t.event_id.startswith("wamid.HBgLMTQx")]
    assert [t.event_id.rpartition(":")[2] for t in found] == ["sent", "delivered", "read"]
    assert all(kinds(t) == {PHONE} for t in found)


def test_a_failed_message_says_why():
    (failed,) = [t for t in touches("whatsapp") if t.type == "message_failed"]
    assert failed.outcome == "131049"


# Who the customer is


@pytest.mark.parametrize("name", sorted(PAYLOADS))
def test_the_company_is_never_an_identifier(name: str):
    own = {PAGE, INSTAGRAM, BUSINESS_NUMBER, BUSINESS_NUMBER[1:]}
    for touch in touches(name):
        assert not {value for _, value in kinds(touch)} & own


def test_of_what_the_account_sends_the_receiver_is_the_customer():
    sent = {"sender": {"id": PAGE}, "recipient": {"id": PSID[1]}, "timestamp": 1795158000000}
    for part in ({"message": {"mid": "m", "text": "Hi"}}, {"reaction": {"action": "react"}}):
        touch = messaging({**sent, **part})
        assert (kinds(touch), touch.direction) == ({PSID}, "outbound")
    # An echo under another id of the account, as Instagram has them.
    echo = messaging({**sent, "sender": {"id": "9"}, "message": {"mid": "m", "is_echo": True}})
    assert (echo.type, kinds(echo), echo.direction) == ("message_sent", {PSID}, "outbound")


@pytest.mark.parametrize(
    ("kind", "account", "field", "value"),
    [
        ("page", PAGE, "feed", {"from": {"id": PAGE}, "item": "comment", "verb": "add"}),
        ("page", PAGE, "feed", {"from": {"id": PAGE}, "item": "status", "verb": "add"}),
        ("page", PAGE, "feed", {"sender_id": int(PAGE), "item": "comment", "verb": "add"}),
        ("page", PAGE, "feed", {"item": "reaction", "verb": "add", "post_id": "1"}),
        ("instagram", INSTAGRAM, "comments", {"id": "1", "from": {"id": INSTAGRAM}}),
        (
            "instagram",
            INSTAGRAM,
            "comments",
            {"id": "1", "from": {"id": "77", "self_ig_scoped_id": "77", "username": "shoes"}},
        ),
        ("instagram", INSTAGRAM, "mentions", {}),
        ("instagram", INSTAGRAM, "story_insights", {"media_id": "1", "impressions": 5}),
        (
            "whatsapp_business_account",
            "1",
            "message_template_status_update",
            {"event": "APPROVED", "message_template_name": "news"},
        ),
    ],
)
def test_what_the_account_does_itself_names_no_customer(
    kind: str, account: str, field: str, value: dict[str, Any]
):
    refused = change(field, value, kind=kind, account=account)
    assert isinstance(refused, Rejection)
    assert refused.reason == "no_identifier"


def test_an_account_that_writes_to_itself_is_no_customer():
    event = {"sender": {"id": INSTAGRAM}, "recipient": {"id": INSTAGRAM}, "message": {"mid": "m"}}
    refused = messaging(event, kind="instagram", account=INSTAGRAM)
    assert refused.reason == "no_identifier"


def test_another_page_of_the_company_is_no_customer():
    found = touches("page_feed", accounts=("77", PSID[1]))
    assert isinstance(found[0], Rejection)
    assert found[0].reason == "no_identifier"
    assert [touch.type for touch in found if isinstance(touch, Touchpoint)] == [
        "post_liked",  # of somebody else
        "form_submitted",
    ]


def test_a_visitor_of_the_checkbox_is_found_again_by_the_reference():
    optin = [t for t in touches("page_messaging") if t.properties.get("optin", {}).get("user_ref")]
    message = messaging(
        {
            "sender": {"id": PSID[1]},
            "recipient": {"id": PAGE},
            "message": {"mid": "m"},
            "prior_message": {"source": "checkbox_plugin", "identifier": "visit-8125"},
        }
    )
    reference = ("anonymous_id", "meta-user-ref-visit-8125")
    assert kinds(optin[0]) == {reference}
    assert kinds(message) == {PSID, reference}


# Consent


def test_decisions_about_messages_are_consent():
    found = [(t.type, t.consent) for t in touches("page_messaging") if "messages_" in t.type]
    assert found == [
        ("messages_subscribed", {"marketing": True}),
        ("messages_unsubscribed", {"marketing": False}),
        ("messages_subscribed", {}),  # one single message
        ("messages_subscribed", {"marketing": True}),
    ]
    assert [t.consent for t in touches("whatsapp") if "messages_" in t.type] == [
        {"marketing": False},
        {"marketing": True},
    ]


def test_the_purpose_may_be_one_of_its_own():
    found = touches("page_messaging", purpose="messenger")
    assert {name for touch in found for name in touch.consent} == {"messenger"}


def test_what_opens_a_way_to_the_customer_is_not_kept():
    kept = json.dumps([touch.properties for touch in touches("page_messaging")])
    assert "6573472457223712" not in kept
    assert "8837245223712" not in kept
    assert "to-be-forgotten" not in kept


# Events of tomorrow, redeliveries, bad data


def test_what_is_not_known_keeps_its_name():
    sender = {"sender": {"id": PSID[1]}, "recipient": {"id": PAGE}}
    assert messaging({**sender, "game_play": {"score": 5}}).type == "meta_game_play"
    assert change("inboxLabels", {"from": {"id": PSID[1]}}).type == "meta_inbox_labels"
    rating = {"reviewer_id": PSID[1], "item": "rating", "verb": "edit", "rating": 5}
    assert change("ratings", rating).type == "meta_ratings_rating_edited"
    liked = {"sender_id": PSID[1], "item": "like", "verb": "add"}
    assert change("ratings", liked).type == "meta_ratings_like_add"
    feed = {"from": {"id": PSID[1]}, "item": "milestone", "verb": "add"}
    assert change("feed", feed).type == "meta_feed_milestone_add"


def test_a_redelivery_at_another_time_is_the_same_event():
    for name, body in PAYLOADS.items():
        again = copy.deepcopy(body)
        for entry in again["entry"]:
            entry["time"] = entry.get("time", 0) + 5
        assert [t.event_id for t in parse(again)] == [t.event_id for t in touches(name)]


@pytest.mark.parametrize("rating", [0, 6, "good", 2.5])
def test_a_wrong_rating_is_named(rating: object):
    refused = change("ratings", {"reviewer_id": PSID[1], "rating": rating})
    assert refused.detail.startswith("entry.changes.value.rating: ")


@pytest.mark.parametrize(
    ("told", "sentiment"), [({"rating": 5}, 1), ({"recommendation_type": "negative"}, -1)]
)
def test_a_rating_or_recommendation_is_sentiment(told: dict[str, Any], sentiment: float):
    assert change("ratings", {"reviewer_id": PSID[1], **told}).sentiment == sentiment


@pytest.mark.parametrize("object_", ["user", "permissions", None, []])
def test_other_objects_are_not_taken(object_: object):
    (refused,) = parse({"object": object_, "entry": [{"id": "1", "changed_fields": ["email"]}]})
    assert (refused.reason, refused.detail.partition(":")[0]) == ("unsupported", "object")


@pytest.mark.parametrize(
    ("entry", "reason", "named"),
    [
        (5, "invalid", "entry"),
        ({"id": PAGE}, "unsupported", "entry"),
        ({"id": PAGE, "messaging": {}}, "invalid", "entry.messaging"),
        ({"id": PAGE, "messaging": [5]}, "invalid", "entry.messaging"),
        ({"id": PAGE, "changes": [{"value": {}}]}, "invalid", "entry.changes.field"),
        (
            {"id": PAGE, "changes": [{"field": "feed", "value": 5}]},
            "invalid",
            "entry.changes.value",
        ),
        (
            {"id": PAGE, "messaging": [{"sender": {"id": []}, "message": {}}]},
            "invalid",
            "entry.messaging.sender.id",
        ),
        (
            {"id": PAGE, "messaging": [{"sender": {"id": "1"}, "timestamp": "now", "read": {}}]},
            "invalid",
            "entry.messaging.timestamp",
        ),
    ],
    ids=str,
)
def test_a_wrong_entry_is_refused(entry: Any, reason: str, named: str):
    (refused,) = parse({"object": "page", "entry": [entry]})
    assert isinstance(refused, Rejection)
    assert (refused.reason, refused.detail.partition(": ")[0]) == (reason, named)


@pytest.mark.parametrize(
    ("value", "named"),
    [
        ({"messages": 5}, "entry.changes.value.messages"),
        ({"messages": [{"from": "81901", "type": "text"}]}, "entry.changes.value.messages.id"),
        (
            {"statuses": [{"id": "w", "recipient_id": []}]},
            "entry.changes.value.statuses.recipient_id",
        ),
        (
            {"calls": [{"id": "w", "from": "8", "duration": "long"}]},
            "entry.changes.value.calls.duration",
        ),
    ],
    ids=str,
)
def test_a_wrong_event_of_whatsapp_is_named(value: dict[str, Any], named: str):
    refused = change("messages", value, kind="whatsapp_business_account", account="1")
    assert isinstance(refused, Rejection)
    assert refused.detail.startswith(f"{named}: ")


def test_one_bad_event_costs_no_other():
    body = copy.deepcopy(PAYLOADS["page_messaging"])
    body["entry"][0]["messaging"][1] = {"sender": 5}
    found = parse(body)
    assert len(found) == len(touches("page_messaging"))
    assert [isinstance(result, Rejection) for result in found[:3]] == [False, True, False]
    refused = found[1]
    assert json.loads(refused.payload)["entry"][0]["messaging"] == [{"sender": 5}]
