"""One person merged from many trails: a join, so neither order nor repetition matters."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import NamedTuple

from processors.profiles import score
from processors.segments.profile_view import ProfileView
from schemas import features
from schemas.features import amount_text
from schemas.identifiers import Identifier, IdentityPolicy
from schemas.trail import Trail, VersionedValue, feature_key

ORDER = "order_completed"


@dataclass(slots=True)
class Merged:
    """The merge of a profile's trails. Times in ms, 0 where there was no touch."""

    view: ProfileView
    first_ms: int = 0
    last_ms: int = 0
    received_ms: int = 0
    touches: int = 0
    channels: dict[str, int] = field(default_factory=dict)
    orders: int = 0
    #: Currency -> amount in micros.
    revenue: dict[str, int] = field(default_factory=dict)
    #: Last naming (ms) of "email:…" and "phone:…".
    named: dict[str, int] = field(default_factory=dict)
    points: float = 0.0

    def shown(self, kind: str) -> str:
        """Return the identifier of a kind that was named last; in a tie the greater value."""
        values = self.view.identifiers.get(kind, ())
        return max(values, key=lambda v: (self.named.get(f"{kind}:{v}", 0), v), default="")

    def display_name(self) -> str:
        """Return a name for the customer, as far as their traits give one."""
        traits = self.view.traits
        name = traits.get("name") or traits.get("display_name")
        if name:
            return name
        first = traits.get("first_name") or traits.get("firstName") or ""
        last = traits.get("last_name") or traits.get("lastName") or ""
        return f"{first} {last}".strip()

    def revenue_text(self) -> dict[str, str]:
        """Return currency -> amount as decimal text."""
        return {currency: amount_text(amount) for currency, amount in self.revenue.items()}


def merge(
    identifiers: Iterable[Identifier], trails: Sequence[Trail], policy: IdentityPolicy
) -> Merged:
    """Merge `trails`, which are those of `identifiers`."""
    by_kind: dict[str, list[str]] = {}
    for identifier in sorted(identifiers, key=policy.strength):
        by_kind.setdefault(identifier.kind, []).append(identifier.value)
    view = ProfileView(
        identifiers=by_kind,
        traits={
            name: value
            for name, value in _last([trail.traits for trail in trails]).items()
            if isinstance(value, str)
        },
        consent={
            purpose: bool(given)
            for purpose, given in _last([trail.consent for trail in trails]).items()
        },
        features=[trail.features for trail in trails],
    )
    merged = Merged(view)
    if not trails:
        return merged
    merged.first_ms = min([trail.first_ms for trail in trails])
    merged.last_ms = max([trail.last_ms for trail in trails])
    merged.received_ms = max([trail.received_ms for trail in trails])
    weights: dict[int, int] = {}
    since_ms = score.counted_from(merged.last_ms)
    for trail in trails:
        for name, at_ms in trail.named.items():
            merged.named[name] = max(merged.named.get(name, at_ms), at_ms)
        for name, packed in trail.features.items():
            role = _role(name)
            if role is not None:
                _count(merged, weights, since_ms, role, packed)
    merged.points = score.points(weights, merged.last_ms)
    return merged


class _Role(NamedTuple):
    """The contribution of a feature to the profile as a whole."""

    channel: str
    is_order: bool
    currency: str
    weight: int


def _count(
    merged: Merged, weights: dict[int, int], since_ms: int, role: _Role, packed: bytes
) -> None:
    """Add a feature; `weights` holds the weight of the touches of each hour."""
    channel, is_order, currency, weight = role
    _, _, touches, amount = features.read_totals(packed)
    if currency:
        if is_order:
            merged.revenue[currency] = merged.revenue.get(currency, 0) + amount
        return
    merged.touches += touches
    merged.channels[channel] = merged.channels.get(channel, 0) + touches
    if is_order:
        merged.orders += touches
    if weight:
        for hour, of_hour in features.hourly(packed, since_ms):
            weights[hour] = weights.get(hour, 0) + weight * of_hour


@lru_cache(maxsize=4096)
def _role(name: str) -> _Role | None:
    """Return None for a feature of a single segment, whose touches other features count too."""
    key = feature_key(name)
    if key.source or key.campaign or key.direction or not key.channel or not key.type:
        return None
    return _Role(key.channel, key.type == ORDER, key.currency, score.weight(key.type))


def _last(sets: Sequence[Mapping[str, VersionedValue]]) -> dict[str, str | bool | None]:
    """Return each name's value of the latest touch; of one event with two leads the greater."""
    if len(sets) == 1:
        return {name: sets[0][name].value for name in sorted(sets[0])}
    kept: dict[str, VersionedValue] = {}
    for one in sets:
        for name, new in one.items():
            old = kept.get(name)
            if old is None or (new.order(), repr(new.value)) > (old.order(), repr(old.value)):
                kept[name] = new
    return {name: kept[name].value for name in sorted(kept)}
