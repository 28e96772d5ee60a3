"""The changes of a WhatsApp business account: what is undone, who is one person, orders, groups."""

from __future__ import annotations

import json
from typing import Any

import pytest

from ingest.connector import Context
from ingest.connectors.meta import Meta, MetaOptions
from ingest.connectors.meta.contract import signed
from ingest.intake.accept import Accepted
from ingest.testing.values import RECEIVED_MS, accepted
from schemas.rejection import Rejection
from schemas.touchpoint import Touchpoint

OURS = "81311112222"
CUSTOMER = "819011110001"
PHONE = ("phone", f"+{CUSTOMER}")
USER = ("whatsapp", "JP.10000000000000000001")
PARENT = ("whatsapp", "JP.ENT.20000000000000000001")
CONTACT = {"profile": {"name": "A"}, "wa_id": CUSTOMER, "user_id": USER[1]}


def parse(value: Any, field: str = "messages", **options: Any) -> list[Any]:
    """What becomes of a change of a WhatsApp account."""
    metadata = {"display_phone_number": OURS, "phone_number_id": "900000000000002"}
    whole = {"messaging_product": "whatsapp", "metadata": metadata, **value}
    entry = {"id": "9", "changes": [{"field": field, "value": whole}]}
    body = {"object": "whatsapp_business_account", "entry": [entry]}
    connector = Meta(MetaOptions(**{"app_secret": "s", "verify_token": "v", **options}))
    request = signed(json.dumps(body).encode())
    return list(connector.parse(request, Context("wa", RECEIVED_MS)))


def one(value: Any, field: str = "messages", **options: Any) -> Any:
    (result,) = parse(value, field, **options)
    return result


def message(kind: str, content: Any = None, **more: Any) -> Any:
    """What becomes of a customer's message of a kind."""
    given = {"from": CUSTOMER, "id": "wamid.1", "timestamp": "1764532800", "type": kind}
    return one({"messages": [{**given, **({} if content is None else {kind: content}), **more}]})


def echo(kind: str, content: Any = None, **more: Any) -> Any:
    """What becomes of a message that the company wrote on its phone."""
    given = {"from": OURS, "to": CUSTOMER, "id": "wamid.1", "timestamp": "1764532800"}
    event = {**given, "type": kind, **({} if content is None else {kind: content}), **more}
    return one({"message_echoes": [event]}, "smb_message_echoes")


def people(touch: Touchpoint) -> set[tuple[str, str]]:
    return {(i.kind, i.value) for i in touch.identifiers}


# What is undone, edited or empty is not new

REVOKE = {"original_message_id": "wamid.0"}
EDIT = {"original_message_id": "wamid.0", "message": {"type": "text", "text": {"body": "New"}}}
CAPTION = {"original_message_id": "wamid.0", "message": {"image": {"caption": "New"}}}


@pytest.mark.parametrize(
    ("kind", "content", "type_", "text"),
    [
        ("revoke", REVOKE, "message_deleted", None),
        ("edit", EDIT, "message_edited", "New"),
        ("edit", CAPTION, "message_edited", "New"),
        ("reaction", {"message_id": "wamid.0", "emoji": "👍"}, "message_reacted", None),
        ("reaction", {"message_id": "wamid.0", "emoji": ""}, "message_unreacted", None),
        ("reaction", {"message_id": "wamid.0", "emoji": None}, "message_unreacted", None),
        ("reaction", {"message_id": "wamid.0"}, "message_unreacted", None),
    ],
    ids=str,
)
@pytest.mark.parametrize("side", [message, echo])
def test_a_message_that_changes_another_is_no_new_one(
    side: Any, kind: str, content: Any, type_: str, text: str | None
):
    touch = side(kind, content)
    direction = "inbound" if side is message else "outbound"
    assert (touch.type, touch.direction, touch.subject) == (type_, direction, text)
    assert people(touch) == {PHONE}
    assert touch.properties.get("text") == text


def test_a_change_with_the_id_of_its_message_is_told_apart_from_it():
    same = {"original_message_id": "wamid.1"}
    ids = [
        message("text", {"body": "Hi"}).event_id,
        message("edit", {**EDIT, **same}).event_id,
        message("edit", {**EDIT, **same}, timestamp="1764532900").event_id,
        message("revoke", same).event_id,
    ]
    assert ids[0] == "wamid.1"
    assert len(set(ids)) == 4
    assert message("revoke", REVOKE).event_id == "wamid.1"


