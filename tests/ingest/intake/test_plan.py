"""The tracking plan: what of a touchpoint it is about, and how differences are told."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest.connector import touchpoint
from ingest.intake.accept import SourcePolicy, accept
from ingest.intake.plan import FIELDS, MOST, Plan, stated
from ingest.intake.plan_schema import DRAFT, problems
from schemas.touchpoint import Touchpoint
from tests.support.touches import touch

SHOP = SourcePolicy("shop", currency="JPY", channel="kiosk")


def stating(**fields: Any) -> Touchpoint:
    found = touchpoint(
        {
            "event_id": "e",
            "channel": "web",
            "type": "plan_chosen",
            "identifiers": [{"kind": "email", "value": "a@example.com"}],
            **fields,
        },
        b"",
    )
    assert isinstance(found, Touchpoint)
    return found


def told(schema: Any, **fields: Any) -> list[str]:
    """The differences from a schema, each as its sender reads it."""
    plan = Plan({"plan_chosen": schema}, rejects=True)
    found = plan.violations(stating(**fields), SHOP, lambda: b"")
    return [str(one) for one in found.found] if found else []


def of_properties(**schemas: Any) -> dict[str, Any]:
    return {"properties": {"properties": {"type": "object", **schemas}}}


class TestWhatItIsAbout:
    def test_the_touchpoint_in_json_with_what_its_source_adds(self) -> None:
        found = stated(
            stating(
                value={"amount": "12.50"},
                occurred_at="2026-11-20T09:00:00+09:00",
                campaign={"name": "spring"},
                traits={"city": None},
                outcome="won",
            ),
            SHOP,
        )
        assert json.loads(json.dumps(found)) == {
            "event_id": "e",
            "channel": "kiosk",
            "type": "plan_chosen",
            "identifiers": [{"kind": "email", "value": "a@example.com"}],
            "direction": "inbound",
            "occurred_at": "2026-11-20T00:00:00.000Z",
            "traits": {"city": None},
            "consent": {},
            "properties": {},
            "campaign": {"name": "spring"},
            "value": {"amount": 12.5, "currency": "JPY"},
            "outcome": "won",
        }

    def test_every_field_of_the_touchpoint_but_those_of_its_transport(self) -> None:
        assert set(Touchpoint.model_fields) - {"sent_at", "schema_version"} == set(FIELDS)
        whole = stating(
            value={"amount": 1}, campaign={}, occurred_at="2026-11-20T09:00:00Z", duration_s=1,
            outcome="o", sentiment=0, subject="s", url="u",
        )  # fmt: skip
        assert set(stated(whole, SHOP)) == set(FIELDS)

    def test_a_type_without_a_schema_is_unplanned_unless_there_is_one_for_all_others(self) -> None:
        other = stating(type="page_viewed")
        plan = Plan({"plan_chosen": {}}, rejects=False)
        found = plan.violations(other, SHOP, lambda: b"")
        assert found is not None
        assert (found.type, found.planned_type, found.action) == ("page_viewed", "", "warned")
        assert [one.rule for one in found.found] == ["unplanned"]
        open_plan = Plan({"plan_chosen": {}, "_default": {"required": ["url"]}}, rejects=False)
        found = open_plan.violations(other, SHOP, lambda: b"")
        assert found is not None
        assert (found.planned_type, [one.place for one in found.found]) == ("", ["url"])
        assert open_plan.violations(stating(type="x", url="u"), SHOP, lambda: b"") is None


class TestHowDifferencesAreTold:
    CASES = (
        (of_properties(required=["plan"]), {}, "properties.plan: expected a value, came nothing"),
        (
            of_properties(properties={"plan": {"enum": ["free", "有料"]}}),
            {"plan": "secret"},
            'properties.plan: expected enum ["free", "有料"], came string',
        ),
        (
            of_properties(properties={"type": {"type": "string"}}),
            {"type": 5},
            'properties.type: expected type "string", came integer',
        ),
        (
            of_properties(properties={"n": {"type": ["integer", "null"]}}),
            {"n": 1.5},
            'properties.n: expected type ["integer", "null"], came number',
        ),
        (
            of_properties(properties={"plan": {}}, additionalProperties=False),
            {"secret": True},
            "properties.secret: expected no such field, came boolean",
        ),
        (
            of_properties(properties={"old": False}),
            {"old": [1]},
            "properties.old: expected no such field, came array",
        ),
        (
            of_properties(
                properties={"items": {"items": {"properties": {"price": {"minimum": 0}}}}}
            ),
            {"items": [{"price": 1}, {"price": -1}, {"price": -2}]},
            "properties.items[].price: expected minimum 0, came integer",
        ),
        (
            of_properties(properties={"a": {"$ref": "#/$defs/s"}}) | {"$defs": {"s": {"const": 1}}},
            {"a": None},
            "properties.a: expected const 1, came null",
        ),
        (
            of_properties(properties={"at": {"format": "date"}}),
            {"at": "yesterday"},
            'properties.at: expected format "date", came string',
        ),
        (
            of_properties(anyOf=[{"required": ["a"]}, {"required": ["b"]}]),
            {},
            'properties: expected anyOf [{"required": ["a"]}, {"required": ["b"]}], came object',
        ),
    )  # fmt: skip

    @pytest.mark.parametrize(("schema", "properties", "expected"), CASES)
    def test_place_what_was_expected_and_the_type_that_came(
        self, schema: Any, properties: dict[str, Any], expected: str
    ) -> None:
        assert told(schema, properties=properties) == [expected]

    def test_of_other_fields_too(self) -> None:
        email = {"contains": {"properties": {"kind": {"const": "email"}}}}
        schema = {"required": ["value"], "properties": {"identifiers": email, "traits": {}}}
        assert told(schema) == ["value: expected a value, came nothing"]
        assert told(schema, value={"amount": 1}) == []

    def test_no_more_than_so_many(self) -> None:
        names = [f"n{number}" for number in range(100)]
        assert len(told(of_properties(required=names))) == MOST

    def test_what_a_schema_says_is_cut(self) -> None:
        schema = of_properties(properties={"x": {"enum": ["y" * 50] * 1 + list(range(500))}})
        (line,) = told(schema, properties={"x": None})
        assert len(line) < 300

    def test_deeper_than_the_library_goes_is_a_difference_and_no_error(self) -> None:
        deep: Any = 1
        for _ in range(400):
            deep = [deep]
        schema = of_properties(properties={"x": {"type": "string"}})
        assert told(schema, properties={"x": deep}) == [
            "the event: expected at most 250 levels, came more"
        ]

    VALUES = st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
        lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
        max_leaves=10,
    )

    @given(st.dictionaries(st.text(), VALUES, max_size=5))
    def test_any_accepted_event_is_compared_and_no_value_repeated(
        self, properties: dict[str, Any]
    ) -> None:
        secret = "vErY-pRiVaTe"
        one = touch("e", ("email", "a@example.com"), properties={**properties, "s": secret})
        accepted = accept(one, SHOP, 1_790_000_000_000, b"")
        schema = of_properties(
            additionalProperties={"type": "object", "maxProperties": 0}, maxProperties=0
        )
        plan = Plan({one.type: schema}, rejects=False)
        found = plan.violations(one, SHOP, lambda: b"")
        if type(accepted).__name__ == "Accepted":
            assert found is not None
            assert secret not in str(found.found)


class TestSchemas:
    @pytest.mark.parametrize(
        "schema",
        [
            {},
            {"$schema": DRAFT, "title": "x", "required": ["value"]},
            {"$defs": {"a/b": {}}, "properties": {"value": {"$ref": "#/$defs/a~1b"}}},
            {"properties": {"traits": {"$ref": "#here"}}, "$defs": {"x": {"$anchor": "here"}}},
            of_properties(properties={"plan": {"const": {"$ref": "no reference"}}}),
        ],
    )
    def test_that_can_be_used(self, schema: Any) -> None:
        assert list(problems(schema)) == []
        Plan({"plan_chosen": schema}, rejects=True)

    @pytest.mark.parametrize(
        ("schema", "location", "message"),
        [
            ([], (), "a mapping"),
            ({"type": "objekt"}, ("type",), "expected one of null, boolean"),
            (
                of_properties(properties={"a": {"minimum": "x"}}),
                ("properties", "properties", "properties", "a", "minimum"),
                "is not what JSON Schema allows",
            ),
            ({"required": "value"}, ("required",), "a list of names"),
            ({"$schema": "http://json-schema.org/draft-07/schema#"}, ("$schema",), DRAFT),
            ({"required": ["order_id"]}, ("required", 0), "properties.properties"),
            ({"properties": {"propertis": {}}}, ("properties", "propertis"), "mean properties?"),
            (
                {"allOf": [{"$ref": "https://example.com/schema"}]},
                ("allOf", 0, "$ref"),
                "within the file",
            ),
            ({"allOf": [{"$ref": "#/$defs/x"}]}, ("allOf", 0, "$ref"), "leads nowhere"),
            ({"properties": {"url": {"$ref": "#x"}}}, (), "cannot be used"),
            (
                {"properties": {"url": {"pattern": "^(?=a)"}}},
                ("properties", "url", "pattern"),
                "regular expression",
            ),
        ],
    )
    def test_that_cannot(self, schema: Any, location: tuple[Any, ...], message: str) -> None:
        [(found, text)] = list(problems(schema))
        assert found == location
        assert message in text

    def test_all_that_is_wrong_is_said(self) -> None:
        schema = {"type": 1, "required": ["order_id"], "properties": {"url": {"type": 2}}}
        assert len(list(problems(schema))) == 3

    JSON = st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(),
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(
                st.sampled_from(
                    ["type", "properties", "required", "$ref", "enum", "items", "pattern", "anyOf",
                     "$defs", "minimum", "$id", "$anchor", "not", "format", "url"]
                ),
                inner,
                max_size=4,
            )
        ),
        max_leaves=15,
    )  # fmt: skip

    @given(JSON)
    def test_a_schema_without_a_problem_can_be_used(self, schema: Any) -> None:
        if not list(problems(schema)):
            Plan({"x": schema}, rejects=True).violations(stating(type="x"), SHOP, lambda: b"")
