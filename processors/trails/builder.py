"""Adding touches to a trail: a function of the set of touches, so their order does not matter."""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple

from processors.trails.type_cardinality import merge_surplus_types
from schemas import trail
from schemas.feature_adding import Touch, add_touches
from schemas.features import micros
from schemas.times import parse_receipt_ms
from schemas.touchpoint_row import TouchpointRow
from schemas.trail import FeatureKey, Trail, VersionedValue, feature_name

#: Kinds of which a profile shows the one that was named last.
SHOWN_KINDS = ("email", "phone")
#: A trail remembers the last naming of at most this many e-mail addresses and phone numbers.
MOST_NAMED = 50
_REMEMBERED = 20_000


class TrailBuilder:
    """A trail while touches are added to it; None begins a new one."""

    __slots__ = ("_added", "trail")

    def __init__(self, packed: bytes | None) -> None:
        self._added: dict[_Counted, list[Touch]] = {}
        if packed is None:
            self.trail = Trail(2**62, -(2**62), -(2**62), {}, {}, {}, {})
        else:
            self.trail = trail.decode(packed)

    def add(
        self, row: TouchpointRow, at_ms: int, extra: frozenset[FeatureKey] = frozenset()
    ) -> None:
        """Add a touch that occurred at `at_ms`; it counts in matching `extra` features too."""
        kept = self.trail
        if at_ms < kept.first_ms:
            kept.first_ms = at_ms
        if at_ms > kept.last_ms:
            kept.last_ms = at_ms
        received_ms = parse_receipt_ms(row.received_at)
        if received_ms > kept.received_ms:
            kept.received_ms = received_ms
        if row.traits:
            for name, value in row.traits.items():
                _keep_last(
                    kept.traits, name, VersionedValue(at_ms, row.source, row.event_id, value)
                )
        if row.consent:
            for purpose, given in row.consent.items():
                _keep_last(
                    kept.consent, purpose, VersionedValue(at_ms, row.source, row.event_id, given)
                )
        for kind in SHOWN_KINDS:
            for value in row.identifiers.get(kind, ()):
                self._name(f"{kind}:{value}", at_ms)
        self._count(row, at_ms, extra)

    def pack(self) -> bytes:
        """Encode the trail."""
        features = self.trail.features
        for (name, money), touches in self._added.items():
            features[name] = add_touches(features.get(name), touches, money=money)
        self._added = {}
        merge_surplus_types(features)
        return trail.encode(self.trail)

    def _name(self, name: str, at_ms: int) -> None:
        named = self.trail.named
        named[name] = max(named.get(name, at_ms), at_ms)
        if len(named) > MOST_NAMED:
            del named[min(named, key=lambda one: (named[one], one))]

    def _count(self, row: TouchpointRow, at_ms: int, extra: frozenset[FeatureKey]) -> None:
        currency, amount = "", 0
        if row.value_amount is not None and row.value_currency:
            currency, amount = row.value_currency, micros(row.value_amount)
        counting = _counting(extra)
        added = self._added
        for counted in counting[
            row.channel, row.type, currency, row.source, row.campaign_name, row.direction
        ]:
            touches = added.get(counted)
            if touches is None:
                touches = added[counted] = []
            touches.append((at_ms, amount if counted.money else 0))


class _Counted(NamedTuple):
    """A feature that a touch counts in: its name, and whether it sums amounts."""

    name: str
    money: bool

    @classmethod
    def of(cls, key: FeatureKey) -> _Counted:
        """Return the feature of a key."""
        return cls(feature_name(key), bool(key.currency))


class _Counting(dict[tuple[str, ...], tuple[_Counted, ...]]):
    """The features for a touch of (channel, type, currency, source, campaign, direction).

    These values come from outside, so the cache is bounded.
    """

    def __init__(self, extra: frozenset[FeatureKey]) -> None:
        self._extra = extra

    def __missing__(self, touch: tuple[str, ...]) -> tuple[_Counted, ...]:
        channel, event_type, currency = touch[:3]
        counted = [FeatureKey(channel, event_type)]
        if currency:
            counted.append(FeatureKey(channel, event_type, currency))
        counted += [key for key in self._extra if _matches(key, touch)]
        if len(self) >= _REMEMBERED:
            self.clear()
        self[touch] = found = tuple(_Counted.of(key) for key in counted)
        return found


@lru_cache(maxsize=8)
def _counting(extra: frozenset[FeatureKey]) -> _Counting:
    return _Counting(extra)


def _keep_last(kept: dict[str, VersionedValue], name: str, new: VersionedValue) -> None:
    old = kept.get(name)
    if old is None or new.order() > old.order():
        kept[name] = new


def _matches(key: FeatureKey, touch: tuple[str, ...]) -> bool:
    channel, event_type, currency, source, campaign, direction = touch
    return (
        key.channel in ("", channel)
        and key.type in ("", event_type)
        and key.source in ("", source)
        and key.campaign in ("", campaign)
        and key.direction in ("", direction)
        and key.currency in ("", currency)
    )