def test_a_status_and_a_later_one_are_two_events():
    given = {"id": "wamid.1", "recipient_id": CUSTOMER, "timestamp": "1764532800"}
    found = parse({"statuses": [{**given, "status": name} for name in ("delivered", "read")]})
    assert [touch.event_id for touch in found] == ["wamid.1:delivered", "wamid.1:read"]


# Who is one person


def test_a_customer_who_changed_the_number_is_known_by_both():
    changed = {
        "type": "user_changed_number",
        "wa_id": "819011110077",
        "user_id": "JP.4",
        "previous_user_id": "JP.3",
        "parent_user_id": "JP.ENT.6",
        "previous_parent_user_id": "JP.ENT.5",
    }
    ids = {("whatsapp", f"JP.{end}") for end in ("3", "4", "ENT.5", "ENT.6")}
    assert people(message("system", changed)) == {PHONE, ("phone", "+819011110077"), *ids}
    old = {"type": "customer_changed_number", "new_wa_id": "819011110077", "customer": CUSTOMER}
    assert people(message("system", old)) == {PHONE, ("phone", "+819011110077")}


def test_a_customer_whose_id_changed_is_known_by_both():
    event = {"from_user_id": "JP.2", "id": "wamid.6", "timestamp": "1764532800", "type": "system"}
    system = {"type": "user_changed_user_id", "user_id": "JP.2", "previous_user_id": "JP.1"}
    touch = one({"messages": [{**event, "system": system}]})
    assert people(touch) == {("whatsapp", "JP.1"), ("whatsapp", "JP.2")}


@pytest.mark.parametrize(
    ("name", "event"),
    [
        (
            "messages",
            {"from": CUSTOMER, "from_user_id": USER[1], "from_parent_user_id": PARENT[1]},
        ),
        (
            "statuses",
            {
                "status": "read",
                "recipient_id": CUSTOMER,
                "recipient_user_id": USER[1],
                "recipient_parent_user_id": PARENT[1],
            },
        ),
        (
            "statuses",
            {
                "status": "read",
                "recipient_id": CUSTOMER,
                "recipient_user_id": USER[1],
                "parent_recipient_user_id": PARENT[1],
            },
        ),
        (
            "statuses",
            {
                "status": "read",
                "recipient_id": "Y2FwaV9ncm91cDo",
                "recipient_type": "group",
                "recipient_participant_id": CUSTOMER,
                "recipient_participant_user_id": USER[1],
                "recipient_participant_parent_user_id": PARENT[1],
            },
        ),
        (
            "message_echoes",
            {"from": OURS, "to": CUSTOMER, "to_user_id": USER[1], "to_parent_user_id": PARENT[1]},
        ),
        (
            "calls",
            {
                "direction": "BUSINESS_INITIATED",
                "to": CUSTOMER,
                "to_user_id": USER[1],
                "to_parent_user_id": PARENT[1],
            },
        ),
        (
            "user_preferences",
            {"wa_id": CUSTOMER, "user_id": USER[1], "parent_user_id": PARENT[1]},
        ),
    ],
)
def test_number_and_ids_are_one_person_wherever_they_stand(name: str, event: dict[str, Any]):
    """In the event itself, or in the contact beside it that is the same person."""
    named = {"id": "wamid.1", "timestamp": "1764532800", **event}
    assert people(one({name: [named]})) == {PHONE, USER, PARENT}
    other = {"profile": {"name": "B"}, "wa_id": "819099999999", "user_id": "JP.9"}
    theirs = {**CONTACT, "parent_user_id": PARENT[1]}
    hidden = {key: value for key, value in named.items() if "user_id" not in key}
    assert people(one({"contacts": [other, theirs], name: [hidden]})) == {PHONE, USER, PARENT}
    unnumbered = {key: value for key, value in named.items() if value != CUSTOMER}
    touch = one({"contacts": [other, theirs], name: [unnumbered]})
    assert people(touch) == {PHONE, USER, PARENT}
    assert touch.traits == {"name": "A"}


def test_the_company_s_own_number_is_never_a_customer():
    for number in (OURS, "+81 3-1111-2222"):
        metadata = {"metadata": {"display_phone_number": number}}
        given = {"id": "w", "timestamp": "1764532800", "type": "text"}
        sent = one({**metadata, "messages": [{**given, "from": OURS, "to": CUSTOMER}]})
        assert (sent.type, sent.direction, people(sent)) == ("message_sent", "outbound", {PHONE})
        for event in ({**given, "from": OURS}, {**given, "from": OURS, "to": OURS}):
            refused = one({**metadata, "messages": [event]})
            assert (type(refused), refused.reason) == (Rejection, "no_identifier")
    for options in ({"accounts": (CUSTOMER,)}, {"accounts": (f"+{CUSTOMER}",)}):
        given = {"from": CUSTOMER, "id": "w", "type": "text"}
        assert one({"messages": [given]}, **options).reason == "no_identifier"


