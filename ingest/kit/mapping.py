"""The mapping of a file's columns to the fields of a touchpoint.

Written in YAML in the source's configuration (docs/channels/csv.md); the same for CSV and for JSON
lines, where a column is a path ("customer.email"). Read once by
`mapping_yaml`; `Mapping.fields` then makes the
fields of a touchpoint of each row.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from collections.abc import Mapping as Map
from dataclasses import dataclass, field
from datetime import UTC, datetime, tzinfo
from functools import cached_property
from typing import Any, Protocol

from ingest.kit.fields import identifiers, snake_case
from schemas.times import EARLIEST_MS, LATEST_MS, from_ms

#: Formats of a time that are not patterns: seconds and milliseconds since 1970.
UNITS_MS = {"unix": 1000, "unix_ms": 1}
#: Words for consent given and refused, if the mapping names none.
GIVEN = frozenset({"1", "true", "yes", "y", "on"})
REFUSED = frozenset({"0", "false", "no", "n", "off"})


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

    `values` translates the text; a text that is not in it becomes `default`, or stays as it is.
    """

    columns: tuple[str, ...] = ()
    fixed: str | None = None
    values: Map[str, str] = field(default_factory=dict)
    default: str | None = None

    @property
    def name(self) -> str:
        """The name that details use."""
        return f"column {' + '.join(self.columns)}" if self.columns else "the mapping"

    def raw(self, cells: Cells) -> str | None:
        """Return the text of the columns, or the fixed one."""
        if self.fixed is not None:
            return self.fixed
        return " ".join(text for one in self.columns if (text := cells.text(one))) or None

    def text(self, cells: Cells) -> str | None:
        """Return the text, translated; None where there is none."""
        raw = self.raw(cells)
        if raw is None:
            return self.default
        return self.values.get(raw, raw if self.default is None else self.default)


@dataclass(frozen=True, slots=True)
class Time:
    """A time in columns. `format` "" is ISO 8601, else one of `UNITS_MS` or a strptime pattern."""

    cell: Cell
    format: str = ""
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
            found = self._read(text)
        except (ValueError, OverflowError):
            wanted = f"a time like {self.format}" if self.format else "an ISO 8601 time"
            problems.append(f"{self.cell.name}: must be {wanted}")
            return None
        return found if found.tzinfo is not None else found.replace(tzinfo=self.zone)

    def _read(self, text: str) -> datetime:
        if unit_ms := UNITS_MS.get(self.format):
            milliseconds = float(text) * unit_ms
            if not EARLIEST_MS <= milliseconds <= LATEST_MS:
                raise ValueError("out of range")
            return from_ms(round(milliseconds))
        if self.format:
            return datetime.strptime(text, self.format)
        return datetime.fromisoformat(text)


@dataclass(frozen=True, slots=True)
class Decision:
    """A decision about consent in a column; an empty cell is no decision."""

    cell: Cell
    given: frozenset[str] = GIVEN
    refused: frozenset[str] = REFUSED

    def made(self, cells: Cells, problems: list[str]) -> bool | None:
        """Return True if consent was given, False if it was refused; None if neither is stated."""
        text = self.cell.text(cells)
        if text is None:
            return None
        word = text.casefold()
        if word not in self.given and word not in self.refused:
            problems.append(f"{self.cell.name}: is none of the words for consent given or refused")
            return None
        return word in self.given


@dataclass(frozen=True, slots=True)
class Money:
    """An amount in a column. `decimal` separates its fraction, `thousands` are left out."""

    amount: Cell
    currency: Cell | None = None
    decimal: str = "."
    thousands: str = ""

    def value(self, cells: Cells) -> dict[str, Any] | None:
        """Return the touchpoint's value; None where the cell is empty."""
        text = self.amount.text(cells)
        if text is None:
            return None
        if self.thousands:
            text = text.replace(self.thousands, "")
        if self.decimal != ".":
            text = text.replace(self.decimal, ".")
        currency = self.currency.text(cells) if self.currency else None
        return {"amount": text, "currency": currency}


@dataclass(frozen=True)
class Mapping:
    """A whole mapping; `mapping_yaml` reads one."""

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

    @cached_property
    def columns(self) -> frozenset[str]:
        """All columns that are used."""
        return frozenset(column for cell in self._cells() for column in cell.columns)

    def fields(self, cells: Cells, problems: list[str]) -> dict[str, Any]:
        """Return a touchpoint's fields, without those of empty cells; `event_id` only if mapped."""
        kinds = [(kind, cell.text(cells)) for kind, cell in self.identifiers]
        decisions = {name: one.made(cells, problems) for name, one in self.consent.items()}
        return {
            "event_id": self.event_id.text(cells) if self.event_id else None,
            "channel": self.channel.text(cells),
            "type": self._type(cells),
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
    def names(self) -> dict[str, str]:
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
    def nobody(self) -> str:
        """The detail of a row that names no customer."""
        return f"{', '.join(cell.name for _, cell in self.identifiers)}: names no customer"

    def _type(self, cells: Cells) -> str | None:
        raw = self.type.raw(cells)
        text = self.type.text(cells)
        as_it_stands = self.type.fixed is None and text is not None and text == raw
        return snake_case(text) if as_it_stands and text is not None else text

    def _properties(self, cells: Cells) -> dict[str, Any]:
        if self.properties is None:
            return cells.rest(self.columns)
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
        name: cells.value(cell.columns[0])
        if len(cell.columns) == 1 and not cell.values and cell.default is None
        else cell.text(cells)
        for name, cell in group.items()
    }


def _filled(values: Map[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in values.items() if value is not None}


def missing(wanted: Iterable[str], there: Iterable[str]) -> list[str]:
    """Return the columns that are used and are not there."""
    return sorted(set(wanted) - set(there))
