"""The presets of providers of e-mail: each documented event, and what becomes of it."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, NamedTuple

import pytest

from ingest.connectors.mapped.contract import PRESETS
from schemas.rejection import Rejection
from schemas.touchpoint import Touchpoint

T = 1_795_160_000
AT = "2026-11-20T07:33:20"
HANAKO, TARO, SHOP = "hanako@example.com", "taro@example.com", "help@shop.example.com"
OUT, IN = "outbound", "inbound"
WITHDRAWN = {"marketing": False}


def parse(preset: str, body: Any, name: str = "it") -> list[Touchpoint | Rejection]:
    suite = PRESETS[preset]()
    return suite.parse(suite.request(body, name))


def touch(preset: str, body: Any, name: str = "it") -> Touchpoint:
    (found,) = parse(preset, body, name)
    assert isinstance(found, Touchpoint), found
    return found


def people(found: Touchpoint) -> list[tuple[str, str]]:
    return [(one.kind, one.value) for one in found.identifiers]


def brevo(event: str, **more: Any) -> Any:
    known = {"email": HANAKO, "id": 1, "message-id": "<1@x>", "ts": T, "ts_event": T}
    return {"event": event, **known, **more}


def mailersend(event: str, **more: Any) -> Any:
    email = {"recipient": {"email": HANAKO}, "from": SHOP, "tags": None}
    data = {"id": "6", "created_at": f"{AT}.000000Z", "email": email, "morph": None, **more}
    return {"type": event, "url": "https://touch.example.com/hooks/it", "data": data}


def mailjet(event: str, **more: Any) -> Any:
    known = {"time": T, "MessageID": 19421777835146490, "email": HANAKO, "mj_campaign_id": 0}
    return [{"event": event, **known, "customcampaign": "", **more}]


def mandrill(event: str, **more: Any) -> Any:
    msg = {"email": HANAKO, "sender": SHOP, "tags": ["t"], "_id": "9c"}
    return [{"event": event, "msg": msg, "_id": "9c", "ts": T, **more}]


def resend(event: str, **more: Any) -> Any:
    data = {"email_id": "5", "from": f"Shop <{SHOP}>", "to": [HANAKO], "subject": "S", **more}
    return {"type": event, "created_at": f"{AT}.000Z", "data": data}


def sparkpost(event: str, kind: str = "message_event", **more: Any) -> Any:
    inner = {"type": event, "event_id": "92", "rcpt_to": HANAKO, "timestamp": str(T), **more}
    return [{"msys": {kind: {**inner, "msg_from": SHOP, "friendly_from": SHOP}}}]


def customerio(event: str, **more: Any) -> Any:
    object_type, metric = event.split(":")
    recipient = "+819012345678" if object_type == "sms" else HANAKO
    data = {"identifiers": {"id": "c-1", "email": HANAKO}, "recipient": recipient, **more}
    known = {"event_id": "01E", "object_type": object_type, "metric": metric}
    return {**known, "timestamp": T, "data": data}


MAKERS = {
    "brevo": brevo, "mailersend": mailersend, "mailjet": mailjet, "mandrill": mandrill,
    "resend": resend, "sparkpost": sparkpost, "customerio": customerio,
}  # fmt: skip


class Becomes(NamedTuple):
    """What an event becomes: type, direction, and the decision that it is."""

    type: str
    direction: str
    consent: Mapping[str, bool] = MappingProxyType({})


PROCESSED, DELIVERED = Becomes("email_processed", OUT), Becomes("email_delivered", OUT)
DEFERRED, BOUNCED = Becomes("email_deferred", OUT), Becomes("email_bounced", OUT)
DROPPED, OPENED = Becomes("email_dropped", OUT), Becomes("email_opened", IN)
CLICKED, COMPLAINED = Becomes("email_clicked", IN), Becomes("email_complained", IN, WITHDRAWN)
LEFT = Becomes("email_unsubscribed", IN, WITHDRAWN)
SMS_FAILED = Becomes("sms_failed", OUT)
EVENTS: dict[str, dict[str, Becomes]] = {
    "brevo": {
        "request": PROCESSED, "delivered": DELIVERED, "deferred": DEFERRED,
        "soft_bounce": BOUNCED, "hard_bounce": BOUNCED, "invalid_email": BOUNCED,
        "blocked": DROPPED, "error": DROPPED, "opened": OPENED, "unique_opened": OPENED,
        "proxy_open": OPENED, "unique_proxy_open": OPENED, "click": CLICKED, "spam": COMPLAINED,
        "complaint": COMPLAINED, "unsubscribed": LEFT, "unsubscribe": LEFT,
        "contact_updated": Becomes("brevo_contact_updated", IN),
        "contact_deleted": Becomes("brevo_contact_deleted", IN),
        "list_addition": Becomes("brevo_list_addition", IN),
    },
    "mailersend": {
        "activity.sent": PROCESSED, "activity.delivered": DELIVERED, "activity.deferred": DEFERRED,
        "activity.soft_bounced": BOUNCED, "activity.hard_bounced": BOUNCED,
        "activity.opened": OPENED, "activity.clicked": CLICKED,
        "activity.opened_unique": Becomes("mailersend_activity_opened_unique", IN),
        "activity.clicked_unique": Becomes("mailersend_activity_clicked_unique", IN),
        "activity.spam_complaint": COMPLAINED, "activity.unsubscribed": LEFT,
        "activity.survey_opened": Becomes("mailersend_activity_survey_opened", IN),
        "activity.survey_submitted": Becomes("mailersend_activity_survey_submitted", IN),
    },
    "mailjet": {
        "sent": DELIVERED, "open": OPENED, "click": CLICKED, "bounce": BOUNCED, "blocked": DROPPED,
        "spam": COMPLAINED, "unsub": LEFT,
    },
    "mandrill": {
        "send": PROCESSED, "delivered": DELIVERED, "deferral": DEFERRED, "hard_bounce": BOUNCED,
        "soft_bounce": BOUNCED, "open": OPENED, "click": CLICKED, "spam": COMPLAINED,
        "unsub": LEFT, "reject": DROPPED,
    },
    "resend": {
        "email.sent": PROCESSED, "email.delivered": DELIVERED, "email.delivery_delayed": DEFERRED,
        "email.bounced": BOUNCED, "email.complained": COMPLAINED, "email.opened": OPENED,
        "email.clicked": CLICKED, "email.failed": DROPPED, "email.suppressed": DROPPED,
        "email.scheduled": Becomes("resend_email_scheduled", OUT),
    },
    "sparkpost": {
        "injection": PROCESSED, "delivery": DELIVERED, "delay": DEFERRED, "bounce": BOUNCED,
        "out_of_band": BOUNCED, "policy_rejection": DROPPED, "spam_complaint": COMPLAINED,
        "generation_failure": DROPPED, "generation_rejection": DROPPED, "open": OPENED,
        "amp_open": OPENED, "click": CLICKED, "amp_click": CLICKED,
        "list_unsubscribe": LEFT, "link_unsubscribe": LEFT,
        "initial_open": Becomes("sparkpost_initial_open", IN),
        "amp_initial_open": Becomes("sparkpost_amp_initial_open", IN),
    },
    "customerio": {
        "email:sent": PROCESSED, "email:delivered": DELIVERED, "email:deferred": DEFERRED,
        "email:bounced": BOUNCED, "email:dropped": DROPPED, "email:failed": DROPPED,
        "email:undeliverable": DROPPED, "email:opened": OPENED, "email:clicked": CLICKED,
        "email:spammed": COMPLAINED, "email:unsubscribed": LEFT,
        "email:drafted": Becomes("customerio_email_drafted", OUT),
        "email:attempted": Becomes("customerio_email_attempted", OUT),
        "email:converted": Becomes("customerio_email_converted", IN),
        "customer:unsubscribed": LEFT,
        "customer:subscribed": Becomes("email_resubscribed", IN, {"marketing": True}),
        "customer:cio_subscription_preferences_changed": Becomes(
            "customerio_customer_cio_subscription_preferences_changed", IN
        ),
        "sms:sent": Becomes("customerio_sms_sent", OUT),
        "sms:delivered": Becomes("sms_delivered", OUT), "sms:bounced": SMS_FAILED,
        "sms:failed": SMS_FAILED, "sms:undeliverable": SMS_FAILED,
        "sms:clicked": Becomes("customerio_sms_clicked", IN),
        "push:sent": Becomes("customerio_push_sent", OUT),
        "push:opened": Becomes("customerio_push_opened", IN),
        "in_app:clicked": Becomes("customerio_in_app_clicked", IN),
    },
}  # fmt: skip
EACH = [(preset, event) for preset, events in EVENTS.items() for event in events]


@pytest.mark.parametrize(("preset", "event"), EACH)
def test_each_documented_event_becomes_what_the_page_says(preset: str, event: str):
    found = touch(preset, MAKERS[preset](event))
    assert (found.type, found.direction, found.consent) == EVENTS[preset][event]
    assert found.occurred_at is not None
    assert found.occurred_at.isoformat() == f"{AT}+00:00"
    assert HANAKO in dict(map(reversed, people(found)))
    assert SHOP not in dict(map(reversed, people(found)))


@pytest.mark.parametrize(("preset", "events"), EVENTS.items())
def test_events_of_one_message_at_one_moment_have_ids_of_their_own(
    preset: str, events: dict[str, Becomes]
):
    if preset in ("mailersend", "resend", "sparkpost", "customerio"):
        pytest.skip("the provider gives each event an id")
    found = [touch(preset, MAKERS[preset](event)).event_id for event in events]
    link = "link" if preset == "brevo" else "url"
    for url in ("https://shop.example.com/a", "https://shop.example.com/b"):
        found.append(touch(preset, MAKERS[preset]("click", **{link: url})).event_id)
    assert len(set(found)) == len(found)


@pytest.mark.parametrize("preset", ["brevo", "mailjet", "mandrill"])
def test_a_long_link_costs_no_event_and_tells_clicks_apart(preset: str):
    link = "link" if preset == "brevo" else "url"
    urls = [f"https://shop.example.com/{'x' * 2000}{end}" for end in "ab"]
    found = [touch(preset, MAKERS[preset]("click", **{link: url})) for url in urls]
    assert [one.url for one in found] == urls
    assert len({one.event_id for one in found}) == len(urls)
    assert all(len(one.event_id) <= 512 for one in found)


BOUNCES = [
    ("brevo", brevo("soft_bounce"), "email_bounced", "soft_bounce"),
    ("brevo", brevo("blocked"), "email_dropped", "blocked"),
    ("mailersend", mailersend("activity.hard_bounced"), "email_bounced", "hard_bounced"),
    ("mailjet", mailjet("bounce", hard_bounce=True), "email_bounced", "hard_bounce"),
    ("mailjet", mailjet("bounce", hard_bounce=False), "email_bounced", "soft_bounce"),
    ("mailjet", mailjet("bounce", error="greylisted"), "email_deferred", "greylisted"),
    ("mailjet", mailjet("blocked", error="preblocked"), "email_dropped", "preblocked"),
    ("mandrill", mandrill("soft_bounce"), "email_bounced", "soft_bounce"),
    ("resend", resend("email.bounced", bounce={"type": "Transient"}), "email_bounced", "Transient"),
    (
        "resend",
        resend("email.bounced", bounce={"type": "Permanent", "subType": "Suppressed"}),
        "email_dropped",
        "Suppressed",
    ),
    ("resend", resend("email.failed", failed={"reason": "quota"}), "email_dropped", "quota"),
    ("sparkpost", sparkpost("bounce", bounce_class="10"), "email_bounced", "hard"),
    ("sparkpost", sparkpost("bounce", bounce_class=22), "email_bounced", "soft"),
    ("sparkpost", sparkpost("bounce", bounce_class="1"), "email_bounced", "undetermined"),
    ("sparkpost", sparkpost("out_of_band", bounce_class="60"), "sparkpost_auto_reply", None),
    ("sparkpost", sparkpost("bounce", bounce_class="90"), "email_unsubscribed", None),
    ("customerio", customerio("email:bounced", failure_message="550"), "email_bounced", "550"),
]


@pytest.mark.parametrize(("preset", "body", "kind", "outcome"), BOUNCES)
def test_why_a_message_did_not_arrive_is_its_outcome(
    preset: str, body: Any, kind: str, outcome: str | None
):
    found = touch(preset, body)
    assert (found.type, found.outcome) == (kind, outcome)


RECEIVED = [
    (
        "brevo",
        {
            "items": [
                {"MessageId": "<1@x>", "From": {"Address": HANAKO}, "To": [{"Address": SHOP}]}
            ]
        },
    ),
    (
        "mailersend",
        {
            "type": "inbound.message",
            "data": {
                "id": "<1@x>",
                "from": {"email": HANAKO},
                "recipients": {"rcptTo": [{"email": SHOP}]},
            },
        },
    ),
    (
        "mailjet",
        {
            "Sender": f"bounce+{HANAKO}", "Recipient": SHOP, "From": f"H <{HANAKO}>",
            "Headers": {"Message-ID": "<1@x>"},
        },
    ),
    (
        "mandrill",
        [
            {
                "event": "inbound",
                "ts": T,
                "msg": {"email": SHOP, "from_email": HANAKO, "headers": {"Message-Id": "<1@x>"}},
            }
        ],
    ),
    ("resend", {"type": "email.received", "data": {"from": f"H <{HANAKO}>", "to": [SHOP]}}),
    (
        "sparkpost",
        [{"msys": {"relay_message": {"friendly_from": f"H <{HANAKO}>", "rcpt_to": SHOP}}}],
    ),
]  # fmt: skip


@pytest.mark.parametrize(("preset", "body"), RECEIVED)
def test_of_an_incoming_message_the_customer_is_who_wrote_it(preset: str, body: Any):
    found = touch(preset, body)
    assert (found.type, found.direction) == ("email_received", IN)
    assert people(found) == [("email", HANAKO)]


CAMPAIGNS = [
    ("brevo", brevo("opened", tags=["a", "b"], tag='["a","b"]'), "a"),
    ("brevo", brevo("opened", tag="a"), "a"),
    ("brevo", brevo("opened", **{"campaign name": "Sale", "tag": ""}), "Sale"),
    ("mailjet", mailjet("open", customcampaign="a", mj_campaign_id=7), "a"),
    ("mailjet", mailjet("open", mj_campaign_id=7), "7"),
    ("mailjet", mailjet("open"), None),
    ("mandrill", mandrill("open"), "t"),
    ("resend", resend("email.opened", tags={"category": "a"}), "a"),
    ("resend", resend("email.opened", tags=[{"name": "category", "value": "a"}]), None),
    ("sparkpost", sparkpost("open", "track_event", campaign_id="a"), "a"),
    ("customerio", customerio("email:opened", campaign_id=23), "campaign 23"),
    ("customerio", customerio("email:opened", newsletter_id=23), "newsletter 23"),
    ("customerio", customerio("email:opened", broadcast_id=23), "broadcast 23"),
]


@pytest.mark.parametrize(("preset", "body", "name"), CAMPAIGNS)
def test_the_campaign_has_the_name_that_the_provider_knows(
    preset: str, body: Any, name: str | None
):
    found = touch(preset, body)
    assert (found.campaign.name if found.campaign else None) == name


PINGS = [
    ("brevo", brevo("list_addition", email=[HANAKO, TARO])),
    ("mailersend", {"type": "webhook.test", "data": {}}),
    ("mandrill", [{"type": "whitelist", "action": "add", "ts": T}]),
    ("resend", {"type": "domain.created", "created_at": f"{AT}Z", "data": {"id": "d"}}),
    ("sparkpost", [{"msys": {}}]),
    ("sparkpost", [{"msys": {"ab_test_event": {"type": "ab_test_completed", "ab_test": {}}}}]),
    ("customerio", customerio("slack:sent")),
]


@pytest.mark.parametrize(("preset", "body"), PINGS)
def test_tests_and_events_of_nobody_are_answered_as_received(preset: str, body: Any):
    (found,) = parse(preset, body)
    assert isinstance(found, Rejection)
    # Anything else is 400 if it is alone, and a provider may then give up the webhook.
    assert found.reason in ("unsupported", "no_identifier")


def test_an_empty_list_of_events_is_fine():
    for preset in ("mandrill", "mailjet", "sparkpost", "brevo"):
        assert parse(preset, []) == [], preset


def test_text_messages_of_brevo():
    known = {"id": 1, "to": "33612345678", "messageId": 9, "ts_event": T}
    for status, kind, direction, consent in (
        ("sent", "brevo_sent", OUT, {}),
        ("accepted", "brevo_accepted", OUT, {}),
        ("delivered", "sms_delivered", OUT, {}),
        ("hard_bounce", "sms_failed", OUT, {}),
        ("rejected", "sms_failed", OUT, {}),
        ("replied", "sms_received", IN, {}),
        ("unsubscribe", "brevo_unsubscribe", IN, {"sms_marketing": False}),
        ("subscribe", "brevo_subscribe", IN, {"sms_marketing": True}),
    ):
        found = touch("brevo", {**known, "msg_status": status})
        assert (found.type, found.channel, found.direction) == (kind, "phone", direction)
        assert found.consent == consent
        assert people(found) == [("phone", "+33612345678")]


def test_a_contact_of_resend_that_left_and_one_that_did_not():
    for unsubscribed, consent in ((True, WITHDRAWN), (False, {})):
        contact = {"email": TARO, "first_name": "Taro", "unsubscribed": unsubscribed}
        found = touch("resend", {"type": "contact.updated", "data": contact})
        assert (found.type, found.consent) == ("resend_contact_updated", consent)
        assert found.traits == {"first_name": "Taro"}


def test_one_wrong_event_of_a_list_costs_itself_alone():
    for preset, change in (
        ("mandrill", {"ts": "yesterday"}),
        ("mailjet", {"time": "yesterday"}),
        ("brevo", {"ts_event": "yesterday"}),
    ):
        make = MAKERS[preset]
        events = [make("click", **more) for more in ({}, change)]
        body = [one for part in events for one in (part if isinstance(part, list) else [part])]
        kept, refused = parse(preset, body)
        assert isinstance(kept, Touchpoint), preset
        assert isinstance(refused, Rejection), preset
        assert refused.detail.startswith("occurred_at: "), preset