# Advertisements, calls, orders, preferences


def test_the_advertisement_that_led_to_the_chat_is_its_campaign():
    ad = {"source_type": "ad", "source_id": "1200", "headline": "Boots", "ctwa_clid": "c"}
    touch = message("text", {"body": "hi"}, referral=ad)
    assert touch.campaign.name == "1200"
    assert touch.properties["referral"] == ad
    assert message("text", referral={**ad, "source_type": "post"}).campaign is None
    for wrong in (5, [], {"source_type": "ad", "source_id": []}):
        assert message("text", referral=wrong).campaign is None


def test_all_about_a_call_is_of_the_channel_phone():
    status = {"id": "wacid.1", "timestamp": "1764532800", "recipient_id": CUSTOMER}
    for more in ({"type": "call"}, {}):
        ringing = one({"statuses": [{**status, "status": "RINGING", **more}]}, "calls")
        assert (ringing.channel, ringing.type) == ("phone", "meta_call_ringing")
    connect = {"id": "wacid.1", "from": CUSTOMER, "event": "connect"}
    assert one({"calls": [connect]}, "calls").channel == "phone"
    for answer in ("accept", "reject"):
        reply = {"type": "call_permission_reply", "call_permission_reply": {"response": answer}}
        touch = message("interactive", reply)
        assert (touch.channel, touch.outcome) == ("phone", answer)
        assert touch.consent == {}
    button = {"type": "button_reply", "button_reply": {"id": "1", "title": "Yes"}}
    assert message("interactive", button).channel == "social"


def order(*items: Any, **more: Any) -> Any:
    return message("order", {"catalog_id": "1", "product_items": list(items), **more})


def test_an_order_in_the_chat_is_an_order_with_its_total():
    two = {"product_retailer_id": "a", "quantity": 2, "item_price": 30.1, "currency": "USD"}
    one_ = {"product_retailer_id": "b", "quantity": "1", "item_price": "5", "currency": "USD"}
    touch = order(two, one_, text="Two pairs")
    assert (touch.channel, touch.type, touch.subject) == ("commerce", "order_placed", "Two pairs")
    assert (str(touch.value.amount), touch.value.currency) == ("65.2", "USD")
    assert isinstance(accepted(touch, None), Accepted)


@pytest.mark.parametrize(
    "items",
    [
        (),
        (5,),
        ({"quantity": 1, "item_price": 5},),
        ({"quantity": 1, "item_price": "much", "currency": "USD"},),
        ({"quantity": 1, "item_price": 1, "currency": "USD"}, {"currency": "USD"}),
        ({"quantity": 1, "item_price": 1, "currency": "USD"}, {"currency": "JPY"}),
        ({"quantity": 1, "item_price": "1e999999", "currency": "USD"},) * 2,
        ({"quantity": 1, "item_price": "Infinity", "currency": "USD"},),
    ],
    ids=str,
)
def test_an_order_without_prices_in_one_currency_has_no_value(items: tuple[Any, ...]):
    touch = order(*items)
    assert (touch.type, touch.value) == ("order_placed", None)


def pay(status: str, transaction: str = "t1", **more: Any) -> Any:
    paid = {
        "reference_id": "order-7",
        "amount": {"value": 21050, "offset": 100},
        "currency": "INR",
        "transaction": {"id": transaction, "status": "success"},
    }
    event = {"id": "wamid.1", "timestamp": "1764532800", "recipient_id": CUSTOMER}
    return one(
        {"statuses": [{**event, "type": "payment", "status": status, "payment": paid} | more]}
    )


def test_a_captured_payment_completes_the_order():
    touch = pay("captured")
    assert (touch.channel, touch.type, touch.direction) == (
        "commerce",
        "order_completed",
        "inbound",
    )
    assert (str(touch.value.amount), touch.value.currency) == ("210.5", "INR")
    assert (touch.outcome, people(touch)) == ("success", {PHONE})
    assert touch.properties["order_id"] == "order-7"
    assert pay("pending").type == "meta_payment_pending"
    attempts = [pay("failed", one_).event_id for one_ in ("t1", "t2", "t2")]
    assert len(set(attempts)) == 2
    assert pay("captured", payment={"amount": {"value": 1, "offset": 0}}).value is None


