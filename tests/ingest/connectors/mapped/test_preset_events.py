"""What becomes of each event that the presets of campaigns, CRM, calls, apps and forms know."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from ingest.connector import Context, Request, Result
from ingest.connectors.mapped import catalogue
from ingest.connectors.mapped.connector import Mapped, MappedOptions
from ingest.connectors.mapped.contract import PRESETS
from ingest.testing.values import RECEIVED_MS, posted
from schemas.rejection import Rejection
from schemas.touchpoint import Touchpoint

#: Of each payload: type, channel and direction of its events, then what they say of the customer.
EVENTS = Path(__file__).with_name("preset_events.txt").read_text(encoding="utf-8")
PAGE = Path(__file__).parents[4] / "docs" / "channels" / "presets.md"
EXPECTED = {
    name: events.split(" / ")
    for name, _, events in (line.partition(": ") for line in EVENTS.splitlines())
}
MINE = sorted({name.partition("/")[0] for name in EXPECTED})
SECRET = "s"


@cache
def source(preset: str) -> Mapped:
    given = {"preset": preset, "signature": {"secret": SECRET}}
    return Mapped(MappedOptions.model_validate(given))


def parsed(preset: str, value: Any) -> list[Result]:
    body = PRESETS[preset]().encode(value)
    form = catalogue.load(preset).mapping.get("body") == "form"
    kind = "application/x-www-form-urlencoded" if form else "application/json"
    request = posted(body, {"content-type": kind})
    return list(source(preset).parse(request, Context("source", RECEIVED_MS)))


def touch(preset: str, value: Any) -> Touchpoint:
    (found,) = parsed(preset, value)
    assert isinstance(found, Touchpoint), found
    return found


def payload(name: str) -> Any:
    preset, _, stem = name.partition("/")
    return PRESETS[preset].payloads[stem]


def people(found: Touchpoint) -> dict[str, set[str]]:
    kinds = {one.kind for one in found.identifiers}
    return {k: {one.value for one in found.identifiers if one.kind == k} for k in kinds}


def summary(result: Result) -> str:
    """The decisive fields of a touch, on one line."""
    if isinstance(result, Rejection):
        return result.reason
    words = [result.type, result.channel, result.direction]
    words += [f"{kind}={','.join(sorted(ids))}" for kind, ids in sorted(people(result).items())]
    if result.outcome is not None:
        words.append(f"outcome={result.outcome}")
    if result.value is not None:
        words.append(f"value={result.value.amount:f}{result.value.currency}")
    if result.duration_s:
        words.append(f"{result.duration_s:g}s")
    words += [f"{purpose}={'yes' if yes else 'no'}" for purpose, yes in result.consent.items()]
    if result.campaign is not None and result.campaign.name:
        words.append(f"campaign={result.campaign.name.replace(' ', '_')}")
    return " ".join(words)


@pytest.mark.parametrize("name", EXPECTED)
def test_each_payload_becomes_what_is_documented(name: str):
    preset, _, _ = name.partition("/")
    assert [summary(result) for result in parsed(preset, payload(name))] == EXPECTED[name]


def test_each_payload_is_in_the_list():
    assert {f"{preset}/{stem}" for preset in MINE for stem in PRESETS[preset].payloads} == set(
        EXPECTED
    )


def test_the_page_names_each_preset_and_each_type():
    text = PAGE.read_text(encoding="utf-8")
    types = {event.split()[0] for events in EXPECTED.values() for event in events}
    unlisted = tuple(f"{preset}_" for preset in ("braze", "revenuecat"))
    named = {one for one in types if not one.startswith(unlisted)} - {"recipe_read"}
    assert not {one for one in named | set(MINE) if f"`{one}`" not in text}


#: Numbers, addresses and people in the payloads that are the company's own, or somebody else's.
OTHERS = {
    "+12065550100", "+14705550111", "shop@shop.example.com", "guest@example.org",
    "friend@example.org", "member-1",
}  # fmt: skip


@pytest.mark.parametrize("preset", MINE)
def test_nobody_but_the_customer_is_identified(preset: str):
    for value in PRESETS[preset].payloads.values():
        for result in parsed(preset, value):
            assert isinstance(result, Touchpoint)
            assert OTHERS.isdisjoint(one.value for one in result.identifiers)


@pytest.mark.parametrize(
    ("name", "path", "own"),
    [
        ("callrail/post_call", "customer_phone_number", "+12065550100"),
        ("callrail/post_call", "customer_phone_number", "+14705550111"),
        ("callrail/text_message_received", "source_number", "+12065550100"),
        ("callrail/text_message_sent", "destination_number", "+12065550100"),
        ("braze/sms_delivery", "events.0.properties.to_phone_number", "+12065550100"),
        ("braze/sms_inbound_receive", "events.0.properties.user_phone_number", "+12065550100"),
        ("iterable/sms_received", "dataFields.fromPhoneNumber", "+12065550100"),
        ("calendly/invitee_created", "payload.email", "shop@shop.example.com"),
    ],
)
def test_an_own_account_that_meets_another_is_no_customer(name: str, path: str, own: str):
    for result in parsed(name.partition("/")[0], changed(name, (path, own))):
        known = result.identifiers if isinstance(result, Touchpoint) else ()
        assert own not in {one.value for one in known}


def changed(name: str, *changes: tuple[str, Any]) -> Any:
    """A payload with other values at some paths; ABSENT takes a field out."""
    value = json.loads(json.dumps(payload(name)))
    for path, new in changes:
        *above, last = path.split(".")
        at = value
        for key in above:
            at = at[int(key)] if isinstance(at, list) else at[key]
        if new is ABSENT:
            del at[last]
        else:
            at[last] = new
    return value


ABSENT = object()
TYPES = "revenuecat/initial_purchase"


@pytest.mark.parametrize(
    ("name", "changes", "reason"),
    [
        (TYPES, [("event.type", "TEST")], "unsupported"),
        (TYPES, [("event.environment", "SANDBOX")], "unsupported"),
        ("revenuecat/refund", [("event.environment", "SANDBOX")], "unsupported"),
        (
            "revenuecat/virtual_currency_transaction",
            [("event.purchase_environment", "SANDBOX")],
            "unsupported",
        ),
        ("hubspot/contact_life", [("0.subscriptionType", "deal.creation")], "unsupported"),
        (
            "hubspot/contact_life",
            [("0.subscriptionType", "conversation.newMessage")],
            "unsupported",
        ),
        ("hubspot/generic", [("0.objectTypeId", "0-2")], "unsupported"),
        (
            "hubspot/contact_associations",
            [("0.subscriptionType", "company.associationChange")],
            "unsupported",
        ),
        ("mailchimp/cleaned", [("type", "campaign"), ("data[email]", ABSENT)], "unsupported"),
        ("typeform/form_response", [("form_response.answers", None), ("form_response.hidden", {})],
         "no_identifier"),
        ("callrail/pre_call", [("customer_phone_number", None)], "no_identifier"),
        ("iterable/email_open", [("email", "u1@placeholder.email"),
         ("dataFields.email", "u1@placeholder.email")], "no_identifier"),
        ("calendly/contact_updated", [("event", "event_type.created"),
         ("payload", {"uri": "https://api.calendly.com/event_types/1", "name": "Fitting"})],
         "no_identifier"),
    ],
)  # fmt: skip
def test_what_names_no_customer_and_what_is_a_test_is_refused(
    name: str, changes: list[tuple[str, Any]], reason: str
):
    (found,) = parsed(name.partition("/")[0], changed(name, *changes))
    assert isinstance(found, Rejection)
    assert found.reason == reason


#: Two events that differ in this alone are two.
DIFFERENCES: list[tuple[str, str, Any]] = [
    ("iterable/email_open", "dataFields.createdAt", "2025-02-03 10:15:31 +00:00"),
    ("iterable/email_open", "dataFields.messageId", "other"),
    ("iterable/email_open", "eventName", "emailClick"),
    ("iterable/email_click", "dataFields.linkUrl", "https://tea.example/other"),
    ("iterable/sms_received", "dataFields.smsMessage", "And sencha?"),
    ("iterable/email_unsubscribe", "dataFields.channelIds", [3421]),
    ("iterable/email_unsubscribe_list", "dataFields.emailListIds", [7]),
    ("mailchimp/unsubscribe", "data[list_id]", "b7"),
    ("mailchimp/unsubscribe", "fired_at", "2025-02-04 10:15:31"),
    ("mailchimp/profile", "data[merges][FNAME]", "Ren"),
    ("mailchimp/upemail", "data[new_email]", "r.mori@example.jp"),
    ("hubspot/contact_property_changes", "0.propertyName", "phone"),
    ("hubspot/contact_property_changes", "0.eventId", 1),
    ("hubspot/contact_associations", "0.toObjectId", 9002),
    ("callrail/post_call", "changes", ["note"]),
    ("callrail/call_modified", "changes", ["note"]),
    ("callrail/call_modified", "note", "called back"),
    ("callrail/pre_call", "business_phone_number", "+14705550111"),
    ("calendly/invitee_no_show_deleted", "created_at", "2025-04-08T04:20:01.000000Z"),
    ("calendly/invitee_canceled", "event", "invitee.created"),
    ("typeform/form_response_partial", "event_id", "01JNC5FF00GG11HH22JJ33KK55"),
    ("typeform/form_response_partial", "event_type", "form_response"),
    ("revenuecat/renewal", "event.id", "other"),
]


@pytest.mark.parametrize(("name", "path", "other"), DIFFERENCES)
def test_events_that_differ_have_ids_that_differ(name: str, path: str, other: Any):
    preset, _, _ = name.partition("/")
    value = changed(name, (path, other))
    assert touch(preset, value).event_id != touch(preset, payload(name)).event_id


#: A redelivery may differ in this.
@pytest.mark.parametrize(
    ("name", "path", "other"),
    [
        ("hubspot/contact_life", "0.attemptNumber", 3),
        ("callrail/post_call", "tags", ["later"]),
        ("callrail/post_call", "recording", None),
        ("calendly/invitee_created", "created_at", "2025-04-01T02:00:00.000000Z"),
        ("typeform/form_response", "event_id", "01JNC5FF00GG11HH22JJ33KK55"),
        ("revenuecat/renewal", "event.subscriber_attributes", {}),
    ],
)
def test_a_redelivery_has_the_same_id(name: str, path: str, other: Any):
    preset, _, _ = name.partition("/")
    value = changed(name, (path, other))
    assert touch(preset, value).event_id == touch(preset, payload(name)).event_id


def test_ids_of_no_event_hold_an_address_number_or_text():
    for name in EXPECTED:
        for found in parsed(name.partition("/")[0], payload(name)):
            assert isinstance(found, Touchpoint)
            for one in found.identifiers:
                if one.kind in ("email", "phone"):
                    assert one.value not in found.event_id


class TestRevenueCat:
    def test_a_price_without_its_currency_is_in_dollars(self):
        value = changed(TYPES, ("event.price_in_purchased_currency", None))
        found = touch("revenuecat", value)
        assert summary(found).split()[-2:] == ["value=6.42USD", "campaign=spring-tea"]

    def test_a_price_that_is_unknown_is_an_order_without_value(self):
        value = changed(TYPES, ("event.price", None), ("event.price_in_purchased_currency", None))
        assert (touch("revenuecat", value).type, touch("revenuecat", value).value) == (
            "order_completed", None,
        )  # fmt: skip

    @pytest.mark.parametrize("kind", ["INITIAL_PURCHASE", "RENEWAL", "NON_RENEWING_PURCHASE"])
    def test_what_costs_nothing_is_no_order(self, kind: str):
        value = changed(
            TYPES,
            ("event.type", kind),
            ("event.price", 0),
            ("event.price_in_purchased_currency", 0.0),
        )
        assert touch("revenuecat", value).type != "order_completed"

    def test_the_ids_of_a_customer_are_one_person_and_those_of_a_giver_are_not(self):
        ids = ["member-5521", "old-id", "$RCAnonymousID:2"]
        found = people(touch("revenuecat", changed(TYPES, ("event.aliases", ids))))
        assert found["customer_id"] == {"member-5521"}
        assert found["revenuecat"] == {"member-5521", "old-id"}
        assert "$RCAnonymousID:2" in found["anonymous_id"]
        transfer = changed(
            "revenuecat/transfer",
            ("event.transferred_from", ["$RCAnonymousID:9", "giver"]),
            ("event.transferred_to", ["receiver"]),
        )
        assert people(touch("revenuecat", transfer)) == {
            "customer_id": {"receiver"},
            "revenuecat": {"receiver"},
        }


class TestBraze:
    def test_what_braze_did_not_send_is_no_bounce(self):
        value = changed("braze/email_bounce", ("events.0.properties.is_drop", True))
        assert touch("braze", value).type == "email_dropped"

    @pytest.mark.parametrize(
        ("action", "consent"),
        [
            ("unsubscribed", {"sms_marketing": False}),
            ("subscribed", {"sms_marketing": True}),
            ("none", {}),
            (None, {}),
        ],
    )
    def test_a_text_that_opts_out_or_in_is_a_decision(self, action: str, consent: dict[str, bool]):
        value = changed("braze/sms_inbound_receive", ("events.0.properties.action", action))
        assert touch("braze", value).consent == consent


class TestCallRail:
    @pytest.mark.parametrize("recording", [None, "https://api.callrail.com/recording.json"])
    def test_a_call_is_counted_once_however_much_is_sent_of_it(self, recording: str | None):
        names = ("pre_call", "call_routing_complete", "post_call", "call_modified")
        found = [touch("callrail", payload(f"callrail/{name}")) for name in names]
        again = touch("callrail", changed("callrail/post_call", ("recording", recording)))
        assert sum(one.type.startswith("call_") for one in found) == 1
        assert again.event_id == found[2].event_id
        assert len({one.event_id for one in found}) == len(found)

    def test_a_message_from_the_companys_number_is_sent_by_it(self):
        value = changed(
            "callrail/text_message_sent",
            ("direction", ABSENT),
            ("tracking_phone_number", "+12065550100"),
        )
        assert summary(touch("callrail", value)).startswith("sms_sent phone outbound")


class TestTypeform:
    def test_of_two_addresses_only_the_first_is_the_customers(self):
        found = touch("typeform", payload("typeform/form_response"))
        assert people(found)["email"] == {"naoko.m@example.jp"}

    def test_an_answer_that_pays_or_identifies_is_no_property(self):
        text = json.dumps(touch("typeform", payload("typeform/form_response")).properties)
        assert not any(one in text for one in ("4242", "friend@example.org", "+819034567812"))


class TestCalendly:
    def test_only_a_number_that_the_host_calls_is_the_invitees(self):
        place = {"type": "inbound_call", "location": "+81 3-0000-0001"}
        name = "calendly/invitee_created_paid"
        value = changed(name, ("payload.scheduled_event.location", place))
        assert "phone" not in people(touch("calendly", value))

    def test_a_meeting_that_is_moved_is_booked_and_paid_once(self):
        old = "https://api.calendly.com/scheduled_events/1/invitees/1"
        value = changed("calendly/invitee_created_paid", ("payload.old_invitee", old))
        assert (touch("calendly", value).type, touch("calendly", value).value) == (
            "calendly_invitee_rebooked", None,
        )  # fmt: skip


class TestSignatures:
    """Computed as the provider's documentation says, apart from what the suite does."""

    BODY = b'[{"a": 1}]'

    def request(self, **headers: str) -> Request:
        named = {name.replace("_", "-").lower(): value for name, value in headers.items()}
        return posted(self.BODY, named)

    def verified(self, preset: str, request: Request) -> bool:
        return source(preset).verify(request, RECEIVED_MS)

    def test_hubspot_signs_method_address_body_and_time(self):
        time = str(RECEIVED_MS)
        text = b"POST" + self.request().url.encode() + self.BODY + time.encode()
        digest = base64.b64encode(hmac.digest(b"s", text, hashlib.sha256)).decode()
        headers = {"X_HubSpot_Signature_v3": digest, "X_HubSpot_Request_Timestamp": time}
        assert self.verified("hubspot", self.request(**headers))
        assert not self.verified(
            "hubspot", self.request(**{**headers, "X_HubSpot_Request_Timestamp": time + "1"})
        )

    def test_callrail_signs_the_body_with_sha_1(self):
        digest = base64.b64encode(hmac.digest(b"s", self.BODY, hashlib.sha1)).decode()
        assert self.verified("callrail", self.request(Signature=digest))

    def test_typeform_signs_the_body_behind_a_prefix(self):
        digest = base64.b64encode(hmac.digest(b"s", self.BODY, hashlib.sha256)).decode()
        assert self.verified("typeform", self.request(Typeform_Signature=f"sha256={digest}"))

    def test_calendly_signs_time_and_body(self):
        time = str(RECEIVED_MS // 1000)
        digest = hmac.digest(b"s", f"{time}.".encode() + self.BODY, hashlib.sha256).hex()
        shown = f"t={time},v1={digest}"
        assert self.verified("calendly", self.request(Calendly_Webhook_Signature=shown))

    def test_the_others_show_a_secret(self):
        assert self.verified("revenuecat", self.request(Authorization="s"))
        assert self.verified("iterable", self.request(Authorization="s"))
        assert self.verified("braze", self.request(Authorization="Bearer s"))
        assert self.verified("mailchimp", self.request()._replace(query="secret=s"))
        for preset in ("revenuecat", "iterable", "braze", "mailchimp"):
            assert not self.verified(preset, self.request(Authorization="Bearer t"))
