"""Trails with hundreds of event types: the surplus types are counted together.

A source chooses its types freely, and some put a product's number into them. To bound a row, a
trail keeps the known types (`schemas.event_types`), those that segments count separately, and
`MOST_TYPES` of all others; the rest counts as `OTHER_TYPES` of its channel. The choice depends on
the set of touches alone: the names with the smallest hashes are kept. A type that was dropped never
comes back, since the set of names only grows.
"""

from __future__ import annotations

from functools import lru_cache
from hashlib import blake2b

from schemas.event_types import EVENT_TYPES
from schemas.feature_adding import merge_features
from schemas.trail import FeatureKey, feature_key, feature_name

MOST_TYPES = 256
#: No source can send this: a type has no spaces, nor has a channel.
OTHER_TYPES = "other types"
OTHER_CHANNELS = "other channels"
_CHANNELS = frozenset(info.channel for info in EVENT_TYPES.values())


def merge_surplus_types(features: dict[str, bytes]) -> None:
    """Merge the features of surplus types, in place."""
    if len(features) <= MOST_TYPES:
        return
    names: dict[tuple[str, str], list[str]] = {}
    for name in features:
        pair = _countable(name)
        if pair is not None:
            names.setdefault(pair, []).append(name)
    for channel, event_type in sorted(names, key=_rank)[MOST_TYPES:]:
        left = channel if channel in _CHANNELS else OTHER_CHANNELS
        for name in names[channel, event_type]:
            currency = feature_key(name).currency
            kept = feature_name(FeatureKey(left, OTHER_TYPES, currency))
            features[kept] = merge_features(
                features.get(kept), features.pop(name), money=bool(currency)
            )


@lru_cache(maxsize=16_384)
def _countable(name: str) -> tuple[str, str] | None:
    """Return channel and type of a feature that may be merged with others, else None."""
    key = feature_key(name)
    if key.source or key.campaign or key.direction or not key.channel or not key.type:
        return None
    return None if key.type in EVENT_TYPES or key.type == OTHER_TYPES else (key.channel, key.type)


@lru_cache(maxsize=16_384)
def _rank(pair: tuple[str, str]) -> bytes:
    return blake2b("\x1f".join(pair).encode(), digest_size=8).digest()