@pytest.mark.parametrize(
    ("value", "type_", "consent"),
    [
        ("stop", "messages_unsubscribed", {"marketing": False}),
        ("resume", "messages_subscribed", {"marketing": True}),
        ("signup", "messages_subscribed", {"marketing": True}),
        ("later", "meta_user_preferences", {}),
    ],
)
def test_a_preference_is_a_decision(value: str, type_: str, consent: dict[str, bool]):
    event = {"wa_id": CUSTOMER, "category": "marketing_messages", "value": value}
    touch = one({"user_preferences": [{**event, "timestamp": 1764532800}]}, "user_preferences")
    assert (touch.type, touch.consent) == (type_, consent)


@pytest.mark.parametrize(
    ("kind", "content", "type_", "text"),
    [
        ("image", {"caption": "Look"}, "message_received", "Look"),
        ("sticker", {"id": "1"}, "message_received", None),
        ("location", {"latitude": 1.5, "longitude": 2.5}, "message_received", None),
        ("contacts", [{"name": {"formatted_name": "C"}}], "message_received", None),
        ("unsupported", {"type": "poll"}, "message_received", None),
        ("button", {"text": "Yes", "payload": "y"}, "postback_received", "Yes"),
        (
            "interactive",
            {"type": "list_reply", "list_reply": {"title": "42"}},
            "postback_received",
            "42",
        ),
        (
            "interactive",
            {"type": "nfm_reply", "nfm_reply": {"body": "Sent", "response_json": "{}"}},
            "postback_received",
            "Sent",
        ),
        ("request_welcome", None, "meta_request_welcome", None),
    ],
    ids=str,
)
def test_messages_of_every_kind(kind: str, content: Any, type_: str, text: str | None):
    touch = message(kind, content)
    assert (touch.channel, touch.type, touch.subject) == ("social", type_, text)


# History, address book, groups, standby


def history(*messages: Any, thread: str = CUSTOMER, **context: Any) -> list[Any]:
    threads = [{"id": thread, "messages": list(messages), **context}]
    value = {"history": [{"metadata": {"phase": 0, "chunk_order": 1}, "threads": threads}]}
    return parse(value, "history")


def test_the_history_is_read_message_by_message():
    at = {"timestamp": "1739230955", "type": "text"}
    found = history(
        {**at, "from": OURS, "id": "w1", "text": {"body": "Hi"}},
        {**at, "from": CUSTOMER, "id": "w2", "text": {"body": "Hello"}},
        {**at, "from": OURS, "id": "w3", "history_context": {"status": "ERROR"}},
        5,
        {**at, "from": OURS, "to": CUSTOMER, "id": "w4", "type": "revoke"},
    )
    assert [touch.type for touch in found if isinstance(touch, Touchpoint)] == [
        "message_sent",
        "message_received",
        "message_failed",
        "message_deleted",
    ]
    assert {frozenset(people(touch)) for touch in found if isinstance(touch, Touchpoint)} == {
        frozenset({PHONE})
    }
    assert [touch.event_id for touch in found[:2]] == ["w1", "w2"]
    assert isinstance(found[3], Rejection)
    declined = one({"history": [{"errors": [{"code": 2593109}]}]}, "history")
    assert declined.reason == "no_identifier"


def test_a_thread_of_a_customer_without_number_is_theirs():
    sent = {"from": OURS, "id": "w1", "timestamp": "1739230955", "type": "text"}
    (touch,) = history(sent, thread=USER[1])
    assert people(touch) == {USER}
    (touch,) = history(sent, context={"user_id": USER[1], "parent_user_id": PARENT[1]})
    assert people(touch) == {PHONE, USER, PARENT}


def test_each_entry_of_the_address_book_is_an_event():
    contacts = [
        {
            "type": "contact",
            "contact": {"full_name": "A", "phone_number": number},
            "action": action,
            "metadata": {"timestamp": "1739321024"},
        }
        for number, action in ((CUSTOMER, "add"), (CUSTOMER, "remove"), ([], "add"))
    ]
    added, removed, refused = parse({"state_sync": contacts}, "smb_app_state_sync")
    assert added.type == "meta_smb_app_state_sync_add"
    assert removed.type == "meta_smb_app_state_sync_remove"
    assert {added.direction, removed.direction} == {"outbound"}
    assert people(added) == people(removed) == {PHONE}
    assert added.event_id != removed.event_id
    assert refused.detail.startswith("entry.changes.value.state_sync.contact.phone_number: ")


