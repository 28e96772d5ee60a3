"""The rows of the graph of identifiers, in stored form.

=============================  ===============================================================
key                            what
=============================  ===============================================================
``n:`` identifier              node: its set or group, its profile, since which position
``s:`` set or group            a set: identifiers of kinds that join, one person; or a group:
                               identifiers of one kind that follows, linked with each other
``l:`` lead other              a link: every decision about it, the last one holds
``b:`` other lead              a link exists: an index by its weaker end
``c:`` position                an operator's command, with what it changed
=============================  ===============================================================

Sets and groups are named by one of their members. The hosts of followers are not stored: they are
read from the links each time, so that no link, split or lift leaves stale data behind. Rows are
never deleted: an old one, or an old deletion, that is written late cannot change anything.
"""

from __future__ import annotations

from typing import Literal

import msgspec

from schemas import rows
from schemas.identifiers import Identifier
from schemas.messages import Verdict

Taken = dict[str, list[tuple[str, int]]]
Outcome = Literal["holds", "refused", "voided", "withdrawn"]


class Node(msgspec.Struct, array_like=True):
    """An identifier. `within` names its set or group; `joins` are times (ms) it joined people.

    `apart`: identifiers that an operator split it from, until the split is lifted.
    """

    kind: str
    value: str
    within: str
    profile_id: str
    #: Position at which `profile_id` last changed, plus one; 0 if never.
    version: int
    linked_ms: int
    joins: list[int] = []
    apart: list[str] = []

    @property
    def identifier(self) -> Identifier:
        """Return kind and value."""
        return Identifier(self.kind, self.value)


class Cluster(msgspec.Struct, array_like=True):
    """A set (one person) or a group, in which all `members` are linked with each other.

    Without members it has been merged into another one. `apart`: all identifiers that any member
    was split from. `taken`: the groups that follow it and have its profile, per kind: the strongest
    identifier and the size of each, the strongest first.
    """

    members: list[str]
    apart: list[str] = []
    taken: Taken = {}


class LinkDecision(msgspec.Struct, array_like=True):
    """A decision about a link at a position, and the touch that caused it.

    `changed` are the identifiers whose assignment it changed; `stays` and `other` the profiles of
    the refused identifier and of the lead at that time; `joined`: True if it united two people.
    """

    position: int
    outcome: Outcome
    reason: str
    source: str
    event_id: str
    occurred_ms: int
    received_ms: int
    decided_ms: int
    split_id: str = ""
    changed: list[str] = []
    stays: str = ""
    other: str = ""
    joined: bool = False
    #: True if a command about this link alone voided it.
    single: bool = False


class Link(msgspec.Struct, array_like=True):
    """A link with its decisions, the oldest first.

    `declined`: sources whose touches cannot make it; `closed_ms`: time of the last command about
    it; only touches received later may make it again.
    """

    decisions: list[LinkDecision] = []
    declined: list[str] = []
    closed_ms: int = 0

    @property
    def last(self) -> LinkDecision:
        """Return the decision that holds."""
        return self.decisions[-1]

    def at(self, position: int) -> LinkDecision | None:
        """Return the decision made at a position, None if there is none."""
        return next((one for one in self.decisions if one.position == position), None)

    def verdict(self) -> Verdict:
        """Return the verdict for the lead's home partition."""
        last = self.last
        sources: list[str] | None = None
        if last.outcome == "withdrawn":
            sources = []
        elif self.declined and (last.outcome == "voided" or last.reason == "source"):
            sources = list(self.declined)
        return Verdict(last.outcome == "holds", last.position, sources, self.closed_ms)


class Command(msgspec.Struct, array_like=True):
    """The changes of an operator's command: (lead, other) of links, assignments; its row.

    `more`: the identifiers concerned, if more refused links are to be withdrawn than in its own
    step.
    """

    links: list[tuple[str, str]]
    changed: list[str]
    row: bytes
    more: list[str] = []


class EmptyRow(msgspec.Struct, array_like=True):
    """A row without content; its key holds everything."""


_TYPES: dict[bytes, type[msgspec.Struct]] = {
    b"n:": Node, b"s:": Cluster, b"l:": Link, b"b:": EmptyRow,
    b"c:": Command,
}  # fmt: skip
_DECODERS = {prefix: msgspec.msgpack.Decoder(kind) for prefix, kind in _TYPES.items()}
#: Encodes the body of a row.
pack = msgspec.msgpack.Encoder().encode


def key(prefix: bytes, name: str, second: str = "") -> bytes:
    """Return a row's key; for a pair, with the second name."""
    return prefix + (name + second).encode()


def command_key(position: int) -> bytes:
    """Return the key of a command's row."""
    return b"c:%020d" % position


def unpack(key: bytes, stored: bytes) -> msgspec.Struct:
    """Decode a row; its key tells the type."""
    row: msgspec.Struct = _DECODERS[key[:2]].decode(memoryview(stored)[rows.SIZE :])
    return row
