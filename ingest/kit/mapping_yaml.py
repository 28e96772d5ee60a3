"""Reading a mapping of files as it is written in YAML (docs/channels/csv.md).

In `type`, `channel`, `direction`, `outcome` and `currency` a text is the word itself, and
`{column: …}` names a column. Everywhere else a text is a column, and `{value: …}` the value itself.
"""

from __future__ import annotations

import re
from collections.abc import Mapping as Map
from dataclasses import replace
from decimal import Decimal
from typing import Any, Literal
from zoneinfo import ZoneInfo

from ingest.kit.fields import snake_case
from ingest.kit.mapping import Cell, Decision, Mapping, Money, Time
from ingest.kit.mapping_terms import (
    GIVEN,
    ISO,
    REFUSED,
    ConsentWords,
    Separators,
    Translation,
    exact,
    identifier_rules,
    is_plain_path,
    is_time_format,
    zone_named,
)

_ORIGIN = ("column", "expr", "value")
_CELL = (*_ORIGIN, "values", "table", "default")
_NUMBER = (*_CELL, "scale")
_TIME = (*_CELL, "format", "zone", "timezone", "optional")
_DECISION = (*_CELL, "given", "refused")
_MONEY = ("amount", "currency", "decimal", "thousands")
_CAMPAIGN = ("name", "source", "medium", "term", "content")
_REST = ("rest", "without")
_COLUMNS = ("subject", "url")
_NUMBERS = ("duration_s", "sentiment")
_WORDS = ("direction", "outcome")
_PARTS = (
    "event_id", "type", "channel", "identifiers", "occurred_at", "value", "traits", "consent",
    "campaign", "properties", *_NUMBERS, *_COLUMNS, *_WORDS, "unknown", "prefix",
)  # fmt: skip
_KIND = re.compile(r"[a-z][a-z0-9_]{0,39}")
_PREFIX_LENGTH = 64


def read_mapping(given: Any) -> Mapping:
    """Read a mapping from its YAML. Raises ValueError that names the part and what was expected."""
    parts = _parts(given, "", _PARTS)
    for needed in ("type", "channel", "identifiers"):
        if needed not in parts:
            raise ValueError(f"{needed}: is missing")
    numbers = {name: _cell(parts[name], name, _NUMBER) for name in _NUMBERS if name in parts}
    texts = {name: _cell(parts[name], name) for name in _COLUMNS if name in parts}
    words = {name: _word(parts[name], name) for name in _WORDS if name in parts}
    properties, without = _properties(parts["properties"]) if "properties" in parts else (None, [])
    return Mapping(
        type=_word(parts["type"], "type"),
        channel=_word(parts["channel"], "channel"),
        identifiers=_identifiers(parts["identifiers"]),
        event_id=_cell(parts["event_id"], "event_id") if "event_id" in parts else None,
        occurred_at=_time(parts["occurred_at"]) if "occurred_at" in parts else None,
        texts={**numbers, **texts, **words},
        value=_money(parts["value"]) if "value" in parts else None,
        traits=_named(parts.get("traits", {}), "traits"),
        consent={
            purpose: _decision(one, f"consent.{purpose}")
            for purpose, one in _parts(parts.get("consent", {}), "consent").items()
        },
        campaign={
            name: _cell(one, f"campaign.{name}")
            for name, one in _parts(parts.get("campaign", {}), "campaign", _CAMPAIGN).items()
        },
        properties=properties,
        without=frozenset(without),
        unknown=_unknown(parts.get("unknown", "keep")),
        prefix=_prefix(parts["prefix"]) if "prefix" in parts else None,
    )


def _parts(given: Any, where: str, known: tuple[str, ...] = ()) -> dict[str, Any]:
    if not isinstance(given, Map):
        raise ValueError(f"{where or 'the mapping'}: must be settings by name")
    for name in given:
        if known and name not in known:
            place = f"{where}.{name}" if where else str(name)
            raise ValueError(f"{place}: is no part of a mapping, expected {', '.join(known)}")
    return {str(name): part for name, part in given.items()}


def _identifiers(given: Any) -> tuple[tuple[str, Cell], ...]:
    rules = identifier_rules(given)
    if rules is None:
        raise ValueError("identifiers: must be kind: column, or a list of {kind, value}")
    if not rules:
        raise ValueError("identifiers: at least one kind with its column is needed")
    for kind, _ in rules:
        if not isinstance(kind, str) or not _KIND.fullmatch(kind):
            raise ValueError("identifiers: a kind is a word of small letters, digits and _")
    return tuple((str(kind), _cell(one, f"identifiers.{kind}")) for kind, one in rules)


def _unknown(given: Any) -> Literal["keep", "reject"]:
    if given not in ("keep", "reject"):
        raise ValueError("unknown: must be keep or reject")
    return "keep" if given == "keep" else "reject"


def _prefix(given: Any) -> str:
    text = _text(given, "prefix")
    if not snake_case(text) or len(text) > _PREFIX_LENGTH:
        raise ValueError(f"prefix: must hold letters, {_PREFIX_LENGTH} characters at most")
    return text


def _properties(given: Any) -> tuple[dict[str, Cell] | None, list[str]]:
    """Return the properties by name; None for all other columns, with those that are left out."""
    if not (isinstance(given, Map) and given.get("rest") is True):
        return _named(given, "properties"), []
    parts = _parts(given, "properties", _REST)
    without = parts.get("without", [])
    if not isinstance(without, list):
        raise ValueError("properties.without: must be a list of columns")
    return None, [_text(name, "properties.without") for name in without]


