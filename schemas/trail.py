"""A trail: all that one lead identifier has brought."""

from __future__ import annotations

from typing import NamedTuple

import msgspec


class FilterSpec(NamedTuple):
    """Which touches a feature counts; '' stands for any."""

    channel: str = ""
    type: str = ""
    source: str = ""
    campaign: str = ""
    direction: str = ""

    @property
    def generic(self) -> bool:
        """Whether the features per (channel, type), which every trail has, answer it."""
        return not (self.source or self.campaign or self.direction)


class FeatureKey(msgspec.Struct, array_like=True, frozen=True):
    """What a feature counts: a filter, and for sums the currency ('' for counts).

    Every trail has a feature per (channel, type) and per (channel, type, currency); a filter with
    source, campaign or direction has features of its own where a segment uses it.
    """

    channel: str = ""
    type: str = ""
    currency: str = ""
    source: str = ""
    campaign: str = ""
    direction: str = ""


def feature_name(key: FeatureKey) -> str:
    """The key's name within a trail."""
    parts = (key.channel, key.type, key.currency, key.source, key.campaign, key.direction)
    return "\x1f".join(parts).rstrip("\x1f")


def feature_key(name: str) -> FeatureKey:
    """The key of a name."""
    return FeatureKey(*name.split("\x1f"))


class Stamped(msgspec.Struct, array_like=True, frozen=True):
    """A value with what decides between two: the later touch, then source, then event id."""

    at_ms: int
    source: str
    event_id: str
    value: str | bool | None

    def order(self) -> tuple[int, str, str]:
        """The greater wins."""
        return self.at_ms, self.source, self.event_id


class Trail(msgspec.Struct, array_like=True):
    """All that one lead identifier has brought. Times in ms."""

    first_ms: int
    last_ms: int
    #: Time of receipt of the newest touch.
    received_ms: int
    #: Last value per trait; None where it was unset.
    traits: dict[str, Stamped]
    #: Last decision per purpose.
    consent: dict[str, Stamped]
    #: "email:…" and "phone:…" -> when it was last named with this lead.
    named: dict[str, int]
    #: `feature_name` -> packed feature.
    features: dict[str, bytes]


_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(Trail)


def encode(trail: Trail) -> bytes:
    """The trail's bytes."""
    return _encoder.encode(trail)


def decode(data: bytes) -> Trail:
    """The trail of its bytes."""
    return _decoder.decode(data)
