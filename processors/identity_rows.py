"""The rows of the graph of identifiers, and the working copy of them while links are decided.

=============================  ===============================================================
key                            what
=============================  ===============================================================
``n:`` identifier              node: its set, its profile, since which position
``s:`` set                     a set of identifiers of kinds that join: one person
``g:`` group                   identifiers of one kind that follows, linked with each other
``l:`` lead other              a link with its provenance and its verdict
``p:`` group set               the group was linked with an identifier of the set
``q:`` set group               the same, read from the set
``d:`` group group             the second group follows the first one (a browser its device)
=============================  ===============================================================

Sets and groups are named by the id of the identifier that began them; the name means nothing.
"""

from __future__ import annotations

from typing import TypeVar

import msgspec

from processors.stage import Store
from schemas import rows
from schemas.identifiers import Identifier


class Node(msgspec.Struct, array_like=True):
    """An identifier. `within` names its set or group; `joins` are times (ms) it joined people."""

    kind: str
    value: str
    within: str
    profile_id: str
    #: Position at which `profile_id` last changed, plus one; 0 if never.
    version: int
    linked_ms: int
    joins: list[int] = []

    @property
    def identifier(self) -> Identifier:
        """Kind and value."""
        return Identifier(self.kind, self.value)


class Person(msgspec.Struct, array_like=True):
    """A set of joined identifiers: its members' ids, and how many groups were linked with it.

    `taken`: per following kind how many identifiers are with the person, and the strongest one of
    the weakest group of them.
    """

    members: list[str]
    followers: int = 0
    taken: dict[str, tuple[int, str]] = {}


class Group(msgspec.Struct, array_like=True):
    """Identifiers of one following kind.

    `persons`: with how many sets it was linked; `owner`: that set where it is one; `follows`:
    groups of stronger following kinds that it was linked with.
    """

    kind: str
    members: list[str]
    persons: int = 0
    owner: str = ""
    follows: list[str] = []


class Link(msgspec.Struct, array_like=True):
    """A decided link.

    `reason` is '' where it holds. `changed` are the identifiers whose assignment changed by it;
    `stays` and `other` the profiles of the refused identifier and the lead at that time.
    """

    position: int
    reason: str
    changed: list[str]
    source: str
    event_id: str
    occurred_ms: int
    stays: str = ""
    other: str = ""


class Mark(msgspec.Struct, array_like=True):
    """A row whose key says it all."""


_TYPES: dict[bytes, type[msgspec.Struct]] = {
    b"n:": Node, b"s:": Person, b"g:": Group, b"l:": Link, b"p:": Mark, b"q:": Mark, b"d:": Mark,
}  # fmt: skip
_MARKS = frozenset(prefix for prefix, kind in _TYPES.items() if kind is Mark)
_MARK_PREFIX = 2 + 36
#: No limit: a set that is renamed must be renamed everywhere.
EVERY = 2**31
_DECODERS = {prefix: msgspec.msgpack.Decoder(kind) for prefix, kind in _TYPES.items()}
_encode = msgspec.msgpack.Encoder().encode
T = TypeVar("T", bound=msgspec.Struct)


class WorkingCopy:
    """Rows read and changed by a batch of links; `changes` at its end are the rows to log."""

    def __init__(self, store: Store, epoch: int) -> None:
        self._store = store
        self._epoch = epoch
        self._rows: dict[bytes, msgspec.Struct | None] = {}
        self._revs: dict[bytes, int] = {}
        self._changed: dict[bytes, int] = {}
        #: Mark rows changed in this batch, by what `under` asks for.
        self._marks: dict[bytes, set[bytes]] = {}

    def get(self, key: bytes, kind: type[T]) -> T | None:
        """The row's content as of now; change it only followed by `put`."""
        if key not in self._rows:
            self._keep(key, self._store.get(key))
        row = self._rows[key]
        assert row is None or isinstance(row, kind)  # noqa: S101  keys carry their type
        return row

    def _keep(self, key: bytes, stored: bytes | None) -> None:
        if stored is None:
            self._rows[key] = None
            return
        self._revs[key] = rows.header(stored).rev
        self._rows[key] = _DECODERS[key[:2]].decode(memoryview(stored)[rows.SIZE :])

    def put(self, key: bytes, row: msgspec.Struct | None, position: int) -> None:
        """The row's new content at a position of the log of links; None removes it."""
        self._rows[key] = row
        self._changed[key] = position
        if key[:2] in _MARKS:
            self._marks.setdefault(key[:_MARK_PREFIX], set()).add(key)

    def under(self, prefix: bytes, limit: int = EVERY) -> list[str]:
        """The names behind the prefix of mark rows (kind and first name), at most `limit`."""
        pending = self._marks.get(prefix, set())
        gone = sum(self._rows[k] is None for k in pending)
        stored = {k for k, _ in self._store.scan(prefix, limit + gone)}
        present = stored | pending
        keys = sorted(k for k in present if self._rows.get(k, k) is not None)
        return [key[len(prefix) :].decode() for key in keys[:limit]]

    def changes(self) -> dict[bytes, bytes | None]:
        """The changed rows in stored form."""
        out: dict[bytes, bytes | None] = {}
        for key, position in self._changed.items():
            row = self._rows[key]
            rev = self._revs.get(key, 0) + 1
            out[key] = None if row is None else rows.pack(self._epoch, position, rev, _encode(row))
        return out


def key(prefix: bytes, *parts: str) -> bytes:
    """A row's key."""
    return prefix + "".join(parts).encode()
