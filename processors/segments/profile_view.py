"""The merged profile as segments see it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class ProfileView:
    """One person, merged from the trails of its identifiers.

    `features` has one mapping per trail: `schemas.trail.feature_name` -> packed feature
    (`schemas.features`). A touch is in exactly one trail, so counts add up over trails.
    """

    identifiers: Mapping[str, Sequence[str]] = field(default_factory=dict)
    traits: Mapping[str, str] = field(default_factory=dict)
    consent: Mapping[str, bool] = field(default_factory=dict)
    features: Sequence[Mapping[str, bytes]] = ()
