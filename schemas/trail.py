"""A trail: the accumulated touches of one lead identifier."""

from __future__ import annotations

from typing import NamedTuple

import msgspec


class FilterSpec(NamedTuple):
    """A filter of touches that a feature counts; '' stands for any."""

    channel: str = ""
    type: str = ""
    source: str = ""
    campaign: str = ""
    direction: str = ""

    @property
    def generic(self) -> bool:
        """Return True if the features per (channel, type), which all trails have, answer it."""
        return not (self.source or self.campaign or self.direction)


class FeatureKey(msgspec.Struct, array_like=True, frozen=True):
    """The key of a feature: its filter, and for sums the currency ('' for counts).

    Every trail has a feature per (channel, type) and per (channel, type, currency); a filter with
    source, campaign or direction has features of its own if a segment uses it.
    """

    channel: str = ""
    type: str = ""
    currency: str = ""
    source: str = ""
    campaign: str = ""
    direction: str = ""


def feature_name(key: FeatureKey) -> str:
    """Return the key's name within a trail."""
    parts = (key.channel, key.type, key.currency, key.source, key.campaign, key.direction)
    return "\x1f".join(parts).rstrip("\x1f")


def feature_key(name: str) -> FeatureKey:
    """Parse a feature's name back to its key."""
    return FeatureKey(*name.split("\x1f"))


class VersionedValue(msgspec.Struct, array_like=True, frozen=True):
    """A value with its order of precedence: the later touch, then source, then event id."""

    at_ms: int
    source: str
    event_id: str
    value: str | bool | None

    def order(self) -> tuple[int, str, str]:
        """Return the order of precedence; the greater wins."""
        return self.at_ms, self.source, self.event_id


class Trail(msgspec.Struct, array_like=True):
    """The accumulated touches of one lead identifier. Times in ms."""

    first_ms: int
    last_ms: int
    #: Time of receipt of the newest touch.
    received_ms: int
    #: Last value per trait; None if it was unset.
    traits: dict[str, VersionedValue]
    #: Last consent decision per purpose.
    consent: dict[str, VersionedValue]
    #: "email:…" and "phone:…" -> the last time it was named with this lead.
    named: dict[str, int]
    #: `feature_name` -> packed feature.
    features: dict[str, bytes]


_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(Trail)


def encode(trail: Trail) -> bytes:
    """Encode the trail."""
    return _encoder.encode(trail)


def decode(data: bytes) -> Trail:
    """Decode a trail."""
    return _decoder.decode(data)
