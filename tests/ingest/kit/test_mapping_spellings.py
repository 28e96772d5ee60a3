"""The two mapping languages: a spelling of either one means the same in both (docs/mapping.md).

Each case is read by `jsonl`, whose mapping is that of files, and by `mapped`.
"""

from __future__ import annotations

import json
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest

from ingest.connector import Context, Request, Result
from ingest.connectors.jsonl.connector import JsonLines, JsonLinesOptions
from ingest.connectors.mapped.connector import Mapped, MappedOptions
from ingest.registry import ConnectorError, Registry
from ingest.testing.values import RECEIVED_MS
from schemas.rejection import Rejection
from tests.support.mapping_languages import LANGUAGES, RULES, SIGNATURE, options

EVENT: dict[str, Any] = {
    "id": "7",
    "mail": "ada@example.com",
    "who": {"first": "Ada", "last": "Lovelace", "phone": "+81312345678"},
    "at": "2026-11-20 13:00",
    "seconds": 1795147200,
    "milliseconds": "1795147200000",
    "state": 2,
    "kind": "Gift Card",
    "way": "out",
    "cents": 12345,
    "written": "1.234,50",
    "currency": "EUR",
    "accepts": "Ja",
    "note": "x",
    "empty": "",
    "nothing": None,
}
AT = datetime(2026, 11, 20, 4, 0, tzinfo=UTC)
TOKYO = "Asia/Tokyo"


def result(language: str, changes: dict[str, Any], **event: Any) -> Result:
    given = options(language, {**RULES, **changes})
    connector: JsonLines | Mapped = (
        Mapped(MappedOptions.model_validate(given))
        if language == "mapped"
        else JsonLines(JsonLinesOptions.model_validate(given))
    )
    body = json.dumps({**EVENT, **event}).encode()
    request = Request("POST", "/files/f/1", "", "", {}, body)
    (found,) = connector.parse(request, Context("shop-2", RECEIVED_MS))
    return found


def touch(language: str, changes: dict[str, Any], **event: Any) -> dict[str, Any]:
    found = result(language, changes, **event)
    assert not isinstance(found, Rejection), found
    return found.model_dump()


