"""The option `mapping`: the conversion of each event, as configured.

The fields at the top are those of every event; a rule, where its `when` holds, says what differs.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal, Self

from pydantic import BeforeValidator, Field, StrictBool, StringConstraints, model_validator

from ingest.connectors.mapped.body import BodyRule
from ingest.connectors.mapped.expressions import Compiled, Expression, compiled
from ingest.connectors.mapped.origin import Section, as_object, expressions
from ingest.connectors.mapped.times import Moment
from ingest.connectors.mapped.values import (
    ChannelWord,
    ConsentValue,
    DirectionWord,
    TypeWord,
    Value,
)
from ingest.kit.fields import snake_case
from ingest.kit.mapping_terms import Separators, identifier_rules
from schemas.touchpoint import Kind, Label


def _named_columns(value: object) -> object:
    """Read a list as columns that keep their names."""
    return {str(name): {"column": name} for name in value} if isinstance(value, list) else value


def _whole_or_parts(value: object) -> object:
    return {"whole": value} if isinstance(value, str) else {"parts": _named_columns(value)}


class Named(Section):
    """Values by name: an expression for each, or one expression that gives an object of all."""

    whole: Compiled | None = None
    parts: dict[Label, Value] = Field(default_factory=dict)


NamedValues = Annotated[Named, BeforeValidator(_whole_or_parts)]


class IdentifierRule(Section):
    """An identifier of the customer; where the value is a list, one for each element."""

    kind: Kind
    value: Value


def _listed_identifiers(value: object) -> object:
    """Read `{kind: value}` as the list of kinds with their values."""
    if not isinstance(value, dict):
        return value
    return [{"kind": kind, "value": one} for kind, one in identifier_rules(value) or ()]


class CampaignRule(Section):
    """The campaign that led to the touch."""

    name: Value | None = None
    source: Value | None = None
    medium: Value | None = None
    term: Value | None = None
    content: Value | None = None


class MoneyRule(Section):
    """An amount in the currency's major unit, and the currency; without one it is the source's.

    `decimal` and `thousands` are the separators in an amount that is text.
    """

    amount: Value
    currency: Value | None = None
    decimal: Annotated[str, StringConstraints(min_length=1)] = "."
    thousands: str = ""

    @property
    def separators(self) -> Separators:
        """The separators in a written amount."""
        return Separators(self.decimal, self.thousands)


def _field_path(value: object) -> Expression:
    found = compiled(value)
    if not found.path:
        raise ValueError("expected names of fields with dots between them")
    return found


class PropertiesRule(Section):
    """All other contents: what is not mapped (`rest`) except the paths in `without`, then `columns`
    by their names, then `expr`.
    """

    columns: Annotated[dict[Label, Value], BeforeValidator(_named_columns)] = Field(
        default_factory=dict
    )
    expr: Compiled | None = None
    rest: bool = False
    without: tuple[Annotated[Expression, BeforeValidator(_field_path)], ...] = ()


def _properties(value: object) -> object:
    if isinstance(value, list):
        return {"columns": value}
    return {"expr": value} if isinstance(value, str) else value


class TouchRule(Section):
    """The fields of a touchpoint."""

    type: TypeWord | None = None
    channel: ChannelWord | None = None
    direction: DirectionWord | None = None
    event_id: Value | None = None
    occurred_at: Moment | None = None
    identifiers: (
        Annotated[tuple[IdentifierRule, ...], BeforeValidator(_listed_identifiers)] | None
    ) = None
    #: The company's own addresses and numbers in the event: whom they name is no customer.
    own: tuple[Value, ...] | None = None
    traits: NamedValues | None = None
    consent: dict[Label, ConsentValue] | None = None
    campaign: CampaignRule | None = None
    value: Annotated[MoneyRule, BeforeValidator(as_object("amount"))] | None = None
    duration_s: Value | None = None
    outcome: Value | None = None
    sentiment: Value | None = None
    subject: Value | None = None
    url: Value | None = None
    properties: Annotated[PropertiesRule, BeforeValidator(_properties)] | None = None

    def changed_by(self, rule: TouchRule) -> TouchRule:
        """Return these fields, with those of a rule in place of ours."""
        own = {
            name: getattr(rule, name)
            for name in TouchRule.model_fields.keys() & rule.model_fields_set
        }
        ours = {name: getattr(self, name) for name in TouchRule.model_fields}
        return TouchRule.model_construct(**{**ours, **own})


#: A field that only helps to understand an event.
Helper = Literal["campaign", "outcome", "subject", "traits", "url"]


class ConditionalRule(TouchRule):
    """The fields that differ for events for which `when` holds; or such events are refused."""

    when: Compiled
    reject: StrictBool = False


class MappingRules(TouchRule):
    """A whole mapping.

    `body`: its form (see `BodyRule`). `events`: the list of events in it; by default the body is
    the list, or the one event.
    `optional`: fields that only help; a wrong one is left out and costs no event.
    `unknown`: the treatment of events that no rule and no table of types knows; those that are kept
    are called `<prefix>_<type>`, with the name of the source if no prefix is given.
    """

    body: BodyRule | None = None
    events: Compiled | None = None
    rules: tuple[ConditionalRule, ...] = ()
    unknown: Literal["keep", "reject"] = "keep"
    prefix: Annotated[str, StringConstraints(min_length=1, max_length=64)] | None = None
    optional: tuple[Helper, ...] = ()

    @property
    def taken(self) -> list[ConditionalRule]:
        """The rules for events that are not refused."""
        return [rule for rule in self.rules if not rule.reject]

    @model_validator(mode="after")
    def _complete(self) -> Self:
        if self.type is None and (not self.taken or any(rule.type is None for rule in self.taken)):
            raise ValueError("type is missing: for all events, or in each rule")
        fields = [self.changed_by(rule) for rule in self.taken] or [self]
        if not all(one.identifiers for one in fields):
            raise ValueError("identifiers are missing: for all events, or in each rule")
        if self.prefix is not None and not snake_case(self.prefix):
            raise ValueError("prefix: must hold letters")
        return self

    def asked(self) -> tuple[frozenset[str], frozenset[tuple[str, ...]]]:
        """Return the headers, and the paths of the body, that expressions read."""
        every = expressions(self)
        headers = frozenset(name for one in every for name in one.headers)
        return headers, frozenset(path for one in every for path in one.bodies)


def from_text(value: Any) -> Any:
    """Refuse a mapping that is still the name of a file: only `touchline.yaml` may name one."""
    if isinstance(value, str):
        raise ValueError("expected the mapping; touchline.yaml may name a file, as `mapping`")
    return value


Mapping = Annotated[MappingRules, BeforeValidator(from_text)]
