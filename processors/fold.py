"""Adding touches to a trail. A function of the set of touches: their order does not matter."""

from __future__ import annotations

from collections.abc import Collection
from functools import lru_cache
from typing import NamedTuple

from schemas import trail
from schemas.features import Feature, micros
from schemas.times import parse_ms
from schemas.touchpoint_row import TouchpointRow
from schemas.trail import FeatureKey, Stamped, Trail, feature_name

#: Kinds of which a profile shows the one that was named last.
SHOWN_KINDS = ("email", "phone")
#: A trail remembers the last naming of at most this many e-mail addresses and phone numbers.
MOST_NAMED = 50


class Folding:
    """A trail while touches are added to it; None begins one."""

    __slots__ = ("_features", "trail")

    def __init__(self, packed: bytes | None) -> None:
        self._features: dict[str, Feature] = {}
        if packed is None:
            self.trail = Trail(2**62, -(2**62), -(2**62), {}, {}, {}, {})
        else:
            self.trail = trail.decode(packed)

    def add(self, row: TouchpointRow, at_ms: int, extra: Collection[FeatureKey] = ()) -> None:
        """Add a touch that occurred at `at_ms`; it counts in `extra` features where it fits."""
        kept = self.trail
        kept.first_ms = min(kept.first_ms, at_ms)
        kept.last_ms = max(kept.last_ms, at_ms)
        kept.received_ms = max(kept.received_ms, parse_ms(row.received_at))
        for name, value in row.traits.items():
            _keep_last(kept.traits, name, Stamped(at_ms, row.source, row.event_id, value))
        for purpose, given in row.consent.items():
            _keep_last(kept.consent, purpose, Stamped(at_ms, row.source, row.event_id, given))
        for kind in SHOWN_KINDS:
            for value in row.identifiers.get(kind, ()):
                self._name(f"{kind}:{value}", at_ms)
        self._count(row, at_ms, extra)

    def pack(self) -> bytes:
        """The trail's bytes."""
        for name, feature in self._features.items():
            self.trail.features[name] = feature.pack()
        return trail.encode(self.trail)

    def _name(self, name: str, at_ms: int) -> None:
        named = self.trail.named
        named[name] = max(named.get(name, at_ms), at_ms)
        if len(named) > MOST_NAMED:
            del named[min(named, key=lambda one: (named[one], one))]

    def _count(self, row: TouchpointRow, at_ms: int, extra: Collection[FeatureKey]) -> None:
        currency, amount = "", 0
        if row.value_amount is not None and row.value_currency:
            currency, amount = row.value_currency, micros(row.value_amount)
        counted = _generic_features(row.channel, row.type, currency)
        if extra:
            counted += tuple(_Counted.of(key) for key in extra if _matches(key, row, currency))
        for name, money in counted:
            feature = self._features.get(name)
            if feature is None:
                packed = self.trail.features.get(name)
                feature = Feature(money) if packed is None else Feature.unpack(packed)
                self._features[name] = feature
            feature.add(at_ms, amount if money else 0)


class _Counted(NamedTuple):
    """A feature that a touch counts in: its name, and whether it sums amounts."""

    name: str
    money: bool

    @classmethod
    def of(cls, key: FeatureKey) -> _Counted:
        """The feature of a key."""
        return cls(feature_name(key), bool(key.currency))


@lru_cache(maxsize=4096)
def _generic_features(channel: str, event_type: str, currency: str) -> tuple[_Counted, ...]:
    """The features that every trail keeps."""
    counts = _Counted.of(FeatureKey(channel, event_type))
    if not currency:
        return (counts,)
    return counts, _Counted.of(FeatureKey(channel, event_type, currency))


def _keep_last(kept: dict[str, Stamped], name: str, new: Stamped) -> None:
    old = kept.get(name)
    if old is None or new.order() > old.order():
        kept[name] = new


def _matches(key: FeatureKey, touch: TouchpointRow, currency: str) -> bool:
    return (
        (not key.channel or key.channel == touch.channel)
        and (not key.type or key.type == touch.type)
        and (not key.source or key.source == touch.source)
        and (not key.campaign or key.campaign == touch.campaign_name)
        and (not key.direction or key.direction == touch.direction)
        and (not key.currency or key.currency == currency)
    )