STATES = {"1": "answered", "2": "busy"}


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        # Where a value comes from
        ({"event_id": "who.last"}, {"event_id": "Lovelace"}),
        ({"event_id": {"column": "who.last"}}, {"event_id": "Lovelace"}),
        ({"event_id": {"expr": "who.last"}}, {"event_id": "Lovelace"}),
        ({"event_id": {"value": "fixed `1`"}}, {"event_id": "fixed `1`"}),
        ({"event_id": {"column": ["id", "who.first"]}}, {"event_id": "7 Ada"}),
        ({"event_id": ["id", "nothing", "empty", "state"]}, {"event_id": "7 2"}),
        ({"outcome": {"value": "busy"}}, {"outcome": "busy"}),
        ({"outcome": {"column": "note"}}, {"outcome": "x"}),
        ({"direction": {"value": "outbound"}}, {"direction": "outbound"}),
        ({"channel": {"column": "note"}}, {"channel": "x"}),
        ({"subject": {"column": ["nothing", "empty"]}}, {"subject": None}),
        # Translations
        ({"outcome": {"column": "state", "values": STATES}}, {"outcome": "busy"}),
        ({"outcome": {"expr": "state", "table": STATES}}, {"outcome": "busy"}),
        ({"outcome": {"column": "note", "values": STATES}}, {"outcome": "x"}),
        ({"outcome": {"column": "note", "table": STATES}}, {"outcome": None}),
        (
            {"outcome": {"column": "note", "values": STATES, "default": "other"}},
            {"outcome": "other"},
        ),
        ({"outcome": {"expr": "note", "table": STATES, "default": "other"}}, {"outcome": "other"}),
        ({"outcome": {"column": "empty", "default": "none"}}, {"outcome": "none"}),
        ({"outcome": {"column": "nothing", "default": "none"}}, {"outcome": "none"}),
        ({"outcome": {"column": "note", "default": "none"}}, {"outcome": "x"}),
        (
            {"direction": {"column": "way", "values": {"out": "outbound"}}},
            {"direction": "outbound"},
        ),
        # Types
        ({"type": {"column": "kind"}}, {"type": "gift_card"}),
        ({"type": {"expr": "kind"}}, {"type": "gift_card"}),
        ({"type": {"value": "gift_given"}}, {"type": "gift_given"}),
        ({"type": {"column": "kind", "values": {"Gift Card": "a"}}}, {"type": "a"}),
        ({"type": {"column": "kind", "values": {"Toy": "a"}}}, {"type": "gift_card"}),
        ({"type": {"expr": "kind", "table": {"Gift Card": "a"}}}, {"type": "a"}),
        ({"type": {"expr": "kind", "table": {"Toy": "a"}}}, {"type": "shop_2_gift_card"}),
        (
            {"type": {"column": "kind", "table": {"Toy": "a"}}, "prefix": "till"},
            {"type": "till_gift_card"},
        ),
        (
            {"type": {"column": "kind", "table": {"Toy": "a"}, "default": "b"}},
            {"type": "b"},
        ),
        ({"type": {"column": "empty", "default": "b"}}, {"type": "b"}),
        # Times
        ({"occurred_at": {"column": "at", "zone": TOKYO}}, {"occurred_at": AT}),
        ({"occurred_at": {"expr": "at", "timezone": TOKYO}}, {"occurred_at": AT}),
        (
            {"occurred_at": {"column": "at", "format": "%Y-%m-%d %H:%M", "zone": TOKYO}},
            {"occurred_at": AT},
        ),
        (
            {"occurred_at": {"column": "at", "format": "rfc3339", "zone": TOKYO}},
            {"occurred_at": AT},
        ),
        (
            {"occurred_at": {"column": "at", "format": "iso8601", "zone": TOKYO}},
            {"occurred_at": AT},
        ),
        ({"occurred_at": {"column": "seconds", "format": "unix"}}, {"occurred_at": AT}),
        ({"occurred_at": {"column": "seconds", "format": "epoch_s"}}, {"occurred_at": AT}),
        ({"occurred_at": {"column": "milliseconds", "format": "unix_ms"}}, {"occurred_at": AT}),
        ({"occurred_at": {"column": "milliseconds", "format": "epoch_ms"}}, {"occurred_at": AT}),
        ({"occurred_at": {"column": "nothing", "optional": True}}, {"occurred_at": None}),
        # Numbers
        ({"value": "cents"}, {"value": {"amount": Decimal(12345), "currency": None}}),
        (
            {"value": {"amount": {"column": "cents", "scale": 0.01}, "currency": {"value": "EUR"}}},
            {"value": {"amount": Decimal("123.45"), "currency": "EUR"}},
        ),
        (
            {
                "value": {
                    "amount": "written",
                    "decimal": ",",
                    "thousands": ".",
                    "currency": {"column": "currency"},
                }
            },
            {"value": {"amount": Decimal("1234.5"), "currency": "EUR"}},
        ),
        (
            {
                "value": {
                    "amount": {"expr": "written", "scale": 2},
                    "decimal": ",",
                    "thousands": ".",
                }
            },
            {"value": {"amount": Decimal(2469), "currency": None}},
        ),
        ({"duration_s": {"column": "cents", "scale": "0.001"}}, {"duration_s": 12.345}),
        ({"sentiment": {"expr": "state", "scale": 0.5}}, {"sentiment": 1.0}),
        # Identifiers
        (
            {"identifiers": [{"kind": "email", "value": "mail"}]},
            {"identifiers": ({"kind": "email", "value": "ada@example.com"},)},
        ),
        (
            {"identifiers": {"phone": ["nothing", "who.phone"]}},
            {"identifiers": ({"kind": "phone", "value": "+81312345678"},)},
        ),
        (
            {"identifiers": [{"kind": "phone", "value": {"column": "who.phone"}}]},
            {"identifiers": ({"kind": "phone", "value": "+81312345678"},)},
        ),
        # Groups
        ({"traits": ["note", "who.first"]}, {"traits": {"note": "x", "who.first": "Ada"}}),
        ({"traits": {"name": "who.first"}}, {"traits": {"name": "Ada"}}),
        (
            {"consent": {"news": {"column": "accepts", "given": ["ja"], "refused": "nein"}}},
            {"consent": {"news": True}},
        ),
        (
            {"consent": {"news": {"expr": "note", "given": "yes", "refused": ["X"]}}},
            {"consent": {"news": False}},
        ),
        ({"consent": {"news": {"column": "empty", "given": ["ja"]}}}, {"consent": {}}),
        (
            {"consent": {"news": {"column": "note", "given": [], "refused": ["x"]}}},
            {"consent": {"news": False}},
        ),
        ({"properties": ["note", "nothing"]}, {"properties": {"note": "x"}}),
        ({"properties": []}, {"properties": {}}),
    ],
)
def test_a_spelling_means_the_same_in_both_languages(
    language: str, changes: dict[str, Any], expected: dict[str, Any]
):
    found = touch(language, changes)
    assert {name: found[name] for name in expected} == expected


