"""What a segment definition may say: the models of its YAML, in the same shape.

A condition is a mapping of one key, `{count: {type: page_viewed, at_least: 3, within: 7d}}`, and
so are these models; `Definition.model_json_schema()` describes the files to an editor. What the
conditions mean is in docs/segments.md, how they are evaluated in `processors.segments.compile`.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from decimal import Decimal
from typing import Annotated, Any, Literal

import msgspec
from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Discriminator,
    Field,
    PlainSerializer,
    StringConstraints,
    Tag,
    model_validator,
)

from schemas.features import LONGEST_WINDOW_MS, MICROS, amount_text
from schemas.times import DAY_MS, HOUR_MS, MINUTE_MS, parse_ms
from schemas.touchpoint import AMOUNT_LIMIT, Channel, Currency, EventType
from schemas.trail import FilterSpec

_UNITS = {"m": MINUTE_MS, "h": HOUR_MS, "d": DAY_MS, "w": 7 * DAY_MS}
_DURATION = re.compile(r"([0-9]{1,9})([mhdw])")
_NUMBER = re.compile(r"[+-]?[0-9]{1,40}(?:\.[0-9]{1,40})?(?:[eE][+-]?[0-9]{1,3})?")
_DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}(?:[Tt ].*)?")
_PATTERN_LENGTH = 500


def parse_duration(value: object) -> int:
    """Milliseconds of `30m`, `12h`, `7d` or `4w`. Raises ValueError."""
    match = _DURATION.fullmatch(value) if isinstance(value, str) else None
    if match is None:
        raise ValueError(f"{_shown(value)} is no duration, expected one such as 30m, 12h, 7d or 4w")
    duration = int(match[1]) * _UNITS[match[2]]
    if not duration:
        raise ValueError(f"{_shown(value)} is no window, expected a duration above zero")
    if duration > LONGEST_WINDOW_MS:
        longest = duration_text(LONGEST_WINDOW_MS)
        raise ValueError(f"{_shown(value)} is too long a window, expected at most {longest}")
    return duration


def duration_text(milliseconds: int) -> str:
    """A duration of whole minutes in the largest of days, hours and minutes that fits."""
    unit = next(unit for unit in "dhm" if milliseconds % _UNITS[unit] == 0)
    return f"{milliseconds // _UNITS[unit]}{unit}"


def ordered(text: str) -> tuple[str, Decimal | int] | None:
    """What `greater_than` and `less_than` compare: a number, or else a date or RFC 3339 time.

    Two are comparable where the first parts are the same. None for any other text.
    """
    if _NUMBER.fullmatch(text):
        return "number", Decimal(text)
    if _DATE.fullmatch(text):
        try:
            return "time", parse_ms(text)
        except ValueError:
            return None
    return None


def _shown(value: object) -> str:
    text = value if isinstance(value, str) else json.dumps(value, default=str)
    return text if len(text) <= 60 else text[:57] + "..."


def _amount(value: object) -> int:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ValueError(f"{_shown(value)} is no amount, expected a number")
    exact = Decimal(str(value)) * MICROS
    if exact != exact.to_integral_value() or abs(exact) >= AMOUNT_LIMIT * MICROS:
        raise ValueError(f"{_shown(value)} is out of range, expected at most six decimals")
    return int(exact)


def _trait_text(value: object) -> str:
    if isinstance(value, str):
        return value
    if isinstance(value, int | float):
        return msgspec.json.encode(value).decode()
    raise ValueError(f"{_shown(value)} cannot be compared, expected text, a number, true or false")


def _ordered_text(value: object) -> str:
    text = _trait_text(value)
    if isinstance(value, bool) or ordered(text) is None:
        raise ValueError(f"{_shown(value)} has no order, expected a number, a date or a time")
    return text


def _pattern(value: object) -> str:
    if not isinstance(value, str) or len(value) > _PATTERN_LENGTH:
        raise ValueError(f"expected a regular expression of at most {_PATTERN_LENGTH} characters")
    try:
        re.compile(value)
    except (re.error, OverflowError, RecursionError) as error:
        raise ValueError(f"{_shown(value)} is no regular expression: {error}") from None
    return value


Duration = Annotated[int, BeforeValidator(parse_duration), PlainSerializer(duration_text)]
Amount = Annotated[int, BeforeValidator(_amount), PlainSerializer(amount_text)]
TraitText = Annotated[str, BeforeValidator(_trait_text)]
OrderedText = Annotated[str, BeforeValidator(_ordered_text)]
Pattern = Annotated[str, BeforeValidator(_pattern)]
#: Text without control characters; these separate the parts of a feature's name.
Label = Annotated[str, StringConstraints(min_length=1, max_length=512, pattern=r"^[^\x00-\x1f]+$")]
Kind = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_]{0,39}$")]


class Part(BaseModel):
    """Base of all parts: frozen, strict, an unknown field is an error."""

    model_config = ConfigDict(frozen=True, strict=True, extra="forbid")


class Trait(Part):
    """A trait's text; where several comparisons are given, all must hold.

    Numbers and truth values compare with the trait's compact JSON text. Every comparison but
    `exists: false` needs the trait to exist, `not_equals` too.
    """

    name: Label
    equals: TraitText | None = None
    not_equals: TraitText | None = None
    in_: Annotated[tuple[TraitText, ...], Field(min_length=1, strict=False)] | None = Field(
        default=None, alias="in"
    )
    contains: Annotated[str, StringConstraints(min_length=1)] | None = None
    matches: Pattern | None = None
    greater_than: OrderedText | None = None
    less_than: OrderedText | None = None
    exists: bool | None = None

    @model_validator(mode="after")
    def _compares(self) -> Trait:
        given = self.model_fields_set - {"name"}
        if not given:
            raise ValueError(
                "says nothing about the trait, expected one of equals, not_equals, in, contains, "
                "matches, greater_than, less_than, exists"
            )
        if self.exists is False and len(given) > 1:
            raise ValueError("exists: false contradicts the other comparisons, expected it alone")
        return self


class Identifier(Part):
    """Whether the customer has an identifier of a kind."""

    kind: Kind
    exists: bool = True


class Consent(Part):
    """The customer's last decision on a purpose; no decision is neither true nor false."""

    purpose: Label
    is_: bool = Field(alias="is")