def _named(given: Any, where: str) -> dict[str, Cell]:
    """Return name -> cell; a list stands for columns that keep their names."""
    if isinstance(given, list):
        return {_text(name, where): Cell((_text(name, where),)) for name in given}
    return {name: _cell(one, f"{where}.{name}") for name, one in _parts(given, where).items()}


def _word(given: Any, where: str) -> Cell:
    return Cell(fixed=given) if isinstance(given, str) and given else _cell(given, where)


def _cell(given: Any, where: str, known: tuple[str, ...] = _CELL) -> Cell:
    if isinstance(given, str | list):
        return Cell(_columns(given, where))
    if not isinstance(given, Map):
        raise ValueError(f"{where}: must be a column, or settings with a column or a value")
    parts = _parts(given, where, known)
    if sum(name in parts for name in _ORIGIN) != 1:
        raise ValueError(f"{where}: needs either a column or a value")
    if "value" in parts:
        return Cell(fixed=_text(parts["value"], f"{where}.value"))
    if "expr" in parts and not is_plain_path(parts["expr"]):
        raise ValueError(f"{where}.expr: must be a column; other expressions are for `mapped`")
    return Cell(
        _columns(parts.get("column", parts.get("expr")), f"{where}.column"),
        translation=_translation(parts, where),
        scale=_scale(parts["scale"], f"{where}.scale") if "scale" in parts else None,
    )


def _translation(parts: dict[str, Any], where: str) -> Translation | None:
    if "values" in parts and "table" in parts:
        raise ValueError(f"{where}: needs either values or a table")
    name = "table" if "table" in parts else "values"
    words = _parts(parts.get(name, {}), f"{where}.{name}")
    default = parts.get("default")
    if "table" in parts and not words:
        raise ValueError(f"{where}.table: must hold words")
    if not words and default is None:
        return None
    return Translation(
        {word: _text(one, f"{where}.{name}.{word}") for word, one in words.items()},
        keeps_others=name == "values",
        default=None if default is None else _text(default, f"{where}.default"),
    )


def _scale(given: Any, where: str) -> Decimal:
    scale = exact(given)
    if scale is None:
        raise ValueError(f"{where}: must be a number")
    return scale


def _columns(given: Any, where: str) -> tuple[str, ...]:
    columns = tuple(_text(one, where) for one in (given if isinstance(given, list) else [given]))
    if not columns:
        raise ValueError(f"{where}: must name a column")
    return columns


def _text(given: Any, where: str) -> str:
    if not isinstance(given, str) or not given:
        raise ValueError(f"{where}: must be text; write numbers, yes and no in quotes")
    return given


def _time(given: Any) -> Time:
    where = "occurred_at"
    cell = _cell(given, where, _TIME)
    parts = given if isinstance(given, Map) else {}
    optional = parts.get("optional", False)
    if not isinstance(optional, bool):
        raise ValueError(f"{where}.optional: must be true or false")
    if "zone" in parts and "timezone" in parts:
        raise ValueError(f"{where}: needs either a zone or a timezone")
    name = "timezone" if "timezone" in parts else "zone"
    return Time(
        cell,
        time_format(parts.get("format", ISO), f"{where}.format"),
        time_zone(parts.get(name, "UTC"), f"{where}.{name}"),
        optional,
    )


def time_format(given: Any, where: str) -> str:
    """Return a format of times: a word of `mapping_terms`, or a pattern. Raises ValueError."""
    text = _text(given, where)
    if not is_time_format(text):
        raise ValueError(
            f"{where}: must be unix, unix_ms, rfc3339 or a pattern like %Y/%m/%d %H:%M:%S "
            "(Python's strptime)"
        )
    return text


def time_zone(given: Any, where: str) -> ZoneInfo:
    """Return a time zone by its name. Raises ValueError."""
    zone = zone_named(_text(given, where))
    if zone is None:
        raise ValueError(f"{where}: must be the name of a time zone like Asia/Tokyo")
    return zone


def _decision(given: Any, where: str) -> Decision:
    cell = _cell(given, where, _DECISION)
    parts = given if isinstance(given, Map) else {}
    words = ConsentWords(
        _word_list(parts["given"], f"{where}.given") if "given" in parts else GIVEN,
        _word_list(parts["refused"], f"{where}.refused") if "refused" in parts else REFUSED,
    )
    return Decision(cell, words)


def _word_list(given: Any, where: str) -> frozenset[str]:
    words = given if isinstance(given, list) else [given]
    return frozenset(_text(word, where).casefold() for word in words)


def _money(given: Any) -> Money:
    if isinstance(given, str):
        return Money(_cell(given, "value"))
    parts = _parts(given, "value", _MONEY)
    if "amount" not in parts:
        raise ValueError("value.amount: is missing")
    separators = Separators(
        _text(parts.get("decimal", "."), "value.decimal"),
        _text(parts["thousands"], "value.thousands") if parts.get("thousands") else "",
    )
    return Money(
        replace(_cell(parts["amount"], "value.amount", _NUMBER), separators=separators),
        _word(parts["currency"], "value.currency") if "currency" in parts else None,
    )
