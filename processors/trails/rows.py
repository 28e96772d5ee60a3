"""The rows of the stage `trails`, in stored and in published form.

=====================  ======================  ==========================================
key                    input that changes it   what
=====================  ======================  ==========================================
``t:`` lead id         touchpoints             the identifier's trail
``e:`` window          touchpoints             a counter (`processors.engagement.rows`)
``a:`` identifier id   identity.assignments    the identifier's profile, and its former ones
``v:`` lead id other   identity.assignments    the verdict on a link
=====================  ======================  ==========================================

A row has one input, so the offset in its header determines exactly what it contains.
"""

from __future__ import annotations

import msgspec

from processors.stage import Output
from schemas import messages, rows, topics
from schemas.times import rfc3339


class TrailRow(msgspec.Struct, array_like=True):
    """The body of a ``t:`` row; `trail` is packed. `created` is the first offset in it."""

    kind: str
    value: str
    created: int
    trail: bytes


class AssignmentRow(msgspec.Struct, array_like=True):
    """The body of an ``a:`` row; `left` are the profiles that hold traces of the identifier."""

    kind: str
    value: str
    profile_id: str
    version: int
    linked_ms: int
    left: list[str] = []


class _Identity(msgspec.Struct):
    """A row of `identities`."""

    epoch: int
    identifier_id: str
    kind: str
    value: str
    profile_id: str
    linked_at: str
    version: int


_line = msgspec.json.Encoder().encode
#: Encodes the body of a row.
pack = msgspec.msgpack.Encoder().encode
_trail = msgspec.msgpack.Decoder(TrailRow)
_assignment = msgspec.msgpack.Decoder(AssignmentRow)
_verdict = msgspec.msgpack.Decoder(messages.Verdict)


def trail_key(identifier_id: str) -> bytes:
    """Return the key of the row of an identifier's trail."""
    return b"t:" + identifier_id.encode()


def assignment_key(identifier_id: str) -> bytes:
    """Return the key of the row of an identifier's assignment."""
    return b"a:" + identifier_id.encode()


def verdict_key(lead: str, other: str) -> bytes:
    """Return the key of the row with the verdict on a link."""
    return f"v:{lead}{other}".encode()


def unpack_trail(row: bytes) -> TrailRow:
    """Decode a ``t:`` row."""
    return _trail.decode(memoryview(row)[rows.SIZE :])


def unpack_assignment(row: bytes) -> AssignmentRow:
    """Decode an ``a:`` row."""
    return _assignment.decode(memoryview(row)[rows.SIZE :])


def unpack_verdict(row: bytes) -> messages.Verdict:
    """Decode a ``v:`` row."""
    return _verdict.decode(memoryview(row)[rows.SIZE :])


def identity_output(one: str, row: AssignmentRow, epoch: int) -> Output:
    """Return the row of `identities`: the profile an identifier belongs to."""
    identity = _Identity(
        epoch,
        one,
        row.kind,
        row.value,
        row.profile_id,
        rfc3339(row.linked_ms),
        row.version,
    )
    return Output(topics.IDENTITIES.name, one.encode(), _line(identity))


def update_output(profile_id: str, update: messages.TrailUpdate) -> Output:
    """Return the record that sends a trail to a profile."""
    return Output(topics.TRAILS.name, profile_id.encode(), messages.encode(update))
