"""Reading of one value of an event: an expression, a translation, a scale, a time format.

In the configuration an expression alone is written as text, and one with further settings as an
object with `expr`. Instead of `expr` there may be a `column` (a field, or several that are joined)
or a fixed `value`, as in the mapping of a file (docs/mapping.md). Errors in a configured value are
reported when it is read; an error in an event is an `ExpressionError`, which names no value.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime
from decimal import Decimal
from typing import Annotated, Any, Self
from zoneinfo import ZoneInfo

from pydantic import (
    AfterValidator,
    AliasChoices,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PrivateAttr,
    TypeAdapter,
    ValidationError,
    model_validator,
)

from ingest.connectors.mapped.expressions import Compiled, Expression, ExpressionError, Scope
from ingest.kit.fields import Fields, id_text
from ingest.kit.mapping_terms import (
    GIVEN,
    ISO,
    ISO_FORMATS,
    NO_CONSENT_WORD,
    REFUSED,
    UNITS_MS,
    ConsentWords,
    Separators,
    Translation,
    exact,
    is_time_format,
    read_time,
    zone_named,
)
from schemas.touchpoint import Channel, Direction, EventType

_TIME_LENGTH = 100
#: YAML reads these words as truth values where they are keys: their text in Python -> the word.
_YAML_WORDS = {"True": "true", "False": "false"}
#: Settings that state where a value comes from.
_ORIGINS = frozenset({"expr", "column", "value"})


class Section(BaseModel):
    """The base of all parts of a mapping."""

    model_config = ConfigDict(frozen=True, extra="forbid", arbitrary_types_allowed=True)


def as_object(name: str) -> Callable[[object], object]:
    """Return a validator that reads text as an object with this one field, a list as columns."""

    def read(value: object) -> object:
        if isinstance(value, dict | BaseModel):
            return value
        return {"column": value} if isinstance(value, list) else {name: value}

    return read


def _plain(value: object) -> object:
    if not isinstance(value, str | bool | int | float):
        raise ValueError("must be text, a number, true or false")
    return value


def _with_yaml_words(table: dict[str, Any]) -> dict[str, Any]:
    return {**{_YAML_WORDS.get(word, word): value for word, value in table.items()}, **table}


Plain = Annotated[Any, BeforeValidator(_plain)]
Table = Annotated[dict[str, Plain], Field(min_length=1), AfterValidator(_with_yaml_words)]


def word(value: object) -> str | None:
    """Return a value as a word of a table: text, number or truth value; None for all others."""
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value) if isinstance(value, float) and id_text(value) is None else id_text(value)


class JoinedFields(Expression):
    """The texts of several fields, joined by a space; fields without a text are left out."""

    __slots__ = ()

    def search(self, value: Any, scope: Scope) -> Any:
        """Return the text, or None. See `Expression`."""
        texts = [word(one) or "" for one in super().search(value, scope) or ()]
        return " ".join(filter(None, map(str.strip, texts))) or None


def _column(given: object) -> Expression:
    """Return the expression of a field, or of a list of them. Raises ValueError."""
    names = given if isinstance(given, list) else [given]
    paths = [
        [json.dumps(part) for part in name.split(".") if part] if isinstance(name, str) else []
        for name in names
    ]
    if not names or not all(paths):
        raise ValueError("column: expected names of fields with dots between them, or a list")
    texts = [".".join(path) for path in paths]
    return Expression(texts[0]) if len(texts) == 1 else JoinedFields(f"[{', '.join(texts)}]")


def _constant(given: object) -> Expression:
    """Return the expression of a fixed value. Raises ValueError."""
    return Expression("`" + json.dumps(_plain(given)).replace("`", "\\`") + "`")


def _one_origin(given: dict[str, Any]) -> None:
    if len(_ORIGINS & given.keys()) > 1:
        raise ValueError("expected one of expr, column and value")


class Origin(Section):
    """The origin of a value: an expression, whichever way it is written."""

    expr: Compiled

    @model_validator(mode="before")
    @classmethod
    def _as_expression(cls, given: Any) -> Any:
        if not isinstance(given, dict):
            return given
        _one_origin(given)
        others = {name: part for name, part in given.items() if name not in _ORIGINS}
        if "column" in given:
            return {**others, "expr": _column(given["column"])}
        if "value" in given:
            return {**others, "expr": _constant(given["value"])}
        return given


class Translated(Section):
    """A translation of words: `table` drops a word that it does not list, `values` keeps it.

    `default` takes the place of an absent value, and of a word that is not listed.
    """

    table: Table | None = None
    values: Table | None = None
    default: Plain = None
    _translation: Translation | None = PrivateAttr(None)

    @model_validator(mode="after")
    def _one_translation(self) -> Self:
        if self.table is not None and self.values is not None:
            raise ValueError("expected either values or a table")
        return self

    def model_post_init(self, _: Any) -> None:
        """Make the translation, once."""
        words = self.table or self.values or {}
        if words or self.default is not None:
            self._translation = Translation(words, self.table is None, self.default)

    @property
    def translation(self) -> Translation | None:
        """The translation; None without one."""
        return self._translation

    @property
    def changes_words(self) -> bool:
        """True if words are translated."""
        return self.table is not None or self.values is not None


class Computed(Origin, Translated):
    """A value: that of an expression, translated, then multiplied by a scale."""

    scale: Decimal | None = None

    def read(self, event: Any, scope: Scope, separators: Separators | None = None) -> Any:
        """Return the value, or None. Raises ExpressionError."""
        found = self.expr.search(event, scope)
        if self.translation is not None:
            found = self.translation.of(word(found) or "", found)
        if separators is not None and isinstance(found, str):
            found = separators.plain(found)
        if self.scale is None or found is None or found == "":
            return found
        number = exact(found)
        if number is None:
            raise ExpressionError("must be a number")
        return number * self.scale


Value = Annotated[Computed, BeforeValidator(as_object("expr"))]


def _folded(given: object) -> frozenset[str]:
    words = given if isinstance(given, list) else [given]
    texts = [one for one in words if isinstance(one, str) and one]
    if not texts or texts != words:
        raise ValueError("must be text, or a list of it; write yes and no in quotes")
    return frozenset(map(str.casefold, texts))


ConsentWordList = Annotated[frozenset[str], BeforeValidator(_folded)]


class Consent(Computed):
    """A decision about consent: true or false, or the words `given` and `refused` for them."""

    given: ConsentWordList | None = None
    refused: ConsentWordList | None = None

    def read(self, event: Any, scope: Scope, separators: Separators | None = None) -> Any:
        """Return the decision, or None. Raises ExpressionError."""
        found = super().read(event, scope, separators)
        if (self.given is None and self.refused is None) or found is None or found == "":
            return found
        words = ConsentWords(self.given or GIVEN, self.refused or REFUSED)
        decision = words.decision(word(found) or "")
        if decision is None:
            raise ExpressionError(NO_CONSENT_WORD)
        return decision


ConsentValue = Annotated[Consent, BeforeValidator(as_object("expr"))]


class Word(Translated):
    """A fixed word, or one that is computed."""

    fixed: str | None = None
    expr: Compiled | None = None

    @model_validator(mode="before")
    @classmethod
    def _as_expression(cls, given: Any) -> Any:
        if not isinstance(given, dict):
            return given
        _one_origin(given)
        others = {name: part for name, part in given.items() if name not in ("column", "value")}
        if "column" in given:
            return {**others, "expr": _column(given["column"])}
        return {**others, "fixed": given["value"]} if "value" in given else given

    @model_validator(mode="after")
    def _complete(self) -> Self:
        if (self.fixed is None) == (self.expr is None) or (self.fixed and self.translation):
            raise ValueError("expected a word, or expr and perhaps table")
        return self

    def read(self, event: Any, scope: Scope) -> str | None:
        """Return the word of the expression as it stands in the event. Raises ExpressionError."""
        return word(self.expr.search(event, scope)) if self.expr is not None else self.fixed

    @property
    def results(self) -> list[Any]:
        """The words that the mapping itself states."""
        listed = self.translation.words.values() if self.translation is not None else ()
        return [one for one in (self.fixed, self.default, *listed) if one is not None]


def _words_of(kind: Any, expected: str) -> Callable[[Word], Word]:
    adapter = TypeAdapter(kind)

    def check(value: Word) -> Word:
        for text in value.results:
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
    zone = name if isinstance(name, ZoneInfo) else zone_named(name)
    if zone is None:
        raise ValueError("expected a time zone such as Asia/Tokyo")
    return zone


class Time(Origin):
    """A time. `format` is one of `mapping_terms`, or a strptime pattern. `timezone` is for a text
    that names none. Unless it is `optional` it must be there.
    """

    format: str = ISO
    timezone: Annotated[ZoneInfo, BeforeValidator(_zone)] | None = Field(
        default=None, validation_alias=AliasChoices("timezone", "zone")
    )
    optional: bool = True

    @model_validator(mode="after")
    def _known_format(self) -> Self:
        if not is_time_format(self.format):
            raise ValueError(
                "format: expected rfc3339, epoch_s, epoch_ms, or a format of strptime such as "
                "%Y-%m-%d %H:%M:%S"
            )
        return self

    def read(self, event: Any, scope: Scope) -> datetime | None:
        """Return the moment, or None where the event has none. Raises ExpressionError."""
        value = self.expr.search(event, scope)
        if value is None or value == "":
            if not self.optional:
                raise ExpressionError("is empty, and should be the time")
            return None
        if self.format in UNITS_MS:
            return self._since_1970(value)
        try:
            return self._zoned(value)
        except (ValueError, OverflowError):
            is_iso = self.format in ISO_FORMATS
            expected = "an RFC 3339 time" if is_iso else "a time in its format"
            raise ExpressionError(f"must be {expected}") from None

    def _since_1970(self, value: Any) -> datetime | None:
        if isinstance(value, str) and (number := exact(value)) is not None:
            value = float(number)
        read = Fields({"": value})
        moment = read.moment("", UNITS_MS[self.format])
        if read.problems:
            raise ExpressionError(read.problems[0].removeprefix(": "))
        return moment

    def _zoned(self, value: object) -> datetime:
        if not isinstance(value, str) or len(value) > _TIME_LENGTH:
            raise ValueError
        return read_time(value, self.format, self.timezone or UTC).astimezone(UTC)


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
