"""Tests of facts about a customer: traits, identifiers, consent. They do not change with time."""

from __future__ import annotations

import re
from collections.abc import Callable

from processors.segments.definition import Consent, Identifier, Trait
from processors.segments.profile_view import ProfileView
from processors.segments.truth import NEVER, Test
from processors.segments.values import ordered

_Check = Callable[[str], bool]


def trait_test(trait: Trait) -> Test:
    """Return a test: the trait exists and passes all comparisons, or does not exist."""
    name = trait.name
    if trait.exists is False:
        return lambda view, now_ms: (name not in view.traits, NEVER)
    checks = tuple(_checks(trait))
    if len(checks) == 1:
        check = checks[0]

        def one(view: ProfileView, now_ms: int) -> tuple[bool, int]:
            text = view.traits.get(name)
            return text is not None and check(text), NEVER

        return one

    def several(view: ProfileView, now_ms: int) -> tuple[bool, int]:
        text = view.traits.get(name)
        return text is not None and all([check(text) for check in checks]), NEVER

    return several


def _checks(trait: Trait) -> list[_Check]:
    checks: list[_Check] = []
    if trait.equals is not None:
        checks.append(trait.equals.__eq__)
    if trait.not_equals is not None:
        checks.append(trait.not_equals.__ne__)
    if trait.in_ is not None:
        checks.append(frozenset(trait.in_).__contains__)
    if trait.contains is not None:
        part = trait.contains
        checks.append(lambda text: part in text)
    if trait.matches is not None:
        search = re.compile(trait.matches).search
        checks.append(lambda text: search(text) is not None)
    if trait.greater_than is not None:
        checks.append(_comparison(trait.greater_than, greater=True))
    if trait.less_than is not None:
        checks.append(_comparison(trait.less_than, greater=False))
    return checks


def _comparison(bound_text: str, greater: bool) -> _Check:
    bound = ordered(bound_text)
    if bound is None:
        raise ValueError(f"{bound_text!r} has no order")
    kind, limit = bound

    def check(text: str) -> bool:
        value = ordered(text)
        if value is None or value[0] != kind:
            return False
        return value[1] > limit if greater else value[1] < limit

    return check


def identifier_test(identifier: Identifier) -> Test:
    """Return a test: the profile has an identifier of the kind, or has none."""
    kind, wanted = identifier.kind, identifier.exists
    return lambda view, now_ms: (bool(view.identifiers.get(kind)) is wanted, NEVER)


def consent_test(consent: Consent) -> Test:
    """Return a test: the last decision on the purpose is the one wanted."""
    purpose, wanted = consent.purpose, consent.is_
    return lambda view, now_ms: (view.consent.get(purpose) is wanted, NEVER)
