"""Events read by a mapping: rules, types, values, times, and what is left over."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest

from ingest.connector import Context, Result
from ingest.connectors.mapped.contract import MAPPING
from ingest.testing.values import MARK, RECEIVED_MS
from schemas.rejection import Rejection
from schemas.touchpoint import Touchpoint
from tests.ingest.connectors.mapped.mappings import (
    FILTERED,
    LIST,
    MINIMAL,
    PAYLOADS,
    make,
    mapping,
    post,
)

EMAIL = {"email": "hanako@example.com"}


def parse(body: Any, rules: dict[str, Any], source: str = "shop-2", **headers: str) -> list[Result]:
    request = post(json.dumps(body).encode(), **headers)
    return list(make(rules).parse(request, Context(source, RECEIVED_MS)))


def touch(event: dict[str, Any], **rules: Any) -> Any:
    (result,) = parse({**EMAIL, **event}, {**MINIMAL, **rules})
    return result


def refusal(event: dict[str, Any], **rules: Any) -> str:
    result = touch(event, **rules)
    assert isinstance(result, Rejection), result
    assert MARK not in result.detail
    return f"{result.reason}: {result.detail}"


def identified(result: Any) -> set[tuple[str, str]]:
    return {(one.kind, one.value) for one in result.identifiers}


# The shared mappings


def test_a_batch_with_rules():
    results = parse(PAYLOADS["batch"], MAPPING, x_shop="tokyo")
    assert all(isinstance(result, Touchpoint) for result in results), results
    call, signup, order, unknown = results
    assert (call.type, call.channel, call.direction) == ("call_completed", "phone", "inbound")
    assert call.event_id == "7:tokyo:1"
    assert call.occurred_at == datetime(2026, 11, 20, 3, 58, tzinfo=UTC)
    assert (call.duration_s, call.outcome, call.sentiment) == (65.5, "answered", 0.5)
    assert call.traits == {"account": "Acme"}
    assert identified(call) == {("phone", "+81 90-1234-5678")}
    # What a table translates stays; what is mapped as it is does not.
    assert call.properties == {"kind": "call", "state": 2, "rating": "4", "agent": {"team": "A"}}
    assert (signup.type, signup.channel) == ("newsletter_joined", "email")
    assert signup.consent == {"marketing": True}
    assert signup.traits == {"city": "京都"}, "null unsets nothing"
    assert (order.type, order.channel) == ("order_completed", "commerce")
    assert (order.value.amount, order.value.currency) == (Decimal("123.45"), "EUR")
    assert identified(order) == {("email", "taro@example.com")}
    assert (unknown.type, unknown.channel) == ("acme_something_new", "phone")


def test_a_body_that_is_a_list():
    first, second = parse(PAYLOADS["list"], mapping(LIST))
    assert (first.type, second.type) == ("page_viewed", "order_completed")
    assert first.occurred_at == datetime(2026, 11, 20, 4, 0, tzinfo=UTC)
    assert second.occurred_at == datetime(2026, 11, 20, 4, 0, 1, 500_000, tzinfo=UTC)
    assert identified(second) == {("customer_id", "42"), ("email", "hanako@example.com")}
    assert first.traits == {"plan": "pro"}
    assert second.traits == {}
    (lone,) = parse(PAYLOADS["list"][0], mapping(LIST))
    assert lone == first


def test_events_that_an_expression_picks():
    results = parse(PAYLOADS["filtered"], mapping(FILTERED))
    assert [result.event_id for result in results] == ["m2", "m3"]
    assert results[0].properties == {}


# Types

TABLE = {"expr": "t", "table": {"Sign Up": "joined"}}
ONE = {"when": "t == 'Sign Up'"}


@pytest.mark.parametrize(
    ("rules", "kinds"),
    [
        ({"type": "fixed"}, ["fixed", "fixed"]),
        ({"type": {"expr": "t"}}, ["sign_up", "other_thing"]),
        ({"type": TABLE}, ["joined", "shop_2_other_thing"]),
        (
            {"type": TABLE, "prefix": "Acme Inc."},
            ["joined", "acme_inc_other_thing"],
        ),
        ({"type": TABLE, "unknown": "reject"}, ["joined", ""]),
        (
            {"type": {"expr": "t"}, "rules": [ONE]},
            ["sign_up", "shop_2_other_thing"],
        ),
        (
            {"type": {"expr": "t"}, "rules": [ONE], "unknown": "reject"},
            ["sign_up", ""],
        ),
        ({"type": "rest", "rules": [{**ONE, "type": "joined"}]}, ["joined", "rest"]),
        (
            {"type": "x", "rules": [ONE], "unknown": "reject"},
            ["x", ""],
        ),
        ({"type": None, "rules": [{**ONE, "type": "joined"}]}, ["joined", ""]),
    ],
)  # fmt: skip
def test_the_type(rules: dict[str, Any], kinds: list[str]):
    rules = {name: rule for name, rule in {**MINIMAL, **rules}.items() if rule is not None}
    found = [parse({**EMAIL, "t": word}, rules)[0] for word in ("Sign Up", "other.thing")]
    assert [one.type if isinstance(one, Touchpoint) else "" for one in found] == kinds
    for one in found:
        if isinstance(one, Rejection):
            assert one.reason == "unsupported"


def test_the_first_rule_that_holds_is_taken():
    rules = [
        {"when": "starts_with(a, 'x')", "type": "first", "outcome": "b"},
        {"when": "a", "type": "second"},
        {"when": "`true`", "type": "third", "outcome": None},
    ]
    common = {"outcome": "'common'", "rules": rules}
    found = [touch({"a": a, "b": "own"}, **common) for a in ("xy", "y", 5, None)]
    assert [one.type for one in found] == ["first", "second", "second", "third"]
    assert [one.outcome for one in found] == ["own", "common", "common", None]


@pytest.mark.parametrize(
    ("word", "kind"), [(True, "on"), (False, "off"), (1, "one"), (0.5, "half"), ("True", "on")]
)
def test_tables_translate_truth_values_and_numbers(word: Any, kind: str):
    table = {"True": "on", "False": "off", "1": "one", "0.5": "half"}
    assert touch({"t": word}, type={"expr": "t", "table": table}).type == kind
    assert touch({"t": word}, outcome={"expr": "t", "table": table}).outcome == kind


def test_a_word_that_is_not_in_a_table_gives_nothing():
    table = {"expr": "x", "table": {"a": "b"}}
    event = touch({"x": "c"}, outcome=table, direction={**table, "table": {"a": "outbound"}})
    assert (event.outcome, event.direction, event.properties) == (None, "inbound", {"x": "c"})


# Times


@pytest.mark.parametrize(
    ("value", "rule", "expected"),
    [
        ("2026-11-20T13:00:00+09:00", "at", "2026-11-20T04:00:00"),
        ("2026-11-20T04:00:00", "at", "2026-11-20T04:00:00"),
        ("2026-11-20 13:00:00", {"expr": "at", "timezone": "Asia/Tokyo"}, "2026-11-20T04:00:00"),
        (1795147200, {"expr": "at", "format": "epoch_s"}, "2026-11-20T04:00:00"),
        ("1795147200", {"expr": "at", "format": "epoch_s"}, "2026-11-20T04:00:00"),
        (1795147200123, {"expr": "at", "format": "epoch_ms"}, "2026-11-20T04:00:00.123"),
        (1795147200, {"expr": "at", "format": "auto"}, "2026-11-20T04:00:00"),
        ("1795147200123", {"expr": "at", "format": "auto"}, "2026-11-20T04:00:00.123"),
        ("2026-11-20T13:00:00+09:00", {"expr": "at", "format": "auto"}, "2026-11-20T04:00:00"),
        (
            "20/11/26 13:00",
            {"expr": "at", "format": "%d/%m/%y %H:%M", "timezone": "Asia/Tokyo"},
            "2026-11-20T04:00:00",
        ),
        (
            "20 Nov 2026 13:00:00 +0900",
            {"expr": "at", "format": "%d %b %Y %H:%M:%S %z", "timezone": "Europe/Berlin"},
            "2026-11-20T04:00:00",
        ),
    ],
)
def test_times(value: Any, rule: Any, expected: str):
    moment = datetime.fromisoformat(expected).replace(tzinfo=UTC)
    assert touch({"at": value}, occurred_at=rule).occurred_at == moment


@pytest.mark.parametrize("form", ["rfc3339", "epoch_s", "epoch_ms", "auto", "%Y-%m-%d"])
@pytest.mark.parametrize(
    "value",
    [MARK, True, [MARK], {"a": 1}, 10**30, "9" * 500, "2026-13-01", "9999-12-31T23:59:59-12:00"],
)
def test_a_wrong_time_is_refused(form: str, value: Any):
    rule = {"expr": "at", "format": form}
    assert refusal({"at": value}, occurred_at=rule).startswith("invalid: occurred_at: must be ")


def test_no_time_is_that_of_receipt():
    assert touch({"at": None}, occurred_at="at").occurred_at is None
    assert touch({"at": ""}, occurred_at={"expr": "at", "format": "epoch_s"}).occurred_at is None


# Values


def test_a_scale_is_exact():
    for cents, amount in ((12345, "123.45"), ("7", "0.07"), (0.1, "0.001"), (-5, "-0.05")):
        event = touch(
            {"c": cents}, value={"amount": {"expr": "c", "scale": 0.01}, "currency": "'JPY'"}
        )
        assert event.value.amount == Decimal(amount)
    assert touch({"c": None}, value={"amount": {"expr": "c", "scale": 2}}).value is None
    assert touch({"c": 1e-7}, duration_s={"expr": "c", "scale": 1000}).duration_s == 0.0001
    for wrong in (MARK, True, [1], "1e5", 1e30):
        rule = {"amount": {"expr": "c", "scale": 2}}
        assert refusal({"c": wrong}, value=rule) == "invalid: value.amount: must be a number"


X = [{"kind": "email", "value": "x"}]


@pytest.mark.parametrize(
    ("rules", "value", "detail"),
    [
        ({"event_id": "x"}, {"a": MARK}, "event_id: must be text or a whole number"),
        ({"outcome": "x"}, [MARK], "outcome: must be text or a whole number"),
        ({"subject": "x"}, [MARK], "subject: must be text or a whole number"),
        ({"url": "x"}, 5, "url: must be text"),
        ({"duration_s": "x"}, MARK, "duration_s: must be a number"),
        ({"duration_s": "x"}, -1, "duration_s: Input should be greater than or equal to 0"),
        ({"sentiment": "x"}, True, "sentiment: must be a number"),
        ({"sentiment": "x"}, 5, "sentiment: Input should be less than or equal to 1"),
        ({"sentiment": "to_number('nan')"}, 5, "sentiment: Input should be"),
        ({"consent": {"news": "x"}}, "yes", "consent.news: must be true or false"),
        ({"campaign": {"name": "x"}}, {}, "campaign.name: must be text or a whole number"),
        ({"value": {"amount": "x"}}, MARK, "value.amount: must be a number"),
        ({"value": {"amount": "`1`", "currency": "x"}}, MARK, "value.currency: String"),
        ({"traits": "x"}, [MARK], "traits: must be an object"),
        ({"properties": "x"}, MARK, "properties: must be an object"),
        ({"direction": {"expr": "x"}}, MARK, "direction: Input should be 'inbound' or 'outbound'"),
        ({"channel": {"expr": "x"}}, MARK, "channel: String should match pattern"),
        ({"type": {"expr": "x"}}, [MARK], "type: must be text with letters or digits"),
        ({"type": {"expr": "x"}}, "…", "type: must be text with letters or digits"),
        ({"type": {"expr": "x"}}, "a" * 200, "type: String should have at most 128 characters"),
        ({"type": {"expr": "length(x)"}}, 5, "type: length() was given number, it takes string or"),
        ({"subject": "starts_with(x, 'a')"}, 5, "subject: starts_with() was given number"),
        ({"subject": "join(',', [x, x])"}, [MARK], "subject: join() was given array"),
        ({"consent": {"a": "avg(x)"}}, [MARK], "consent.a: avg() was given string"),
        ({"traits": {"a": "sum(x)"}}, MARK, "traits.a: sum() was given string"),
        ({"traits": "merge(x, x)"}, MARK, "traits: merge() was given string"),
        ({"properties": "merge(x, x)"}, MARK, "properties: merge() was given string"),
        ({"occurred_at": "abs(x)"}, MARK, "occurred_at: abs() was given string"),
        ({"identifiers": X}, {"a": MARK}, "identifiers.email: must be"),
        ({"identifiers": X}, [[MARK]], "identifiers.email: must be"),
        ({"identifiers": X}, [0.5], "identifiers.email: must be"),
    ],
)  # fmt: skip
def test_a_wrong_value_is_refused_by_the_name_of_its_field(
    rules: dict[str, Any], value: Any, detail: str
):
    assert refusal({"x": value}, **rules).startswith(f"invalid: {detail}")


def test_an_event_without_a_customer_is_refused():
    (result,) = parse({"email": None}, MINIMAL)
    assert (result.reason, result.detail) == (  # type: ignore[union-attr]
        "no_identifier",
        "identifiers: none of them is in the event",
    )


def test_without_an_id_it_is_derived_from_the_content():
    assert touch({"a": 1}).event_id == touch({"a": 1}).event_id != touch({"a": 2}).event_id
    assert touch({"a": 1}, event_id="b").event_id == touch({"a": 1}).event_id


def test_identifiers_of_lists_and_numbers():
    rules = [{"kind": "email", "value": "x[].y"}, {"kind": "customer_id", "value": "n"}]
    event = touch(
        {"x": [{"y": "a@example.com"}, {"y": "b@example.com"}, {}], "n": 7}, identifiers=rules
    )
    assert identified(event) == {
        ("email", "a@example.com"), ("email", "b@example.com"), ("customer_id", "7"),
    }  # fmt: skip


def test_consent_is_only_what_was_decided():
    rules = {"a": "x", "b": "y", "c": "`false`"}
    assert touch({"x": True}, consent=rules).consent == {"a": True, "c": False}


# Properties


def test_the_rest_is_what_is_not_mapped():
    event = {"a": {"b": 1, "c": {"d": 2, "e": 3}}, "f": {"g": "x"}, "h": None, "i": [1]}
    rules = {"subject": "f.g", "event_id": "a.b"}
    assert touch(event, **rules).properties == {"a": {"c": {"d": 2, "e": 3}}, "h": None, "i": [1]}
    kept = touch(event, **rules, properties={"rest": True, "without": ["a.c.d", "h", "i"]})
    assert kept.properties == {"a": {"c": {"e": 3}}}
    both = {"rest": True, "without": ["a"], "expr": "{n: a.c.d, i: i[0]}"}
    assert touch(event, **rules, properties=both).properties == {"h": None, "i": 1, "n": 2}
    assert touch(event, properties="{n: a.c.d}").properties == {"n": 2}
    assert touch(event, properties={"rest": False}).properties == {}


def test_an_object_that_grows_as_it_is_written_is_refused():
    text = {"a": ["x" * 1000] * 200}
    grown = "[{x: @}, {x: @}, {x: @}, {x: @}, {x: @}, {x: @}]"
    rules = {"properties": f"{{a: a.{grown}}}".replace("a.[", "a | [")}
    assert refusal(text, **rules) == "invalid: properties: is too large"
    assert isinstance(touch({"a": ["x"]}, **rules), Touchpoint)


def test_an_event_that_takes_too_much_work_is_refused_and_the_next_is_not():
    rules = {**MINIMAL, "rules": [{"when": "a[?b == `1`]"}]}
    large = {**EMAIL, "a": [{"b": 2}] * 200_000}
    first, second = parse([large, EMAIL], rules)
    assert isinstance(first, Rejection)
    assert first.detail == "when: takes too much work for this event"
    assert isinstance(second, Touchpoint)


def test_events_that_a_rule_rejects_are_unsupported():
    rules = [{"when": "test", "reject": True}, {"when": "kind == 'b'", "type": "other_happened"}]
    assert refusal({"test": 1}, rules=rules).startswith("unsupported: ")
    # Such a rule alone says nothing about the events that it does not hold for.
    assert touch({}, rules=rules[:1], unknown="reject").type == "thing_happened"
    assert touch({"kind": "b"}, rules=rules).type == "other_happened"


def test_a_long_id_becomes_another_that_is_as_distinct():
    found = [touch({"id": "x" * size}, event_id="id").event_id for size in (512, 513, 514, 513)]
    assert found[0] == "x" * 512
    assert all(len(one) <= 512 for one in found)
    assert len(set(found)) == 3
    assert found[1] == found[3]


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("Hanako <hanako@example.com>", ["hanako@example.com"]),
        ("hanako@example.com", ["hanako@example.com"]),
        (None, []),
        ("", []),
    ],
)
def test_the_address_in_a_header_of_an_e_mail(given: str | None, expected: list[str]):
    rules = [{"kind": "customer_id", "value": "id"}, {"kind": "email", "value": "address(from)"}]
    found = touch({"id": "c", "from": given}, identifiers=rules)
    assert [one.value for one in found.identifiers if one.kind == "email"] == expected


@pytest.mark.parametrize("wrong", [5.5, [MARK], {"a": 1}, True])
def test_a_wrong_optional_field_is_left_out_and_costs_nothing(wrong: Any):
    rules = {
        "subject": "x", "url": "x", "outcome": "starts_with(x, 'a')", "campaign": {"name": "x"},
        "traits": "merge(x, `5`)", "event_id": "id",
    }  # fmt: skip
    named = ["campaign", "outcome", "subject", "traits", "url"]
    found = touch({"x": wrong, "id": "1"}, **rules, optional=named)
    assert (found.subject, found.url, found.outcome, found.campaign) == (None,) * 4
    assert (found.event_id, found.traits) == ("1", {})
    assert refusal({"x": wrong, "id": "1"}, **rules, optional=named[1:]).startswith(
        "invalid: campa"
    )


@pytest.mark.parametrize(
    "sender", ["Shop@shop.example.com", ["a@b.example", "shop@shop.example.com"]]
)
def test_what_the_company_sends_itself_is_of_nobody(sender: Any):
    rules = {"identifiers": {"email": "to", "customer_id": "id"}, "own": ["from"]}
    event = {"from": sender, "id": "1"}
    assert touch({**event, "to": "hanako@example.com"}, **rules).properties["from"] == sender
    # Nobody is lost because the company cannot be read.
    unread = {**rules, "own": ["address(from)"]}
    assert touch({**event, "from": 5, "to": "hanako@example.com"}, **unread).identifiers
    assert refusal({**event, "to": "shop@SHOP.example.com"}, **rules).startswith("no_identifier: ")
