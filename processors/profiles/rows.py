"""The row of a profile, in stored and in published form.

Key: ``r:`` profile id. The body begins with the deadline, 8 bytes, which the engine indexes; then
follow the newest trail of each identifier and the memberships.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping

import msgspec

from processors.profiles.merge import Merged
from processors.stage import Output
from schemas import rows, topics
from schemas.times import rfc3339

PREFIX = b"r:"
_DEADLINE = struct.Struct(">Q")
_DEADLINE_END = rows.SIZE + _DEADLINE.size


class Entry(msgspec.Struct, array_like=True):
    """The newest trail of an identifier; `trail` is None if it moved away, empty if it led none."""

    kind: str
    value: str
    version: int
    changes: int
    trail: bytes | None


class Membership(msgspec.Struct, array_like=True):
    """The last change of a profile in a segment; `version` is the row's revision at that time."""

    is_member: bool
    changed_ms: int
    cause: str
    version: int


class ProfileRow(msgspec.Struct, array_like=True):
    """The body of a row, after its deadline."""

    entries: dict[str, Entry]
    segments: dict[str, Membership]
    #: The clock at the last evaluation; it never goes back.
    evaluated_ms: int = 0
    #: `ProfilesStage.digest` at the last evaluation.
    definitions: str = ""
    #: Earlier changes of segments that may be unpublished because of crashes.
    earlier: list[tuple[str, Membership]] = []


class _Profile(msgspec.Struct):
    """A row of `profiles`."""

    epoch: int
    profile_id: str
    customer_id: str
    email: str
    phone: str
    display_name: str
    traits: Mapping[str, str]
    first_seen_at: str
    last_seen_at: str
    touchpoints: int
    channels: dict[str, int]
    orders: int
    revenue: dict[str, str]
    engagement_points: float
    segments: list[str]
    consent: Mapping[str, bool]
    updated_at: str
    received_at: str
    version: int


class _SegmentChange(msgspec.Struct):
    """A row of `segment_changes`."""

    epoch: int
    segment: str
    profile_id: str
    change: str
    changed_at: str
    cause: str
    version: int


_line = msgspec.json.Encoder().encode
_encode = msgspec.msgpack.Encoder().encode
_decoder = msgspec.msgpack.Decoder(ProfileRow)


def row_key(profile: bytes) -> bytes:
    """Return the key of a profile's row."""
    return PREFIX + profile


def deadline(stored: bytes) -> int | None:
    """Return the time (ms) at which the next verdict of a row changes by time alone."""
    moment: int = _DEADLINE.unpack_from(stored, rows.SIZE)[0]
    return moment or None


def unpack(stored: bytes) -> ProfileRow:
    """Decode a row."""
    return _decoder.decode(memoryview(stored)[_DEADLINE_END:])


def pack(row: ProfileRow, deadline_ms: int) -> bytes:
    """Encode a row's body; a deadline of 0 is none."""
    return _DEADLINE.pack(deadline_ms) + _encode(row)


def transition(membership: Membership) -> str:
    """Return `entered` or `exited`."""
    return "entered" if membership.is_member else "exited"


def segment_change_output(
    profile_id: str, segment: str, membership: Membership, *, epoch: int
) -> Output:
    """Return the row of `segment_changes`: a profile entered or left a segment."""
    row = _SegmentChange(
        epoch,
        segment,
        profile_id,
        transition(membership),
        rfc3339(membership.changed_ms),
        membership.cause,
        membership.version,
    )
    return Output(topics.SEGMENT_CHANGES.name, profile_id.encode(), _line(row))


def profile_output(
    profile_id: str, merged: Merged, row: ProfileRow, *, epoch: int, version: int
) -> Output:
    """Return the row of `profiles`."""
    view = merged.view
    line = _Profile(
        epoch=epoch,
        profile_id=profile_id,
        customer_id=(view.identifiers.get("customer_id") or [""])[0],
        email=merged.shown("email"),
        phone=merged.shown("phone"),
        display_name=merged.display_name(),
        traits=view.traits,
        first_seen_at=rfc3339(merged.first_ms),
        last_seen_at=rfc3339(merged.last_ms),
        touchpoints=merged.touches,
        channels=merged.channels,
        orders=merged.orders,
        revenue=merged.revenue_text(),
        engagement_points=merged.points,
        segments=sorted(n for n, m in row.segments.items() if m.is_member),
        consent=view.consent,
        updated_at=rfc3339(row.evaluated_ms),
        received_at=rfc3339(merged.received_ms),
        version=version,
    )
    return Output(topics.PROFILES.name, profile_id.encode(), _line(line))
