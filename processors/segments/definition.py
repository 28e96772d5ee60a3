"""The models of a segment definition's YAML, in the same shape.

A condition is a mapping of one key, `{count: {type: page_viewed, at_least: 3, within: 7d}}`, and
so are these models. How to write one is in docs/segments.md.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import (
    BaseModel,
    ConfigDict,
    Discriminator,
    Field,
    StringConstraints,
    Tag,
    model_validator,
)

from processors.segments.values import (
    Amount,
    Duration,
    Kind,
    Label,
    OrderedText,
    Pattern,
    TraitText,
)
from schemas.touchpoint import Channel, Currency, EventType
from schemas.trail import FilterSpec


class Part(BaseModel):
    """Base of all parts: frozen, strict, an unknown field is an error."""

    model_config = ConfigDict(frozen=True, strict=True, extra="forbid")


class Trait(Part):
    """A test of a trait's text; if several comparisons are given, all must hold.

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
    """A test that the customer has an identifier of a kind."""

    kind: Kind
    exists: bool = True


class Consent(Part):
    """The customer's last decision on a purpose; no decision is neither true nor false."""

    purpose: Label
    is_: bool = Field(alias="is")


class Filters(Part):
    """A filter of touches; a field that is left out matches any value."""

    channel: Channel | None = None
    type: EventType | None = None
    source: Label | None = None
    campaign: Label | None = None
    direction: Literal["inbound", "outbound"] | None = None

    @property
    def filter(self) -> FilterSpec:
        """Return the filter in the form that features use."""
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
    """The time since the last, or the first, matching touch; false if there was none."""

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
#: Conditions that are designed but not implemented.
NOT_YET = frozenset({"sequence", "segment", "rank"})


class Definition(Part):
    """A segment: its name, its purpose, and the condition for its members."""

    name: Annotated[str, StringConstraints(pattern="^[a-z0-9_]{1,64}$")]
    description: str = ""
    when: Condition

    def plain(self) -> dict[str, Any]:
        """Return `when` in its normal form, ready for JSON: equal for equivalent definitions."""
        plain: dict[str, Any] = self.when.model_dump(mode="json", by_alias=True, exclude_none=True)
        return plain

    def digest(self) -> str:
        """Return a digest of the meaning: wording, units and layout of `when` do not change it."""
        text = json.dumps(self.plain(), sort_keys=True, ensure_ascii=False)
        return hashlib.sha256(text.encode()).hexdigest()[:32]


for _model in (AllCondition, AnyCondition, NotCondition, Definition):
    _model.model_rebuild()
