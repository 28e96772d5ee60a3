"""Evaluation of the rule of an event, field by field; errors are collected, never raised."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any

from ingest.connectors.mapped.expressions import Expression, ExpressionError, Scope
from ingest.connectors.mapped.leftover import Tree, is_larger, without
from ingest.connectors.mapped.rules import Named, PropertiesRule, TouchRule
from ingest.connectors.mapped.values import Computed, Word
from ingest.kit.fields import Fields, id_text, identifiers
from ingest.kit.mapping_terms import Separators

#: Most values and characters of an object that is kept: more than a touchpoint can hold.
_LARGEST = 1_000_000


class Extraction:
    """One event, seen through the expressions of a mapping."""

    def __init__(self, event: dict[str, Any], scope: Scope) -> None:
        self._event = event
        self._scope = scope
        #: The errors, by the name of the mapping's field; never with a value of the event.
        self.problems: list[str] = []
        self._wrong = Fields({}, problems=self.problems).wrong

    def word(self, name: str, rule: Word) -> str | None:
        """Return the word in the event, before any table is applied."""
        try:
            return rule.read(self._event, self._scope)
        except ExpressionError as error:
            self._wrong(name, str(error))
            return None

    def fields(self, rule: TouchRule, mapped: Tree) -> dict[str, Any]:
        """Return the touchpoint's fields except its type. `mapped` is left out of the rest."""
        read = self._read(
            "", {name: getattr(rule, name) for name in ("event_id", "outcome", "subject", "url")}
        )
        return {
            "event_id": read.id("event_id"),
            "channel": self._known("channel", rule.channel) or "web",
            "direction": self._known("direction", rule.direction),
            "identifiers": self._customer(rule),
            "occurred_at": self._moment(rule),
            "traits": self._traits(rule.traits),
            "consent": self._consent(rule.consent),
            "campaign": self._campaign(rule),
            "value": self._money(rule),
            "duration_s": self._number("duration_s", rule.duration_s),
            "outcome": read.label("outcome"),
            "sentiment": self._number("sentiment", rule.sentiment),
            "subject": read.id("subject"),
            "url": read.text("url"),
            "properties": self._properties(rule.properties, mapped),
        }

    def _value(self, name: str, rule: Computed | None, separators: Separators | None = None) -> Any:
        """Return a value; None if there is none, and for "" too."""
        if rule is None:
            return None
        try:
            found = rule.read(self._event, self._scope, separators)
        except ExpressionError as error:
            self._wrong(name, str(error))
            return None
        return None if found == "" else found

    def _read(self, where: str, rules: Mapping[str, Computed | None]) -> Fields:
        """Return typed access to the values of several rules."""
        values = {name: self._value(where + name, rule) for name, rule in rules.items()}
        return Fields(values, where, self.problems)

    def _known(self, name: str, rule: Word | None) -> Any:
        """Return a word, translated."""
        found = None if rule is None else self.word(name, rule)
        if rule is None or rule.translation is None:
            return found
        return rule.translation.of(found or "", found)

    def _customer(self, rule: TouchRule) -> list[dict[str, str]]:
        """Return the identifiers; none if one of them is the company's own."""
        own = {
            text.casefold()
            for one in rule.own or ()
            for value in _listed(self._value("own", one))
            if (text := id_text(value)) is not None
        }
        found = identifiers(*self._identifiers(rule))
        return [] if any(one["value"].casefold() in own for one in found) else found

    def _identifiers(self, rule: TouchRule) -> Iterator[tuple[str, str | None]]:
        for one in rule.identifiers or ():
            name = f"identifiers.{one.kind}"
            found = self._value(name, one.value)
            for value in _listed(found):
                text = id_text(value)
                if text is None and value is not None:
                    self._wrong(name, "must be text, a whole number, or a list of them")
                yield one.kind, text

    def _moment(self, rule: TouchRule) -> datetime | None:
        if rule.occurred_at is None:
            return None
        try:
            return rule.occurred_at.read(self._event, self._scope)
        except ExpressionError as error:
            self._wrong("occurred_at", error.args[0])
            return None

    def _traits(self, rule: Named | None) -> dict[str, Any]:
        """Return the traits that are not null: a field that is not in the event unsets nothing."""
        if rule is None:
            return {}
        if rule.whole is not None:
            found = self._object("traits", rule.whole)
        else:
            found = dict(self._read("traits.", rule.parts).values())
        return self._small("traits", {k: v for k, v in found.items() if v is not None})

    def _consent(self, rules: Mapping[str, Computed] | None) -> dict[str, bool]:
        read = self._read("consent.", rules or {})
        decisions = {purpose: read.flag(purpose) for purpose in rules or ()}
        return {purpose: one for purpose, one in decisions.items() if one is not None}

    def _campaign(self, rule: TouchRule) -> dict[str, str | None] | None:
        if rule.campaign is None:
            return None
        rules = dict(rule.campaign)
        read = self._read("campaign.", rules)
        labels = {name: read.label(name) for name in rules}
        return labels if any(labels.values()) else None

    def _money(self, rule: TouchRule) -> dict[str, Any] | None:
        if rule.value is None:
            return None
        amount = self._value("value.amount", rule.value.amount, rule.value.separators)
        currency = self._value("value.currency", rule.value.currency)
        return None if amount is None else {"amount": amount, "currency": currency}

    def _number(self, name: str, rule: Computed | None) -> float | None:
        value = self._value(name, rule)
        if value is None:
            return None
        try:
            return float("" if isinstance(value, bool) else value)
        except (TypeError, ValueError, OverflowError):
            self._wrong(name, "must be a number")
            return None

    def _properties(self, rule: PropertiesRule | None, mapped: Tree) -> dict[str, Any]:
        found = without(self._event, mapped) if rule is None or rule.rest else {}
        if rule is None:
            return found
        named = dict(self._read("properties.", rule.columns).values())
        found |= {name: value for name, value in named.items() if value is not None}
        if rule.expr is None:
            return found
        return {**found, **self._small("properties", self._object("properties", rule.expr))}

    def _object(self, name: str, rule: Expression) -> dict[str, Any]:
        try:
            found = rule.search(self._event, self._scope)
        except ExpressionError as error:
            self._wrong(name, str(error))
            return {}
        if found not in (None, []) and not isinstance(found, dict):
            self._wrong(name, "must be an object")
            return {}
        return found or {}

    def _small(self, name: str, found: dict[str, Any]) -> dict[str, Any]:
        if is_larger(found, _LARGEST):
            self._wrong(name, "is too large")
            return {}
        return found


def _listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]
