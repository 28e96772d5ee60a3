"""Amazon SES: its events, as Amazon SNS brings them (`test_sns`)."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest

from ingest.connectors.ses.contract import SesContract
from ingest.testing.values import RECEIVED_MS
from schemas.rejection import Rejection
from schemas.times import from_ms
from tests.support.ses_requests import (
    PAYLOADS,
    changed,
    one,
    parse,
)


class TestSes(SesContract):
    pass


# The map


def test_events_have_their_types_and_directions():
    results = {name: parse(value)[0] for name, value in PAYLOADS.items()}
    assert {name: (touch.type, touch.direction) for name, touch in results.items()} == {
        "send": ("email_processed", "outbound"),
        "delivery": ("email_delivered", "outbound"),
        "bounce": ("email_bounced", "outbound"),
        "bounce_suppressed": ("email_dropped", "outbound"),
        "complaint": ("email_complained", "inbound"),
        "reject": ("email_dropped", "outbound"),
        "open": ("email_opened", "inbound"),
        "click": ("email_clicked", "inbound"),
        "rendering_failure": ("email_dropped", "outbound"),
        "delivery_delay": ("email_deferred", "outbound"),
        "subscription": ("email_unsubscribed", "inbound"),
        "notification_bounce": ("email_bounced", "outbound"),
        "notification_received": ("email_received", "inbound"),
    }
    assert {touch.channel for touch in results.values()} == {"email"}


def test_fields_of_events():
    bounce, click = one(PAYLOADS["bounce"]), one(PAYLOADS["click"])
    assert bounce.event_id == "22b80b92-fdea-4c2c-8f9d-bdfb0c7bf324"
    assert bounce.occurred_at == datetime(2026, 11, 20, 4, 0, 2, 669_000, tzinfo=UTC)
    assert [(i.kind, i.value) for i in bounce.identifiers] == [("email", "gone@example.com")]
    assert (bounce.outcome, bounce.subject) == ("permanent", "Autumn sale")
    assert bounce.properties["diagnosticCode"] == "smtp; 550 5.1.1 user unknown"
    assert bounce.properties["mail"]["messageId"].startswith("EXAMPLE7c191be45")
    assert click.url == "https://shop.example.com/boots"
    assert (click.campaign.name, click.properties["ipAddress"]) == ("autumn", "198.51.100.7")
    assert one(PAYLOADS["send"]).occurred_at == from_ms(RECEIVED_MS)
    outcomes = {name: one(PAYLOADS[name]).outcome for name in PAYLOADS if name != "delivery"}
    assert outcomes["reject"] == "bad_content"
    assert outcomes["rendering_failure"] == "rendering_failure"
    assert outcomes["delivery_delay"] == "mailbox_full"
    assert outcomes["notification_bounce"] == "transient"
    assert outcomes["bounce_suppressed"] == "suppressed"
    assert outcomes["complaint"] == "abuse"


def test_a_subject_in_encoded_words_is_text():
    for name in ("send", "notification_received"):
        mail = PAYLOADS[name]["mail"]
        headers = {**mail["commonHeaders"], "subject": "=?UTF-8?B?5Zyo5bqr?="}
        assert one(changed(name, "mail", commonHeaders=headers)).subject == "在庫"


def test_each_receiver_has_a_touch_of_its_own_without_the_others():
    first, second = parse(PAYLOADS["delivery"])
    assert [i.value for i in first.identifiers] == ["hanako@example.com"]
    assert [i.value for i in second.identifiers] == ["gone@example.com"]
    assert first.event_id != second.event_id
    assert "gone@" not in first.model_dump_json()
    assert "hanako@" not in second.model_dump_json()
    assert "hanako@" not in one(PAYLOADS["bounce"]).model_dump_json()


@pytest.mark.parametrize(
    ("name", "part", "field"),
    [
        ("bounce", "bounce", "bouncedRecipients"),
        ("complaint", "complaint", "complainedRecipients"),
        ("delivery_delay", "deliveryDelay", "delayedRecipients"),
    ],
)
def test_what_a_forwarding_brings_back_counts_for_the_address_that_was_written_to(
    name: str, part: str, field: str
):
    def customers(receiver: str, *destination: str) -> list[str]:
        event = changed(name, part, **{field: [{"emailAddress": receiver}]})
        (found,) = parse({**event, "mail": {**event["mail"], "destination": list(destination)}})
        return [one.value for one in found.identifiers]

    assert customers("elsewhere@example.org", "ada@example.com") == ["ada@example.com"]
    assert customers("Ada@Example.com", "Ada <ada@example.com>") == ["Ada@Example.com"]
    assert customers("ada@example.com", "ada@example.com", "b@example.com") == ["ada@example.com"]
    several = customers("elsewhere@example.org", "ada@example.com", "b@example.com")
    assert several == ["elsewhere@example.org"]
    assert customers("elsewhere@example.org") == ["elsewhere@example.org"]


@pytest.mark.parametrize("name", ["open", "click", "subscription"])
def test_what_one_of_several_receivers_did_is_nobodys(name: str):
    event = changed(name, "mail", destination=["a@example.com", "b@example.com"])
    refused = one(event)
    assert isinstance(refused, Rejection)
    assert refused.reason == "no_identifier"
    assert refused.detail.startswith("mail.destination: names several receivers")


def test_of_an_incoming_message_the_customer_is_the_sender():
    touch = one(PAYLOADS["notification_received"])
    assert [(i.kind, i.value) for i in touch.identifiers] == [("email", "taro@example.com")]
    assert touch.subject == "在庫はありますか？"
    assert "support@" not in json.dumps(touch.properties["mail"])
    bare = one(changed("notification_received", "mail", commonHeaders={}))
    assert [i.value for i in bare.identifiers] == ["bounce-1@mail.example.com"]


def test_decisions_are_consent():
    assert one(PAYLOADS["complaint"]).consent == {"marketing": False}
    assert one(PAYLOADS["subscription"]).consent == {"weekly": False, "offers": True}
    named = one(PAYLOADS["subscription"], consent_topics={"weekly": "newsletter"})
    assert named.consent == {"newsletter": False, "offers": True}
    everything = {
        "unsubscribeAll": True,
        "topicSubscriptionStatus": [{"topicName": "offers", "subscriptionStatus": "OptIn"}],
    }
    left = one(changed("subscription", "subscription", newTopicPreferences=everything))
    assert left.consent == {"offers": False, "marketing": False}
    part = PAYLOADS["subscription"]["subscription"]
    back = one(
        changed(
            "subscription",
            "subscription",
            newTopicPreferences=part["oldTopicPreferences"],
            oldTopicPreferences=part["newTopicPreferences"],
        )
    )
    assert (back.type, back.consent) == ("email_resubscribed", {"weekly": True, "offers": True})
    for name in ("bounce", "bounce_suppressed", "open"):
        assert one(PAYLOADS[name]).consent == {}


def test_who_had_left_everything_and_comes_back_wants_mails_again():
    topics = [{"topicName": "weekly", "subscriptionStatus": "OptIn"}]
    new = {"unsubscribeAll": False, "topicSubscriptionStatus": topics}
    old = {"unsubscribeAll": True, "topicSubscriptionStatus": []}
    preferences = {"newTopicPreferences": new, "oldTopicPreferences": old}
    back = one(changed("subscription", "subscription", **preferences))
    assert (back.type, back.consent) == ("email_resubscribed", {"weekly": True, "marketing": True})


def test_a_complaint_that_is_none_is_no_decision():
    praised = one(changed("complaint", "complaint", complaintFeedbackType="not-spam"))
    assert (praised.type, praised.consent) == ("ses_not_spam", {})
    suppressed = changed("complaint", "complaint", complaintSubType="OnAccountSuppressionList")
    touch = one(suppressed)
    assert (touch.type, touch.direction, touch.consent) == ("email_dropped", "outbound", {})


def test_a_tag_is_the_customer_only_if_told_so():
    assert [i.kind for i in one(PAYLOADS["open"]).identifiers] == ["email"]
    touch = one(PAYLOADS["open"], customer_id_tag="customer")
    assert [(i.kind, i.value) for i in touch.identifiers] == [
        ("customer_id", "C-42"),
        ("email", "hanako@example.com"),
    ]


@pytest.mark.parametrize("name", ["delivery", "bounce"])
def test_a_tag_of_a_mail_to_several_receivers_does_not_make_them_one_person(name: str):
    for touch in parse(PAYLOADS[name], customer_id_tag="customer"):
        assert [i.kind for i in touch.identifiers] == ["email"]


def test_an_event_of_tomorrow_is_kept_under_its_name():
    event = {**PAYLOADS["open"], "eventType": "Owl Reading", "owlReading": {"owl": "Ada"}}
    touch = one(event)
    assert (touch.type, touch.properties["owl"]) == ("ses_owl_reading", "Ada")


@pytest.mark.parametrize(
    "message",
    [
        "Successfully validated SNS topic for Amazon SES event publishing.",
        {"notificationType": "AmazonSnsSubscriptionSucceeded", "message": "You have …"},
    ],
)
def test_what_ses_sends_to_try_a_topic_is_no_event(message: Any):
    assert parse(message) == []


# Bad data


@pytest.mark.parametrize("message", ["", "hello", "[]", "5", "{}", '{"a": 1}', "[" * 5000])
def test_a_message_of_something_else_is_unsupported(message: str):
    refused = one(message)
    assert refused.reason == "unsupported"
    assert "hello" not in refused.detail


@pytest.mark.parametrize(
    ("name", "part", "change", "named"),
    [
        ("open", "mail", {"destination": "a@example.com"}, "mail.destination"),
        ("open", "mail", {"tags": ["x"]}, "mail.tags"),
        ("open", "open", {"timestamp": "yesterday"}, "timestamp"),
        ("open", "open", {"timestamp": 5}, "open.timestamp"),
        ("click", "click", {"link": {}}, "click.link"),
        ("bounce", "bounce", {"bouncedRecipients": {}}, "bounce.bouncedRecipients"),
        ("bounce", "bounce", {"bounceType": []}, "bounce.bounceType"),
        ("subscription", "subscription", {"newTopicPreferences": 1}, "subscription.newTopic"),
    ],
    ids=str,
)
def test_a_wrong_event_is_refused(name: str, part: str, change: dict[str, Any], named: str):
    refused = one(changed(name, part, **change))
    assert isinstance(refused, Rejection)
    assert refused.reason == "invalid"
    assert refused.detail.startswith(named)


def test_one_wrong_receiver_costs_no_other():
    good, wrong = parse(changed("delivery", "delivery", recipients=["a@example.com", 5]))
    assert [i.value for i in good.identifiers] == ["a@example.com"]
    assert (wrong.reason, wrong.detail) == ("no_identifier", "delivery.recipients: is missing")
