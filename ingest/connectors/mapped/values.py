"""Reading of one value of an event: an expression, a table of words, a scale, a time format.

In the configuration an expression alone is written as text, and one with further settings as an
object with `expr`. Errors in a configured value are reported when it is read; an error in an event
is an `ExpressionError`, which names no value.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime
from decimal import Decimal
from typing import Annotated, Any, Self
from zoneinfo import ZoneInfo

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    TypeAdapter,
    ValidationError,
    model_validator,
)

from ingest.connectors.mapped.expressions import Compiled, Expression, ExpressionError, Scope
from ingest.kit.fields import Fields, id_text
from schemas.touchpoint import Channel, Direction, EventType

_MOMENTS = {"epoch_s": 1000, "epoch_ms": 1}
_EXAMPLE = datetime(2026, 12, 31, 23, 59, 58, tzinfo=UTC)
_LARGEST = 1e20
_NUMBER = re.compile(r"[+-]?\d{1,20}(\.\d{1,20})?", re.ASCII)
_TIME_LENGTH = 100
#: YAML reads these words as truth values where they are keys: their text in Python -> the word.
_YAML_WORDS = {"True": "true", "False": "false"}


class Section(BaseModel):
    """The base of all parts of a mapping."""

    model_config = ConfigDict(frozen=True, extra="forbid", arbitrary_types_allowed=True)


def as_object(name: str) -> Callable[[object], object]:
    """Return a validator that reads text as an object with this one field."""
    return lambda value: value if isinstance(value, dict | BaseModel) else {name: value}


def _plain(value: object) -> object:
    if not isinstance(value, str | bool | int | float):
        raise ValueError("must be text, a number, true or false")
    return value


def _with_yaml_words(table: dict[str, Any]) -> dict[str, Any]:
    return {**{_YAML_WORDS.get(word, word): value for word, value in table.items()}, **table}


Table = Annotated[
    dict[str, Annotated[Any, BeforeValidator(_plain)]],
    Field(min_length=1),
    AfterValidator(_with_yaml_words),
]


def word(value: object) -> str | None:
    """Return a value as a word of a table: text, number or truth value; None for all others."""
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value) if isinstance(value, float) and id_text(value) is None else id_text(value)


class Computed(Section):
    """A value: that of an expression, translated by a table (a word that is not in it gives
    nothing), then multiplied by a scale.
    """

    expr: Compiled
    table: Table | None = None
    scale: Decimal | None = None

    def read(self, event: Any, scope: Scope) -> Any:
        """Return the value, or None. Raises ExpressionError."""
        found = self.expr.search(event, scope)
        if self.table is not None:
            found = self.table.get(word(found) or "")
        if self.scale is None or found is None or found == "":
            return found
        return _decimal(found) * self.scale


def _decimal(value: object) -> Decimal:
    if isinstance(value, str):
        is_number = _NUMBER.fullmatch(value) is not None
    else:
        is_number = isinstance(value, int | float) and abs(value) < _LARGEST
    if not is_number or isinstance(value, bool):
        raise ExpressionError("must be a number")
    return Decimal(str(value))


Value = Annotated[Computed, BeforeValidator(as_object("expr"))]


class Word(Section):
    """A fixed word, or one that is computed."""

    fixed: str | None = None
    expr: Compiled | None = None
    table: Table | None = None

    @model_validator(mode="after")
    def _complete(self) -> Self:
        if (self.fixed is None) == (self.expr is None) or (self.fixed and self.table):
            raise ValueError("expected a word, or expr and perhaps table")
        return self

    def read(self, event: Any, scope: Scope) -> str | None:
        """Return the word of the expression as it stands in the event. Raises ExpressionError."""
        return word(self.expr.search(event, scope)) if self.expr is not None else self.fixed


def _words_of(kind: Any, expected: str) -> Callable[[Word], Word]:
    adapter = TypeAdapter(kind)

    def check(value: Word) -> Word:
        for text in (value.table or {}).values() if value.fixed is None else [value.fixed]:
            try:
                adapter.validate_python(text, strict=True)
            except ValidationError:
                raise ValueError(f"expected {expected}") from None
        return value

    return check


_WORD = BeforeValidator(as_object("fixed"))
TypeWord = Annotated[
    Word, _WORD, AfterValidator(_words_of(EventType, "a type such as form_submitted"))
]
ChannelWord = Annotated[Word, _WORD, AfterValidator(_words_of(Channel, "a channel such as web"))]
DirectionWord = Annotated[Word, _WORD, AfterValidator(_words_of(Direction, "inbound or outbound"))]


def _zone(name: object) -> ZoneInfo:
    if isinstance(name, ZoneInfo):
        return name
    with suppress(ValueError, LookupError, OSError):
        if isinstance(name, str):
            return ZoneInfo(name)
    raise ValueError("expected a time zone such as Asia/Tokyo")


class Time(Section):
    """A time. `format`: rfc3339, epoch_s, epoch_ms, or one of strptime's. `timezone` is for a text
    that names none.
    """

    expr: Compiled
    format: str = "rfc3339"
    timezone: Annotated[ZoneInfo, BeforeValidator(_zone)] | None = None

    @model_validator(mode="after")
    def _known_format(self) -> Self:
        if self.format in ("rfc3339", *_MOMENTS):
            return self
        try:
            if "%" not in self.format:
                raise ValueError
            datetime.strptime(_EXAMPLE.strftime(self.format), self.format)
        except (ValueError, re.error):
            raise ValueError(
                "format: expected rfc3339, epoch_s, epoch_ms, or a format of strptime such as "
                "%Y-%m-%d %H:%M:%S"
            ) from None
        return self

    def read(self, event: Any, scope: Scope) -> datetime | None:
        """Return the moment, or None where the event has none. Raises ExpressionError."""
        value = self.expr.search(event, scope)
        if value is None or value == "":
            return None
        if self.format in _MOMENTS:
            return self._since_1970(value)
        try:
            return self._zoned(value)
        except (ValueError, OverflowError):
            expected = "an RFC 3339 time" if self.format == "rfc3339" else "a time in its format"
            raise ExpressionError(f"must be {expected}") from None

    def _since_1970(self, value: Any) -> datetime | None:
        if isinstance(value, str) and _NUMBER.fullmatch(value):
            value = float(value)
        read = Fields({"": value})
        moment = read.moment("", _MOMENTS[self.format])
        if read.problems:
            raise ExpressionError(read.problems[0].removeprefix(": "))
        return moment

    def _zoned(self, value: object) -> datetime:
        if not isinstance(value, str) or len(value) > _TIME_LENGTH:
            raise ValueError
        if self.format == "rfc3339":
            moment = datetime.fromisoformat(value)
        else:
            moment = datetime.strptime(value, self.format)
        if moment.tzinfo is None:
            moment = moment.replace(tzinfo=self.timezone or UTC)
        return moment.astimezone(UTC)


Moment = Annotated[Time, BeforeValidator(as_object("expr"))]


def inside(part: object) -> list[object]:
    """Return the parts of a part of a mapping."""
    if isinstance(part, BaseModel):
        return [value for _, value in part]
    if isinstance(part, dict):
        return list(part.values())
    return list(part) if isinstance(part, list | tuple) else []


def expressions(part: object) -> list[Expression]:
    """Return all expressions in a part of a mapping."""
    if isinstance(part, Expression):
        return [part]
    return [found for one in inside(part) for found in expressions(one)]