@pytest.mark.parametrize(
    ("group", "type_", "direction"),
    [
        (
            {"type": "group_participants_add", "added_participants": [{"wa_id": CUSTOMER}] * 2},
            "meta_group_participants_add",
            "inbound",
        ),
        (
            {
                "type": "group_participants_remove",
                "removed_participants": [{"input": CUSTOMER}],
                "failed_participants": [{"input": CUSTOMER}],
                "initiated_by": "business",
            },
            "meta_group_participants_remove",
            "outbound",
        ),
        (
            {"type": "group_join_request_created", "join_request_id": "j", "wa_id": CUSTOMER},
            "meta_group_join_request_created",
            "inbound",
        ),
    ],
)
def test_members_of_a_group_are_customers_each(group: Any, type_: str, direction: str):
    given = {"timestamp": "1764532800", "group_id": "g", **group}
    first, *others = parse({"groups": [given]}, "group_participants_update")
    assert (first.type, first.direction, people(first)) == (type_, direction, {PHONE})
    for other in others:
        assert other.type in (type_, f"{type_}_failed")
        assert people(other) == {PHONE}


def test_a_member_named_by_an_id_is_found():
    removed = {"type": "group_participants_remove", "removed_participants": [{"input": USER[1]}]}
    touch = one({"groups": [{"timestamp": "1764532800", **removed}]}, "group_participants_update")
    assert people(touch) == {USER}


def test_what_another_app_answers_is_the_same_with_a_mark():
    given = {"from": CUSTOMER, "id": "w", "timestamp": "1764532800", "type": "text"}
    touch = one({"messages": [given]}, "standby")
    assert (touch.type, touch.properties["standby"]) == ("message_received", True)
    sent = {"message_echoes": [{**given, "from": OURS, "to": CUSTOMER}]}
    assert one(sent, "standby").type == "message_sent"


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("message_template_status_update", {"event": "APPROVED"}),
        ("account_update", {"event": "PARTNER_REMOVED"}),
        ("phone_number_quality_update", {"event": "FLAGGED"}),
        ("group_lifecycle_update", {"groups": [{"type": "group_create", "group_id": "g"}]}),
        ("automatic_events", {"automatic_events": [{"id": "w", "event_name": "Purchase"}]}),
        ("messages", {"errors": [{"code": 131000}]}),
    ],
)
def test_what_concerns_the_account_names_no_customer(field: str, value: Any):
    assert one(value, field).reason == "no_identifier"


# One bad event costs itself alone; what only helps costs nothing


@pytest.mark.parametrize("name", ["messages", "statuses", "message_echoes", "calls"])
@pytest.mark.parametrize("bad", [5, None, [], "x", {"id": []}], ids=str)
def test_one_bad_event_of_a_list_costs_no_other(name: str, bad: Any):
    good = {"id": "w", "timestamp": "1764532800", "type": "text", "status": "read"}
    good |= {"from": CUSTOMER, "to": CUSTOMER, "recipient_id": CUSTOMER}
    before, refused, after = parse({name: [good, bad, {**good, "id": "w2"}]})
    assert isinstance(before, Touchpoint)
    assert isinstance(after, Touchpoint)
    assert isinstance(refused, Rejection)


def test_a_list_that_is_none_costs_no_other_list():
    good = {"from": CUSTOMER, "id": "w", "timestamp": "1764532800", "type": "text"}
    found = parse({"messages": [good], "statuses": 5, "errors": "x"})
    assert [type(result) for result in found] == [Touchpoint, Rejection]


@pytest.mark.parametrize("wrong", [5, "x", [5], {"a": 1}, [[]]], ids=str)
@pytest.mark.parametrize("name", ["contacts", "metadata"])
def test_what_stands_beside_an_event_costs_none(name: str, wrong: Any):
    good = {"from": CUSTOMER, "id": "w", "timestamp": "1764532800", "type": "text"}
    touch = one({"messages": [good], name: wrong})
    assert (touch.type, people(touch)) == ("message_received", {PHONE})
    for profile in (wrong, {"name": wrong}):
        contact = {"wa_id": CUSTOMER, "profile": profile}
        named = one({"messages": [good], "contacts": [contact]}).traits.get("name")
        assert named in (None, "x")
