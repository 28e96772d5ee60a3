"""The interface of a stage: a pure decision over a batch of records, run by an engine.

A stage never touches Kafka, a disk or a clock. The engine hands it the records of one
partition of one input topic and a reader of that partition's rows; the stage answers with a
`Decision`. The engine then does, in this order: **decide, log, apply, publish, commit**.

1. *log*: `Decision.rows` and `Decision.seen` to the changelog, acknowledged;
2. *apply*: the same to the local store, in one write;
3. *publish*: `Decision.outputs`, acknowledged;
4. *commit*: the next offset of the input.

After a crash at any step the engine delivers the same records again. A row that has applied an
offset (see `schemas.rows`) must not apply it twice, and a stage publishes the present values of
the rows again whenever a record that they have already applied comes back.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple, Protocol, TypeVar

from schemas.error_location import error_location

#: The type of a stage's scratch memory.
M = TypeVar("M")


class Record(NamedTuple):
    """One record of an input topic.

    `topic` is the logical name (`schemas.topics`), without the deployment's namespace.
    `timestamp_ms` is Kafka's record time in milliseconds since 1970, UTC.
    """

    topic: str
    partition: int
    offset: int
    timestamp_ms: int
    key: bytes | None
    value: bytes


class Output(NamedTuple):
    """One record to publish; without a partition it goes to `schemas.topics.partition_of(key)`."""

    topic: str
    key: bytes
    value: bytes
    partition: int | None = None


class Failure(NamedTuple):
    """A record that cannot be processed: the exception's type, and the line that raised it.

    The exception is not stored: its traceback references the whole batch, in a cycle with the
    holder of the failure, and the engine has switched off the collector of cycles.
    """

    record: Record
    error: str
    where: str

    @classmethod
    def of(cls, record: Record, error: Exception) -> Failure:
        """Return the safe description of the exception that a record raised."""
        return cls(record, type(error).__name__, error_location(error))


@dataclass(slots=True)
class Decision:
    """The changes that a batch makes. Empty by default."""

    #: Rows to log and to apply; `None` deletes. Values begin with the header of `schemas.rows`.
    rows: dict[bytes, bytes | None] = field(default_factory=dict)
    #: Event ids seen: 16-byte hash -> offset of the first delivery. Logged separately; they expire.
    seen: dict[bytes, int] = field(default_factory=dict)
    #: Records to publish, in this order.
    outputs: list[Output] = field(default_factory=list)
    #: Index entries that a `tick` has processed; the engine forgets them after publishing.
    fired: list[bytes] = field(default_factory=list)
    #: Records that cannot be read: rejected with their bytes, one by one.
    failed: list[Failure] = field(default_factory=list)
    #: Counters for the metrics catalogue: name -> increment.
    counts: dict[str, int] = field(default_factory=dict)


class Store(Protocol):
    """The rows of one partition, read only. Values are as last applied."""

    def memory(self, kind: type[M]) -> M:
        """Return the stage's scratch memory of this partition, a new `kind()` if there is none.

        It is never logged, and empty again after a restart, a rebalance and a decision that was not
        carried out. A stage has one kind of memory.
        """

    def get(self, key: bytes) -> bytes | None:
        """Return the row's stored bytes, header included, or None."""

    def get_many(self, keys: Sequence[bytes]) -> list[bytes | None]:
        """Return the rows of `keys`, in their order, with one read."""

    def scan(self, prefix: bytes, limit: int, after: bytes = b"") -> list[tuple[bytes, bytes]]:
        """Return at most `limit` rows whose key begins with `prefix`, sorted, after key `after`."""

    def seen_many(self, hashes: Sequence[bytes]) -> list[int | None]:
        """Return for each 16-byte hash the offset of the first delivery, or None."""

    def due(self, until: int, limit: int) -> Iterator[tuple[bytes, bytes]]:
        """Yield index entries `(entry, row key)` due by `until` (ms, included), earliest first."""


class Tick(NamedTuple):
    """A tick for changes that depend on time alone, about once a second and partition.

    `now_ms` is the engine's clock; `position_ms` is the time up to which all inputs of the
    partition are processed: `now_ms` if nothing is waiting, otherwise the record time of the last
    record processed (0 if there was none).
    """

    partition: int
    now_ms: int
    position_ms: int


class Stage(Protocol):
    """A stage of the pipeline."""

    #: Name of the stage: its consumer group, its changelog, its metrics label.
    name: str
    #: The rows of one decision must be logged in one Kafka record batch (the engine halves the
    #: records until they fit).
    atomic: bool
    #: True if rows have deadlines at all: checking every row would cost more than writing it.
    timed: bool
    #: True if the stage uses `Decision.seen`.
    deduplicates: bool

    @property
    def inputs(self) -> tuple[str, ...]:
        """Return the logical names of the input topics; all have the same number of partitions."""

    def decide(self, records: Sequence[Record], store: Store) -> Decision:
        """Return the changes by these records, all of one topic and partition, in offset order."""

    def tick(self, tick: Tick, store: Store) -> Decision:
        """Return the changes that time alone makes."""

    def deadline(self, key: bytes, value: bytes) -> int | None:
        """Return the time (ms) at which `tick` must evaluate this row, read from its stored bytes.

        The engine keeps an index of deadlines beside the rows, also while it recovers them.
        """