@pytest.mark.parametrize("language", LANGUAGES)
def test_all_the_rest_but_some_columns_are_properties(language: str):
    whole = touch(language, {})["properties"]
    some = touch(language, {"properties": {"rest": True, "without": ["who", "note"]}})["properties"]
    assert {"who", "note", "at"} <= whole.keys()
    assert some == {name: value for name, value in whole.items() if name not in ("who", "note")}


@pytest.mark.parametrize("language", LANGUAGES)
def test_types_that_a_table_does_not_list_can_be_refused(language: str):
    rules = {"type": {"column": "kind", "table": {"Toy": "toy_sold"}}, "unknown": "reject"}
    refused = result(language, rules)
    assert isinstance(refused, Rejection)
    assert (refused.reason, refused.detail) == (
        "unsupported",
        "type: the mapping does not take such an event",
    )
    assert touch(language, rules, kind="Toy")["type"] == "toy_sold"


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize(
    ("changes", "detail"),
    [
        ({"occurred_at": {"column": "nothing", "optional": False}}, "is empty, and should be"),
        ({"consent": {"news": {"column": "note", "given": ["ja"]}}}, "is none of the words for"),
        ({"value": {"amount": {"column": "note", "scale": 2}}}, "must be a number"),
        ({"duration_s": {"column": "note", "scale": 2}}, "number"),
        ({"occurred_at": {"column": "note", "format": "epoch_s"}}, "must be"),
    ],
)
def test_a_wrong_value_is_refused_in_both(language: str, changes: dict[str, Any], detail: str):
    refused = result(language, changes)
    assert isinstance(refused, Rejection)
    assert refused.reason == "invalid"
    assert detail in refused.detail


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize(
    "changes",
    [
        {"event_id": {"column": "a", "value": "b"}},
        {"event_id": {"expr": "a", "column": "b"}},
        {"event_id": {"column": []}},
        {"event_id": {"column": 5}},
        {"outcome": {"column": "a", "values": {"b": "c"}, "table": {"b": "c"}}},
        {"outcome": {"column": "a", "table": {}}},
        {"occurred_at": {"column": "a", "zone": "UTC", "timezone": "UTC"}},
        {"occurred_at": {"column": "a", "zone": ""}},
        {"occurred_at": {"column": "a", "format": "%H:%M"}},
        {"occurred_at": {"column": "a", "optional": "no"}},
        {"duration_s": {"column": "a", "scale": "x"}},
        {"subject": {"column": "a", "given": ["x"]}},
        {"consent": {"a": {"column": "b", "given": [True]}}},
        {"identifiers": {}},
        {"identifiers": []},
        {"identifiers": {"E mail": "a"}},
        {"identifiers": "mail"},
        {"unknown": "drop"},
        {"prefix": "…"},
        {"properties": {"rest": True, "without": "note"}},
        {"properties": {"rest": True, "wihtout": ["note"]}},
    ],
)
def test_what_is_ambiguous_or_wrong_is_refused_when_it_is_read(
    language: str, changes: dict[str, Any]
):
    with pytest.raises(ConnectorError) as problem:
        Registry().create(language, options(language, {**RULES, **changes}))
    assert "\n" not in str(problem.value)


def test_an_expression_beyond_a_column_is_for_webhooks_only():
    rules = {**RULES, "subject": {"expr": "who.first || who.last"}}
    Registry().create("mapped", options("mapped", rules))
    with pytest.raises(ConnectorError, match=r"subject\.expr: must be a column"):
        Registry().create("jsonl", options("jsonl", rules))


@pytest.mark.parametrize("language", ["csv", "jsonl", "mapped"])
def test_the_option_may_be_called_map_or_mapping_but_not_both(language: str):
    signature = {"signature": SIGNATURE} if language == "mapped" else {}
    for name in ("map", "mapping"):
        Registry().create(language, {**signature, name: RULES})
        with pytest.raises(ConnectorError, match=rf"{name}(: |\.)"):
            Registry().create(language, {**signature, name: {**RULES, "channel": 5}})
    with pytest.raises(ConnectorError, match="is no option"):
        Registry().create(language, {**signature, "map": RULES, "mapping": RULES})
