"""The working copy of the graph's rows, while the links of a batch are decided."""

from __future__ import annotations

import weakref
from collections.abc import Iterable, Iterator
from typing import TypeVar

import msgspec

from processors.graph.rows import Cluster, Node, key, pack, unpack
from processors.stage import Store
from schemas import rows

#: Rows that are looked up by the first of the two names in their key.
_PAIRS = frozenset({b"l:", b"b:"})
_FIRST = 2 + 36
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
        self._rows[key] = unpack(key, stored)

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
        for one, position in self._changed.items():
            row = self._rows[one]
            rev = self._revs.get(one, 0) + 1
            out[one] = rows.pack(self._epoch, position, rev, pack(row))
        return out


class _Named(dict[str, T]):
    """Rows by the name in their key, with current content; LookupError if absent (`required`)."""

    def __init__(self, copy: WorkingCopy, prefix: bytes, kind: type[T]) -> None:
        # A weak reference avoids a cycle: reference counts free a batch, the collector is off.
        self._copy = weakref.proxy(copy)
        self._prefix = prefix
        self._kind = kind

    def __missing__(self, name: str) -> T:
        row: T = required(self._copy.get(key(self._prefix, name), self._kind))
        self[name] = row
        return row


def required(row: T | None) -> T:
    """Return a row that another row names. Raises LookupError if it is absent.

    Then the rows are broken, and the record that shows it is set aside with its bytes.
    """
    if row is None:
        raise LookupError("the graph names a row that is not there")
    return row
