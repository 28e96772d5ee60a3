"""What travels between the stages, in a compact binary form (msgpack arrays).

Everything here is absolute and versioned: received twice, late or out of order it changes nothing.
"""

from __future__ import annotations

import msgspec


class LinkRequest(msgspec.Struct, array_like=True, frozen=True):
    """Topic `identity.links`: a touch named two identifiers whose link has no verdict yet.

    The lead is the stronger one. `source`, `event_id` and `occurred_ms` say which touch it was.
    """

    lead_kind: str
    lead_value: str
    kind: str
    value: str
    source: str
    event_id: str
    occurred_ms: int


class Assignment(msgspec.Struct, array_like=True, frozen=True):
    """Topic `identity.assignments`, keyed by identifier id: whose an identifier is.

    `version` is the position in the log of links at which `profile_id` last changed, plus one; 0
    while the identifier belongs to its own profile because nothing ever changed it. `verdicts`:
    id of the other identifier of a link that this one led -> whether it holds.
    """

    identifier_id: str
    kind: str
    value: str
    profile_id: str
    version: int
    linked_ms: int
    verdicts: dict[str, bool] = {}


class TrailUpdate(msgspec.Struct, array_like=True, frozen=True, tag="t"):
    """Topic `trails`, keyed by profile id: the newest trail of an identifier of this profile.

    Of two updates for one identifier the one with the greater `(version, changes)` is newer:
    `version` of the assignment, then events applied. `trail` is empty for an identifier that led
    no touch, and None where the identifier moved away from this profile.
    """

    identifier_id: str
    kind: str
    value: str
    version: int
    changes: int
    trail: bytes | None
    #: Record time (ms) of the newest record that this contains.
    at_ms: int


class Watermark(msgspec.Struct, array_like=True, frozen=True, tag="w"):
    """Topic `trails`, to every partition: all touches of a home partition up to a time are in."""

    home: int
    at_ms: int


TrailMessage = TrailUpdate | Watermark

_encoder = msgspec.msgpack.Encoder()
_links = msgspec.msgpack.Decoder(LinkRequest)
_assignments = msgspec.msgpack.Decoder(Assignment)
_trails = msgspec.msgpack.Decoder(TrailMessage)


def encode(message: LinkRequest | Assignment | TrailUpdate | Watermark) -> bytes:
    """The message's bytes."""
    return _encoder.encode(message)


def decode_link(data: bytes) -> LinkRequest:
    """A record of `identity.links`. Raises msgspec.DecodeError."""
    return _links.decode(data)


def decode_assignment(data: bytes) -> Assignment:
    """A record of `identity.assignments`. Raises msgspec.DecodeError."""
    return _assignments.decode(data)


def decode_trail_message(data: bytes) -> TrailUpdate | Watermark:
    """A record of `trails`. Raises msgspec.DecodeError."""
    message: TrailUpdate | Watermark = _trails.decode(data)
    return message
