"""The messages that travel between the stages, in a compact binary form (msgpack arrays).

Everything here is absolute and versioned: received twice, late or out of order it changes nothing.
"""

from __future__ import annotations

import msgspec


class LinkRequest(msgspec.Struct, array_like=True, frozen=True, tag="l"):
    """Topic `identity.links`: a request to link two identifiers of a touch that has no verdict yet.

    The lead is the stronger one. `source`, `event_id`, `occurred_ms` and `received_ms` say which
    touch it was.
    """

    lead_kind: str
    lead_value: str
    kind: str
    value: str
    source: str
    event_id: str
    occurred_ms: int
    received_ms: int


class SplitCommand(msgspec.Struct, array_like=True, frozen=True, tag="s"):
    """Topic `identity.links`: an operator undoes links, or with `lift` lifts an earlier command.

    Without a lead it concerns all links of the identifier with the rest of its person, and blocks
    every later one between the two sides. With a lead it concerns that one link, and blocks touches
    of `source` that repeat it, '' for those of every source.
    """

    split_id: str
    lift: bool
    #: Time of the command. Later touches may make a lifted link again, earlier ones not.
    at_ms: int
    kind: str
    value: str
    lead_kind: str = ""
    lead_value: str = ""
    source: str = ""
    #: (kind, value) of the identifiers to split it from; empty: the rest of its person now.
    against: list[tuple[str, str]] = []
    #: The reason, in the operator's words.
    note: str = ""


class Withdrawal(msgspec.Struct, array_like=True, frozen=True, tag="w"):
    """Topic `identity.links`: the graph continues a command's withdrawal, slice by slice.

    `ends` are ids of the identifiers that the command concerned. Links with one of them that were
    refused to a touch received up to `at_ms` are open again.
    """

    split_id: str
    lift: bool
    at_ms: int
    ends: list[str]


LinkMessage = LinkRequest | SplitCommand | Withdrawal


class Verdict(msgspec.Struct, array_like=True, frozen=True):
    """The decision whether a link holds, made at a position of the log of links.

    `sources`: None if the verdict is final for every source; otherwise touches of all sources but
    these that were received after `closed_ms` may have the link decided anew.
    """

    holds: bool
    position: int
    sources: list[str] | None = None
    closed_ms: int = 0

    def open_to(self, source: str, received_ms: int) -> bool:
        """Return True if a touch of this source and time may have the link decided anew."""
        sources = self.sources
        return sources is not None and source not in sources and received_ms > self.closed_ms


class Assignment(msgspec.Struct, array_like=True, frozen=True):
    """Topic `identity.assignments`, keyed by identifier id: the profile an identifier belongs to.

    `version` is the position in the log of links at which `profile_id` last changed, plus one; 0
    while the identifier belongs to its own profile because nothing ever changed it. `verdicts`:
    id of the other identifier of a link that this one led -> its verdict.
    """

    identifier_id: str
    kind: str
    value: str
    profile_id: str
    version: int
    linked_ms: int
    verdicts: dict[str, Verdict] = {}


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
    """Topic `trails`, to every partition: all touches of a home partition up to a time are done."""

    home: int
    at_ms: int


TrailMessage = TrailUpdate | Watermark

_encoder = msgspec.msgpack.Encoder()
_links = msgspec.msgpack.Decoder(LinkMessage)
_assignments = msgspec.msgpack.Decoder(Assignment)
_trails = msgspec.msgpack.Decoder(TrailMessage)


def encode(message: LinkMessage | Assignment | TrailMessage) -> bytes:
    """Encode the message."""
    return _encoder.encode(message)


def decode_link(data: bytes) -> LinkMessage:
    """Decode a record of `identity.links`. Raises msgspec.DecodeError."""
    message: LinkMessage = _links.decode(data)
    return message


def decode_assignment(data: bytes) -> Assignment:
    """Decode a record of `identity.assignments`. Raises msgspec.DecodeError."""
    return _assignments.decode(data)


def decode_trail_message(data: bytes) -> TrailUpdate | Watermark:
    """Decode a record of `trails`. Raises msgspec.DecodeError."""
    message: TrailUpdate | Watermark = _trails.decode(data)
    return message
