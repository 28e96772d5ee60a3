"""The mapping of a file's columns to the fields of a touchpoint.

Written in YAML in the source's configuration (docs/channels/csv.md) and read once by
`mapping_yaml`; the same for CSV and for JSON lines, where a column is a path ("customer.email").
`Mapping.result` then makes a touchpoint of each row.
"""

from __future__ import annotations

from collections.abc import Iterator
from collections.abc import Mapping as Map
from dataclasses import dataclass, field
from datetime import UTC, datetime, tzinfo
from decimal import Decimal
from functools import cached_property
from typing import Any, Literal, Protocol

from ingest.connector import Result
from ingest.kit.fields import Fields, Payload, finish, identifiers, snake_case
from ingest.kit.mapping_terms import (
    AUTO,
    ISO,
    ISO_FORMATS,
    NO_CONSENT_WORD,
    UNITS_MS,
    UNKNOWN_TYPE,
    ConsentWords,
    Separators,
    Translation,
    exact,
    read_time,
    told_format,
    unlisted_type,
)
from ingest.kit.times import OutOfRange, since_1970
from schemas.rejection import Rejection


class Cells(Protocol):
    """A row by its columns."""

    def text(self, column: str) -> str | None:
        """Return a cell as text, None if it is empty or cannot be text."""

    def value(self, column: str) -> Any:
        """Return a cell as it is, None if it is empty."""

    def rest(self, used: frozenset[str]) -> dict[str, Any]:
        """Return the values of the other columns, without empty cells."""


@dataclass(frozen=True, slots=True)
class Cell:
    """The origin of a value: a fixed text, or columns whose texts are joined by a space.

    The text is translated; one that is to be a number is then read with its separators and
    multiplied by a scale.
    """

    columns: tuple[str, ...] = ()
    fixed: str | None = None
    translation: Translation | None = None
    separators: Separators | None = None
    scale: Decimal | None = None

    @property
    def name(self) -> str:
        """The name that details use."""
        return f"column {' + '.join(self.columns)}" if self.columns else "the mapping"

    @property
    def stands_for_itself(self) -> bool:
        """True if the value of one column is used as it is."""
        return len(self.columns) == 1 and self.translation is None

    def raw(self, cells: Cells) -> str | None:
        """Return the text of the columns, or the fixed one."""
        if self.fixed is not None:
            return self.fixed
        return " ".join(text for one in self.columns if (text := cells.text(one))) or None

    def text(self, cells: Cells) -> str | None:
        """Return the text; None where there is none. A text that is no number is not scaled."""
        text = self.raw(cells)
        if self.translation is not None:
            text = self.translation.of(text, text)
        if text is None:
            return None
        if self.separators is not None:
            text = self.separators.plain(text)
        if self.scale is None or (number := exact(text)) is None:
            return text
        return f"{number * self.scale:f}"


@dataclass(frozen=True, slots=True)
class Time:
    """A time in columns. `format` is one of `mapping_terms`, or a strptime pattern."""

    cell: Cell
    format: str = ISO
    zone: tzinfo = UTC
    optional: bool = False

    def moment(self, cells: Cells, problems: list[str]) -> datetime | None:
        """Return the time; a text without a zone of its own is in `zone`."""
        text = self.cell.text(cells)
        if text is None:
            if not self.optional:
                problems.append(f"{self.cell.name}: is empty, and should be the time")
            return None
        try:
            return self._read(text)
        except OutOfRange as error:
            wrong = Fields({}, "", problems).wrong
            wrong(self.cell.name, error.args[0])
            return None
        except (ValueError, OverflowError):
            is_iso = self.format in ISO_FORMATS
            wanted = "an ISO 8601 time" if is_iso else f"a time like {self.format}"
            problems.append(f"{self.cell.name}: must be {wanted}")
            return None

    def _read(self, text: str) -> datetime:
        time_format = told_format(text) if self.format == AUTO else self.format
        if unit_ms := UNITS_MS.get(time_format):
            return since_1970(float(text), unit_ms)
        return read_time(text, time_format, self.zone)


@dataclass(frozen=True, slots=True)
class Decision:
    """A decision about consent in a column; an empty cell is no decision."""

    cell: Cell
    words: ConsentWords

    def made(self, cells: Cells, problems: list[str]) -> bool | None:
        """Return True if consent was given, False if it was refused; None if neither is stated."""
        text = self.cell.text(cells)
        if text is None:
            return None
        decision = self.words.decision(text)
        if decision is None:
            problems.append(f"{self.cell.name}: {NO_CONSENT_WORD}")
        return decision


@dataclass(frozen=True, slots=True)
class Money:
    """An amount in a column, and the currency; without one it is the source's."""

    amount: Cell
    currency: Cell | None = None

    def value(self, cells: Cells) -> dict[str, Any] | None:
        """Return the touchpoint's value; None where the cell is empty."""
        amount = self.amount.text(cells)
        if amount is None:
            return None
        return {"amount": amount, "currency": self.currency.text(cells) if self.currency else None}


