"""The identity policy that an epoch was built with, against the one that is configured.

A policy takes effect with a rebuild, never on state that another one has made: two kinds that join
today would leave people apart who were seen together yesterday.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import asdict, replace
from itertools import pairwise
from typing import Any

from deploy.config.yaml_file import Location
from schemas.identifiers import IdentityPolicy, KindPolicy
from sinks.clickhouse.epochs import Epochs

#: What a rebuild can change; the order of strength it cannot.
_SETTINGS = ("joins", "unique", "limit")


def described(policy: IdentityPolicy) -> str:
    """What decides about identities, as JSON text that is the same for the same policy."""
    kinds = {name: asdict(kind) for name, kind in sorted(policy.kinds.items())}
    for kind in kinds.values():
        del kind["name"]
    return json.dumps({"joins_per_day": policy.joins_per_day, "kinds": kinds}, sort_keys=True)


def restored(description: str, configured: IdentityPolicy) -> IdentityPolicy:
    """The policy of a description; what is no identity is as configured.

    Without a description (an epoch from before they were kept) the configured policy.
    """
    if not description:
        return configured
    data: dict[str, Any] = json.loads(description)
    kinds = {name: KindPolicy(name, **kind) for name, kind in data["kinds"].items()}
    return replace(configured, kinds=kinds, joins_per_day=data["joins_per_day"])


def shown(epochs: Epochs, configured: IdentityPolicy) -> IdentityPolicy:
    """The policy by which the epoch was built that the views show.

    Raises `sinks.clickhouse.client.ClickHouseError`.
    """
    epoch = epochs.shown()
    return restored(epoch.policy, configured) if epoch else configured


def differences(
    built: IdentityPolicy, configured: IdentityPolicy
) -> Iterable[tuple[Location, str]]:
    """What a rebuild would change: the setting's place and how it differs."""
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


def reordered(
    built: IdentityPolicy, configured: IdentityPolicy, kinds: Iterable[str]
) -> tuple[str, str] | None:
    """Two of these kinds, of which the first is now the stronger one and was the weaker; or None.

    Of a stored touch the strongest identifier is its lead, and stays it.
    """

    def strength(policy: IdentityPolicy, name: str) -> tuple[int, str]:
        return policy.kind(name).strength, name

    ordered = sorted(set(kinds), key=lambda name: strength(configured, name))
    for stronger, weaker in pairwise(ordered):
        if strength(built, stronger) > strength(built, weaker):
            return stronger, weaker
    return None


def order_problem(configured: IdentityPolicy, described: str) -> str | None:
    """Why touches would be led by other identifiers than those that are stored; or None.

    `described` is the policy that the present epoch was built with.
    """
    built = restored(described, configured)
    order = reordered(built, configured, {*built.kinds} & {*configured.kinds})
    return reordering(*order) if order else None


def reordering(stronger: str, weaker: str) -> str:
    """What is wrong with a changed order, and what to do."""
    return (
        f"{stronger!r} is now stronger than {weaker!r}, but the touches that are stored were led "
        "by the kinds as they were: their lead identifier cannot change; put the order of "
        "strength back"
    )


def _text(value: object) -> str:
    return json.dumps(value)
