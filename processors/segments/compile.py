"""Compilation of a definition to a segment: done once, to plain functions."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from processors.segments import definition as models
from processors.segments.facts import consent_test, identifier_test, trait_test
from processors.segments.touches import count_test, feature_of, recency_test, sum_test
from processors.segments.truth import Test, conjunction, disjunction, negation
from schemas.trail import FeatureKey


@dataclass(frozen=True, slots=True)
class Segment:
    """A segment, ready to be tested on profiles."""

    name: str
    description: str
    #: Identifies the meaning: another digest, another set of members.
    digest: str
    #: The condition in its normal form, ready for JSON.
    when: dict[str, Any] = field(hash=False)
    #: Features that trails must keep for it, beyond those per (channel, type) that all have.
    features: frozenset[FeatureKey]
    #: Returns whether a profile is in it now, and until when that holds: see
    #: `processors.segments.truth`.
    test: Test = field(repr=False, hash=False, compare=False)

    def describe(self) -> dict[str, Any]:
        """Return the segment's description for lists of segments, ready for JSON."""
        return {
            "name": self.name,
            "description": self.description,
            "digest": self.digest,
            "when": self.when,
        }


def required_features(segments: Iterable[Segment]) -> frozenset[FeatureKey]:
    """Return the features that trails must keep for these segments, beyond those that all have.

    In a key, '' stands for any channel, type, source, campaign or direction. With a currency, only
    touches with an amount in it count; with '' touches count whatever their value.
    """
    return frozenset[FeatureKey]().union(*(segment.features for segment in segments))


def compile_segment(definition: models.Definition) -> Segment:
    """Return the segment of a definition."""
    features: set[FeatureKey] = set()
    test = _test(definition.when, features)
    return Segment(
        definition.name,
        definition.description,
        definition.digest(),
        definition.plain(),
        frozenset(features),
        test,
    )


def _test(condition: models.Part, features: set[FeatureKey]) -> Test:
    match condition:
        case models.AllCondition(all=parts):
            test = conjunction(_tests(parts, features))
        case models.AnyCondition(any=parts):
            test = disjunction(_tests(parts, features))
        case models.NotCondition(not_=part):
            test = negation(_test(part, features))
        case models.TraitCondition(trait=trait):
            test = trait_test(trait)
        case models.IdentifierCondition(identifier=identifier):
            test = identifier_test(identifier)
        case models.ConsentCondition(consent=consent):
            test = consent_test(consent)
        case _:
            test = _touch_test(condition, features)
    return test


def _tests(parts: Iterable[models.Part], features: set[FeatureKey]) -> list[Test]:
    """Compile the parts, facts first: they are cheap, and if one decides the rest is not tested."""
    facts = (models.TraitCondition, models.IdentifierCondition, models.ConsentCondition)
    return [
        _test(part, features)
        for part in sorted(parts, key=lambda part: not isinstance(part, facts))
    ]


def _touch_test(condition: models.Part, features: set[FeatureKey]) -> Test:
    currency = ""
    filters: models.Filters
    match condition:
        case models.CountCondition(count=filters):
            test = count_test(filters)
        case models.SumCondition(sum=filters):
            currency = filters.currency
            test = sum_test(filters)
        case models.LastTouchCondition(last_touch=filters):
            test = recency_test(filters, first=False)
        case models.FirstTouchCondition(first_touch=filters):
            test = recency_test(filters, first=True)
        case _:
            raise TypeError(f"no test for {type(condition).__name__}")
    if not filters.filter.generic:
        features.add(feature_of(filters.filter, currency))
    return test
