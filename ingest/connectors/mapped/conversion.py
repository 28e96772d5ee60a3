"""Conversion of an event to a touchpoint: the choice of the rule and of the type.

Pure, and never raising for bad data: an expression that cannot be evaluated, or gives a wrong form,
is a rejection that names the field of the mapping.
"""

from __future__ import annotations

import uuid
from typing import Any, NamedTuple

from ingest.connector import Result
from ingest.connectors.mapped.expressions import (
    Expression,
    ExpressionError,
    Scope,
    TooMuchWorkError,
    holds,
)
from ingest.connectors.mapped.extraction import Extraction
from ingest.connectors.mapped.leftover import Tree, taken_by, tree
from ingest.connectors.mapped.rules import MappingRules, PropertiesRule, TouchRule
from ingest.kit.fields import (
    EVENT_NAMESPACE,
    LABEL_LENGTH,
    Payload,
    derived_id,
    finish,
    snake_case,
)
from ingest.kit.mapping_terms import UNKNOWN_TYPE, unlisted_type
from schemas.rejection import Rejection

_NOBODY = "identifiers: none of them is in the event"


class Prepared(NamedTuple):
    """The fields of a rule, and the paths that they leave out of the rest; or a refusal."""

    fields: TouchRule
    mapped: Tree
    is_refusal: bool = False


class Conversion:
    """The conversion of a source's events into touchpoints."""

    def __init__(self, mapping: MappingRules) -> None:
        self._rules = [
            (rule.when, _prepared(mapping.changed_by(rule))._replace(is_refusal=rule.reject))
            for rule in mapping.rules
        ]
        self._rules_tell = bool(mapping.taken)
        self._common = _prepared(mapping)
        # Whoever the company is, an address of it that cannot be read costs no event.
        self._optional = frozenset({*mapping.optional, "own"})
        self._keeps_unknown = mapping.unknown == "keep"
        self._prefix = mapping.prefix

    def touch(self, event: dict[str, Any], payload: Payload, scope: Scope, source: str) -> Result:
        """Return an event's touchpoint or rejection. Raises RecursionError for a deep event."""
        scope.next_event()
        try:
            rule = next((one for when, one in self._rules if _is_met(when, event, scope)), None)
        except TooMuchWorkError as error:
            return Rejection("invalid", f"when: {error}", payload())
        if rule is not None and rule.is_refusal:
            return Rejection("unsupported", UNKNOWN_TYPE, payload())
        extraction = Extraction(event, scope)
        fields, mapped, _ = rule or self._common
        kind = self._type(fields, rule is None and self._rules_tell, extraction, source)
        if kind is None and not extraction.problems:
            return Rejection("unsupported", UNKNOWN_TYPE, payload())
        extracted = extraction.fields(fields, mapped)
        event_id = _event_id(extracted["event_id"], event)
        touch = {**extracted, "type": kind, "event_id": event_id}
        return finish(touch, self._faults(extraction.problems), payload, nobody=_NOBODY)

    def _faults(self, problems: list[str]) -> list[str]:
        """Return the problems that cost the event: those of fields that are not optional."""
        return [one for one in problems if _field(one) not in self._optional]

    def _type(
        self, fields: TouchRule, ruled_out: bool, extraction: Extraction, source: str
    ) -> str | None:
        """Return the type; None for an event that is skipped. `ruled_out`: no rule held."""
        rule = fields.type
        if rule is None:
            return None
        if rule.fixed is not None:
            return rule.fixed if self._keeps_unknown or not ruled_out else None
        word = extraction.word("type", rule) or ""
        translation = rule.translation
        if translation is not None and (found := translation.stated(word)) is not None:
            return str(found)
        is_unknown = ruled_out or (translation is not None and not translation.keeps_others)
        if is_unknown and not self._keeps_unknown:
            return None
        name = snake_case(word)
        if not name and not extraction.problems:
            extraction.problems.append("type: must be text with letters or digits")
        return unlisted_type(word, self._prefix or source) if is_unknown else name


def _event_id(stated: str | None, event: dict[str, Any]) -> str:
    """Return the id of an event: stated, or derived from it; from one that is too long another."""
    if stated is None:
        return derived_id(event)
    return stated if len(stated) <= LABEL_LENGTH else str(uuid.uuid5(EVENT_NAMESPACE, stated))


def _field(problem: str) -> str:
    """Return the field of the mapping that a problem is about: campaign of `campaign.name: …`."""
    return problem.partition(":")[0].partition(".")[0]


def _is_met(when: Expression, event: dict[str, Any], scope: Scope) -> bool:
    """Return True if a condition holds; one that cannot be evaluated for an event does not."""
    try:
        return holds(when.search(event, scope))
    except TooMuchWorkError:
        raise
    except ExpressionError:
        return False


def _prepared(fields: TouchRule) -> Prepared:
    properties = fields.properties or PropertiesRule(rest=True)
    mapped = {one.path for one in properties.without if one.path}
    for name in TouchRule.model_fields.keys() - {"own", "properties"}:
        mapped |= taken_by(getattr(fields, name))
    return Prepared(fields, tree(mapped))