class Filters(Part):
    """Which touches; what is left out does not matter."""

    channel: Channel | None = None
    type: EventType | None = None
    source: Label | None = None
    campaign: Label | None = None
    direction: Literal["inbound", "outbound"] | None = None

    @property
    def filter(self) -> FilterSpec:
        """The filter as features know it."""
        return FilterSpec(
            self.channel or "",
            self.type or "",
            self.source or "",
            self.campaign or "",
            self.direction or "",
        )


class Count(Filters):
    """The number of touches within a window, or of all time."""

    at_least: Annotated[int, Field(ge=1)] | None = None
    at_most: Annotated[int, Field(ge=0)] | None = None
    within: Duration | None = None

    @model_validator(mode="after")
    def _bounded(self) -> Count:
        _check_bounds(self.at_least, self.at_most)
        return self


class Sum(Filters):
    """The sum of amounts in one currency within a window, or of all time; 0 without touches."""

    currency: Currency
    at_least: Amount | None = None
    at_most: Amount | None = None
    within: Duration | None = None

    @model_validator(mode="after")
    def _bounded(self) -> Sum:
        _check_bounds(self.at_least, self.at_most)
        return self


def _check_bounds(at_least: int | None, at_most: int | None) -> None:
    if at_least is None and at_most is None:
        raise ValueError("has no bound, expected at_least, at_most or both")
    if at_least is not None and at_most is not None and at_least > at_most:
        raise ValueError("can never hold, expected at_least to be at most at_most")


class Recency(Filters):
    """How long ago the last, or the first, matching touch was; false where there was none."""

    within: Duration | None = None
    not_within: Duration | None = None

    @model_validator(mode="after")
    def _bounded(self) -> Recency:
        if self.within is None and self.not_within is None:
            raise ValueError("has no window, expected within, not_within or both")
        if self.within and self.not_within and self.not_within >= self.within:
            raise ValueError("can never hold, expected not_within to be shorter than within")
        return self


class TraitCondition(Part):
    """`trait: {...}`."""

    trait: Trait


class IdentifierCondition(Part):
    """`identifier: {...}`."""

    identifier: Identifier


class ConsentCondition(Part):
    """`consent: {...}`."""

    consent: Consent


class CountCondition(Part):
    """`count: {...}`."""

    count: Count


class SumCondition(Part):
    """`sum: {...}`."""

    sum: Sum


class LastTouchCondition(Part):
    """`last_touch: {...}`."""

    last_touch: Recency


class FirstTouchCondition(Part):
    """`first_touch: {...}`."""

    first_touch: Recency


class AllCondition(Part):
    """`all: [...]`: every one holds."""

    all: Annotated[tuple[Condition, ...], Field(min_length=1, strict=False)]


class AnyCondition(Part):
    """`any: [...]`: at least one holds."""

    any: Annotated[tuple[Condition, ...], Field(min_length=1, strict=False)]


class NotCondition(Part):
    """`not: {...}`: it does not hold."""

    not_: Condition = Field(alias="not")


def _keyword(condition: object) -> str | None:
    if isinstance(condition, Mapping):
        return str(next(iter(condition))) if len(condition) == 1 else None
    if isinstance(condition, Part):
        return next(iter(type(condition).model_fields)).rstrip("_")
    return None


Condition = Annotated[
    Annotated[TraitCondition, Tag("trait")]
    | Annotated[IdentifierCondition, Tag("identifier")]
    | Annotated[ConsentCondition, Tag("consent")]
    | Annotated[CountCondition, Tag("count")]
    | Annotated[SumCondition, Tag("sum")]
    | Annotated[LastTouchCondition, Tag("last_touch")]
    | Annotated[FirstTouchCondition, Tag("first_touch")]
    | Annotated[AllCondition, Tag("all")]
    | Annotated[AnyCondition, Tag("any")]
    | Annotated[NotCondition, Tag("not")],
    Discriminator(_keyword),
]
KEYWORDS = (
    "trait", "identifier", "consent", "count", "sum", "last_touch", "first_touch",
    "all", "any", "not",
)  # fmt: skip
#: Conditions that are designed and not built.
NOT_YET = frozenset({"sequence", "segment", "rank"})


class Definition(Part):
    """A segment: its name, what it is for, and who is in it."""

    name: Annotated[str, StringConstraints(pattern="^[a-z0-9_]{1,64}$")]
    description: str = ""
    when: Condition

    def plain(self) -> dict[str, Any]:
        """`when` in its normal form, ready for JSON: the same for definitions that say the same."""
        plain: dict[str, Any] = self.when.model_dump(mode="json", by_alias=True, exclude_none=True)
        return plain

    def digest(self) -> str:
        """Names the meaning: changes when `when` does, not when wording, units or layout do."""
        text = json.dumps(self.plain(), sort_keys=True, ensure_ascii=False)
        return hashlib.sha256(text.encode()).hexdigest()[:32]


for _model in (AllCondition, AnyCondition, NotCondition, Definition):
    _model.model_rebuild()
