"""The identity policy of an epoch, compared with the configured one.

A policy takes effect with a rebuild, never on state that another one has made: with two kinds that
join only from today on, people who were seen together yesterday would stay apart.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import asdict, replace
from itertools import pairwise
from typing import Any

from schemas.document import Location
from schemas.identifiers import IdentityPolicy, KindPolicy
from sinks.clickhouse.epochs import Epochs

#: Settings that a rebuild can change; it cannot change the order of strength.
_SETTINGS = ("joins", "unique", "limit")


def serialize_policy(policy: IdentityPolicy) -> str:
    """Return the deciding part of a policy as JSON text, identical for identical policies."""
    kinds = {name: asdict(kind) for name, kind in sorted(policy.kinds.items())}
    for kind in kinds.values():
        del kind["name"]
    return json.dumps({"joins_per_day": policy.joins_per_day, "kinds": kinds}, sort_keys=True)


def parse_policy(serialized: str, configured: IdentityPolicy) -> IdentityPolicy:
    """Return the policy of its JSON text; blocked values are taken from the configuration.

    An empty text (an epoch from before they were stored) gives the configured policy.
    """
    if not serialized:
        return configured
    data: dict[str, Any] = json.loads(serialized)
    kinds = {name: KindPolicy(name, **kind) for name, kind in data["kinds"].items()}
    return replace(configured, kinds=kinds, joins_per_day=data["joins_per_day"])


def shown_policy(epochs: Epochs, configured: IdentityPolicy) -> IdentityPolicy:
    """Return the policy with which the shown epoch was built.

    Raises `sinks.clickhouse.client.ClickHouseError`.
    """
    epoch = epochs.shown()
    return parse_policy(epoch.policy, configured) if epoch else configured


def differences(
    built: IdentityPolicy, configured: IdentityPolicy
) -> Iterable[tuple[Location, str]]:
    """Yield the changes that a rebuild would make: the setting's place and the difference."""
    if built.joins_per_day != configured.joins_per_day:
        yield (
            ("identity", "joins_per_day"),
            f"{configured.joins_per_day}, but the present epoch was built with "
            f"{built.joins_per_day}",
        )
    for name in sorted({*built.kinds, *configured.kinds}):
        before, now = built.kind(name), configured.kind(name)
        for setting in _SETTINGS:
            old, new = getattr(before, setting), getattr(now, setting)
            if old != new:
                yield (
                    ("identity", "kinds", name, setting),
                    f"{_text(new)}, but the present epoch was built with {_text(old)}",
                )


def find_reordered_kinds(
    built: IdentityPolicy, configured: IdentityPolicy, kinds: Iterable[str]
) -> tuple[str, str] | None:
    """Return two of these kinds of which the first is now stronger but was weaker; or None.

    The lead of a stored touch is its strongest identifier, and never changes.
    """

    def strength(policy: IdentityPolicy, name: str) -> tuple[int, str]:
        return policy.kind(name).strength, name

    ordered = sorted(set(kinds), key=lambda name: strength(configured, name))
    for stronger, weaker in pairwise(ordered):
        if strength(built, stronger) > strength(built, weaker):
            return stronger, weaker
    return None


def order_problem(configured: IdentityPolicy, serialized: str) -> str | None:
    """Return the reason for which stored touches would have other lead identifiers; or None.

    `serialized` is the policy that the present epoch was built with.
    """
    built = parse_policy(serialized, configured)
    order = find_reordered_kinds(built, configured, {*built.kinds} & {*configured.kinds})
    return describe_reordering(*order) if order else None


def describe_reordering(stronger: str, weaker: str) -> str:
    """Describe the problem of a changed order and its solution."""
    return (
        f"{stronger!r} is now stronger than {weaker!r}, but the touches that are stored were led "
        "by the kinds as they were: their lead identifier cannot change; put the order of "
        "strength back"
    )


def _text(value: object) -> str:
    return json.dumps(value)