@dataclass(frozen=True)
class Mapping:
    """A whole mapping; `mapping_yaml` reads one.

    `unknown`: the treatment of rows whose type the table of types does not list. Those that are
    kept are called `<prefix>_<type>`, with the name of the source if there is no prefix.
    """

    type: Cell
    channel: Cell
    identifiers: tuple[tuple[str, Cell], ...]
    event_id: Cell | None = None
    occurred_at: Time | None = None
    texts: Map[str, Cell] = field(default_factory=dict)
    value: Money | None = None
    traits: Map[str, Cell] = field(default_factory=dict)
    consent: Map[str, Decision] = field(default_factory=dict)
    campaign: Map[str, Cell] = field(default_factory=dict)
    #: Property -> column; None: every column that is not used otherwise.
    properties: Map[str, Cell] | None = None
    #: Columns that are no properties either, where all others are.
    without: frozenset[str] = frozenset()
    unknown: Literal["keep", "reject"] = "keep"
    prefix: str | None = None

    @cached_property
    def columns(self) -> frozenset[str]:
        """All columns that are used."""
        return frozenset(column for cell in self._cells() for column in cell.columns)

    def result(self, cells: Cells, event_id: str, payload: Payload, source: str) -> Result:
        """Return the touchpoint of a row, or its rejection.

        `event_id` is for a row without an id of its own, `source` the name of the source.
        """
        if self.unknown == "reject" and self._unlisted(cells) is not None:
            return Rejection("unsupported", UNKNOWN_TYPE, payload())
        problems: list[str] = []
        fields = self._fields(cells, problems, source)
        if self.event_id is None:
            fields["event_id"] = event_id
        elif fields["event_id"] is None:
            problems.append(f"{self.event_id.name}: is empty, and should be the event id")
        return finish(fields, problems, payload, self._names, self._nobody)

    def _fields(self, cells: Cells, problems: list[str], source: str) -> dict[str, Any]:
        """Return a touchpoint's fields, without those of empty cells; `event_id` only if mapped."""
        kinds = [(kind, cell.text(cells)) for kind, cell in self.identifiers]
        decisions = {name: one.made(cells, problems) for name, one in self.consent.items()}
        return {
            "event_id": self.event_id.text(cells) if self.event_id else None,
            "channel": self.channel.text(cells),
            "type": self._type(cells, source),
            "identifiers": identifiers(*kinds),
            "occurred_at": self.occurred_at.moment(cells, problems) if self.occurred_at else None,
            "value": self.value.value(cells) if self.value else None,
            "traits": _filled(_values(self.traits, cells)),
            "consent": _filled(decisions),
            "campaign": _filled({k: cell.text(cells) for k, cell in self.campaign.items()}) or None,
            "properties": self._properties(cells),
            **{name: cell.text(cells) for name, cell in self.texts.items()},
        }

    @cached_property
    def _names(self) -> dict[str, str]:
        """Field of a touchpoint -> the name that details use."""
        named = {"type": self.type, "channel": self.channel, **self.texts}
        if self.event_id:
            named["event_id"] = self.event_id
        if self.value:
            named["value.amount"] = self.value.amount
            if self.value.currency:
                named["value.currency"] = self.value.currency
        named |= {f"campaign.{name}": cell for name, cell in self.campaign.items()}
        return {name: cell.name for name, cell in named.items() if cell.columns}

    @cached_property
    def _nobody(self) -> str:
        """The detail of a row that names no customer."""
        return f"{', '.join(cell.name for _, cell in self.identifiers)}: names no customer"

    def _type(self, cells: Cells, source: str) -> str | None:
        unlisted = self._unlisted(cells)
        if unlisted is not None:
            return unlisted_type(unlisted, self.prefix or source)
        raw = self.type.raw(cells)
        text = self.type.text(cells)
        as_it_stands = self.type.fixed is None and text is not None and text == raw
        return snake_case(text) if as_it_stands and text is not None else text

    def _unlisted(self, cells: Cells) -> str | None:
        """Return the word for the type if a table of types does not list it."""
        table, raw = self.type.translation, self.type.raw(cells)
        if table is None or table.keeps_others or raw is None:
            return None
        return raw if table.stated(raw) is None else None

    def _properties(self, cells: Cells) -> dict[str, Any]:
        if self.properties is None:
            return cells.rest(self.columns | self.without)
        return _filled(_values(self.properties, cells))

    def _cells(self) -> Iterator[Cell]:
        yield from (self.type, self.channel)
        yield from (cell for _, cell in self.identifiers)
        for group in (self.texts, self.traits, self.campaign, self.properties or {}):
            yield from group.values()
        yield from (decision.cell for decision in self.consent.values())
        if self.event_id:
            yield self.event_id
        if self.occurred_at:
            yield self.occurred_at.cell
        if self.value:
            yield self.value.amount
            if self.value.currency:
                yield self.value.currency


def _values(group: Map[str, Cell], cells: Cells) -> dict[str, Any]:
    """Return values by name: as they are if one column stands for itself, else as text."""
    return {
        name: cells.value(cell.columns[0]) if cell.stands_for_itself else cell.text(cells)
        for name, cell in group.items()
    }


def _filled(values: Map[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in values.items() if value is not None}
