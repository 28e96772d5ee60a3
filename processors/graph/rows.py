"""The rows of the graph of identifiers, and the working copy of them while links are decided.

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

import weakref
from collections.abc import Iterable, Iterator
from typing import Literal, TypeVar

import msgspec

from processors.stage import Store
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


class Mark(msgspec.Struct, array_like=True):
    """A row without content; its key holds everything."""


_TYPES: dict[bytes, type[msgspec.Struct]] = {
    b"n:": Node, b"s:": Cluster, b"l:": Link, b"b:": Mark,
    b"c:": Command,
}  # fmt: skip
#: Rows that are looked up by the first of the two names in their key.
_PAIRS = frozenset({b"l:", b"b:"})
_FIRST = 2 + 36
_DECODERS = {prefix: msgspec.msgpack.Decoder(kind) for prefix, kind in _TYPES.items()}
_encode = msgspec.msgpack.Encoder().encode
#: The first rows of a scan answer most questions; a kiosk has thousands.
_FIRST_SLICE = 16
_LARGEST_SLICE = 4096
T = TypeVar("T", bound=msgspec.Struct)


class WorkingCopy:
    """Rows read and changed by a batch of links; `changes` at its end are the rows to log."""

    def __init__(self, store: Store, epoch: int) -> None:
        self._store = store
        self._epoch = epoch
        self._rows: dict[bytes, msgspec.Struct | None] = {}
        self._revs: dict[bytes, int] = {}
        self._changed: dict[bytes, int] = {}
        #: Rows of pairs changed in this batch, by their prefix and first name.
        self._pairs: dict[bytes, dict[bytes, None]] = {}
        #: Identifiers, and sets and groups, by name; LookupError if there is none. They are read
        #: dozens of times for each link.
        self.nodes = _Named(self, b"n:", Node)
        self.clusters = _Named(self, b"s:", Cluster)

    def load(self, keys: Iterable[bytes]) -> None:
        """Read the given rows at once, then the sets and groups of the nodes in them."""
        self._load(keys)
        nodes = [row for row in self._rows.values() if isinstance(row, Node)]
        self._load([key(b"s:", node.within) for node in nodes])

    def _load(self, keys: Iterable[bytes]) -> None:
        wanted = list(dict.fromkeys(keys))
        for one, stored in zip(wanted, self._store.get_many(wanted), strict=True):
            self._keep(one, stored)

    def get(self, key: bytes, kind: type[T]) -> T | None:
        """Return the row's current content; call `put` after changing it."""
        if key not in self._rows:
            self._keep(key, self._store.get(key))
        row = self._rows[key]
        assert row is None or isinstance(row, kind)  # noqa: S101  keys carry their type
        return row

    def node(self, one: str) -> Node | None:
        """Return the row of an identifier, None if there is none."""
        return self.nodes.get(one) or self.get(key(b"n:", one), Node)

    def _keep(self, key: bytes, stored: bytes | None) -> None:
        if stored is None:
            self._rows[key] = None
            return
        self._revs[key] = rows.header(stored).rev
        self._rows[key] = _DECODERS[key[:2]].decode(memoryview(stored)[rows.SIZE :])

    def put(self, key: bytes, row: msgspec.Struct, position: int) -> None:
        """Set the row's new content at a position of the log of links."""
        self._rows[key] = row
        self._changed[key] = position
        if key[:2] in _PAIRS:
            self._pairs.setdefault(key[:_FIRST], {})[key] = None

    def put_node(self, one: str, node: Node, position: int) -> None:
        """Set the new content of an identifier's row."""
        self.nodes[one] = node
        self.put(key(b"n:", one), node, position)

    def put_cluster(self, name: str, cluster: Cluster, position: int) -> None:
        """Set the new content of the row of a set or group."""
        self.clusters[name] = cluster
        self.put(key(b"s:", name), cluster, position)

    def withdraw_cluster(self, name: str) -> None:
        """Revert the `put` of a set or group that is new and no longer referenced."""
        gone = key(b"s:", name)
        del self.clusters[name], self._rows[gone], self._changed[gone]

    def seconds(self, prefix: bytes, first: str) -> Iterator[str]:
        """Yield the second names of the pairs with this first name; they are read lazily.

        Nothing under this prefix and name may be `put` meanwhile.
        """
        start = key(prefix, first)
        changed = self._pairs.get(start, {})
        for one in list(changed):
            yield one[_FIRST:].decode()
        node = key(b"n:", first)
        if node in self._rows and node not in self._revs:
            return  # it is new in this batch, so nothing of it is stored
        after, size = b"", _FIRST_SLICE
        while True:
            found = self._store.scan(start, size, after)
            for one, stored in found:
                if one not in changed:
                    if one not in self._rows:
                        self._keep(one, stored)
                    yield one[_FIRST:].decode()
            if len(found) < size:
                return
            after, size = found[-1][0], min(8 * size, _LARGEST_SLICE)

    def changes(self) -> dict[bytes, bytes | None]:
        """Return the changed rows in stored form."""
        out: dict[bytes, bytes | None] = {}
        for key, position in self._changed.items():
            row = self._rows[key]
            rev = self._revs.get(key, 0) + 1
            out[key] = rows.pack(self._epoch, position, rev, _encode(row))
        return out


class _Named(dict[str, T]):
    """Rows by the name in their key, with current content; LookupError if absent (`there`)."""

    def __init__(self, copy: WorkingCopy, prefix: bytes, kind: type[T]) -> None:
        # A weak reference avoids a cycle: reference counts free a batch, the collector is off.
        self._copy = weakref.proxy(copy)
        self._prefix = prefix
        self._kind = kind

    def __missing__(self, name: str) -> T:
        row: T = there(self._copy.get(key(self._prefix, name), self._kind))
        self[name] = row
        return row


def there(row: T | None) -> T:
    """Return a row that another row names. Raises LookupError if it is absent.

    Then the rows are broken, and the record that shows it is set aside with its bytes.
    """
    if row is None:
        raise LookupError("the graph names a row that is not there")
    return row


def key(prefix: bytes, name: str, second: str = "") -> bytes:
    """Return a row's key; for a pair, with the second name."""
    return prefix + (name + second).encode()


def command_key(position: int) -> bytes:
    """Return the key of a command's row."""
    return b"c:%020d" % position
