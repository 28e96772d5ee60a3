"""Reading a mapping as it is written in YAML (docs/channels/csv.md).

In `type`, `channel`, `direction`, `outcome` and `currency` a text is the word itself, and
`{column: …}` names a column. Everywhere else a text is a column, and `{value: …}` the value itself.
"""

from __future__ import annotations

import re
from collections.abc import Mapping as Map
from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from ingest.kit.mapping import (
    GIVEN,
    REFUSED,
    UNITS_MS,
    Cell,
    Decision,
    Mapping,
    Money,
    Time,
)

_CELL = ("column", "value", "values", "default")
_TIME = (*_CELL, "format", "zone", "optional")
_DECISION = (*_CELL, "given", "refused")
_MONEY = ("amount", "currency", "decimal", "thousands")
_CAMPAIGN = ("name", "source", "medium", "term", "content")
_COLUMNS = ("duration_s", "sentiment", "subject", "url")
_WORDS = ("direction", "outcome")
_PARTS = (
    "event_id", "type", "channel", "identifiers", "occurred_at", "value", "traits", "consent",
    "campaign", "properties", *_COLUMNS, *_WORDS,
)  # fmt: skip
_KIND = re.compile(r"[a-z][a-z0-9_]{0,39}")
#: A time that differs in every part from those that strptime assumes.
_SAMPLE = datetime(2021, 11, 29, 22, 44, 55, tzinfo=UTC)


def read_mapping(given: Any) -> Mapping:
    """Read a mapping from its YAML. Raises ValueError that names the part and what was expected."""
    parts = _parts(given, "", _PARTS)
    for needed in ("type", "channel", "identifiers"):
        if needed not in parts:
            raise ValueError(f"{needed}: is missing")
    who = _group(parts["identifiers"], "identifiers")
    if not who:
        raise ValueError("identifiers: at least one kind with its column is needed")
    for kind in who:
        if not _KIND.fullmatch(kind):
            raise ValueError("identifiers: a kind is a word of small letters, digits and _")
    texts = {name: _cell(parts[name], name) for name in _COLUMNS if name in parts}
    words = {name: _word(parts[name], name) for name in _WORDS if name in parts}
    return Mapping(
        type=_word(parts["type"], "type"),
        channel=_word(parts["channel"], "channel"),
        identifiers=tuple((kind, cell) for kind, cells in who.items() for cell in cells),
        event_id=_cell(parts["event_id"], "event_id") if "event_id" in parts else None,
        occurred_at=_time(parts["occurred_at"]) if "occurred_at" in parts else None,
        texts={**texts, **words},
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
        properties=_named(parts["properties"], "properties") if "properties" in parts else None,
    )


def _parts(given: Any, where: str, known: tuple[str, ...] = ()) -> dict[str, Any]:
    if not isinstance(given, Map):
        raise ValueError(f"{where or 'the mapping'}: must be settings by name")
    for name in given:
        if known and name not in known:
            place = f"{where}.{name}" if where else str(name)
            raise ValueError(f"{place}: is no part of a mapping, expected {', '.join(known)}")
    return {str(name): part for name, part in given.items()}


def _group(given: Any, where: str) -> dict[str, list[Cell]]:
    """Return kind -> its cells: a column, or several, each of which may hold one."""
    return {
        kind: [
            _cell(one, f"{where}.{kind}") for one in (part if isinstance(part, list) else [part])
        ]
        for kind, part in _parts(given, where).items()
    }


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
    if ("column" in parts) == ("value" in parts):
        raise ValueError(f"{where}: needs either a column or a value")
    if "value" in parts:
        return Cell(fixed=_text(parts["value"], f"{where}.value"))
    values = _parts(parts.get("values", {}), f"{where}.values")
    default = parts.get("default")
    return Cell(
        _columns(parts["column"], f"{where}.column"),
        None,
        {name: _text(one, f"{where}.values.{name}") for name, one in values.items()},
        None if default is None else _text(default, f"{where}.default"),
    )


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
    return Time(
        cell,
        time_format(parts["format"], f"{where}.format") if "format" in parts else "",
        time_zone(parts.get("zone", "UTC"), f"{where}.zone"),
        optional,
    )


def time_format(given: Any, where: str) -> str:
    """Check a format of times: a word of `UNITS_MS`, or a pattern. Raises ValueError."""
    text = _text(given, where)
    if text in UNITS_MS:
        return text
    wrong = (
        f"{where}: must be unix, unix_ms or a pattern like %Y/%m/%d %H:%M:%S (Python's strptime)"
    )
    try:
        found = datetime.strptime(_SAMPLE.strftime(text), text)
    except ValueError:
        raise ValueError(wrong) from None
    if (found.year, found.month) != (_SAMPLE.year, _SAMPLE.month):
        raise ValueError(wrong)
    return text


def time_zone(given: Any, where: str) -> ZoneInfo:
    """Return a time zone by its name. Raises ValueError."""
    try:
        return ZoneInfo(_text(given, where))
    except (ZoneInfoNotFoundError, OSError, ValueError):
        raise ValueError(f"{where}: must be the name of a time zone like Asia/Tokyo") from None


def _decision(given: Any, where: str) -> Decision:
    cell = _cell(given, where, _DECISION)
    parts = given if isinstance(given, Map) else {}
    return Decision(
        cell,
        _word_list(parts["given"], f"{where}.given") if "given" in parts else GIVEN,
        _word_list(parts["refused"], f"{where}.refused") if "refused" in parts else REFUSED,
    )


def _word_list(given: Any, where: str) -> frozenset[str]:
    words = given if isinstance(given, list) else [given]
    return frozenset(_text(word, where).casefold() for word in words)


def _money(given: Any) -> Money:
    if isinstance(given, str):
        return Money(_cell(given, "value"))
    parts = _parts(given, "value", _MONEY)
    if "amount" not in parts:
        raise ValueError("value.amount: is missing")
    return Money(
        _cell(parts["amount"], "value.amount"),
        _word(parts["currency"], "value.currency") if "currency" in parts else None,
        _text(parts.get("decimal", "."), "value.decimal"),
        _text(parts["thousands"], "value.thousands") if parts.get("thousands") else "",
    )
