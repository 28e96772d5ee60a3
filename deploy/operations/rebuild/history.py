"""The data that a rebuild replays, read from ClickHouse: links by position, touches by receipt."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import msgspec

from ingest.publishing.port import Message
from schemas.identifiers import identifier_id
from schemas.messages import LinkMessage, LinkRequest, SplitCommand, encode
from schemas.times import parse_ms
from schemas.topics import LINK_REQUESTS, TOUCHPOINTS
from schemas.touchpoint_row import TouchpointRow
from sinks.clickhouse.client import ClickHouse
from sinks.clickhouse.tables import databases, quoted

_PAGE = 20_000
#: Positions of the log of links that are read at once.
_WINDOW = 50_000
#: Touches that one statement sorts, so that each statement is short.
_CHUNK = 1_000_000
#: The graph reads all links in one order, from this partition.
_PARTITION = 0

_LINK_ROWS = """
SELECT position, lead_kind, lead_value, kind, value, source, event_id,
    toUnixTimestamp64Milli(occurred_at) AS occurred_ms,
    toUnixTimestamp64Milli(received_at) AS received_ms,
    toUnixTimestamp64Milli(decided_at) AS decided_ms
FROM {db:Identifier}.identity_links
WHERE epoch = {epoch:UInt32} AND verdict IN ('holds', 'refused')
    AND position >= {start:UInt64} AND position < {end:UInt64}
ORDER BY position LIMIT 1 BY position
"""
_SPLIT_ROWS = """
SELECT position, split_id, action, kind, value, lead_kind, lead_value, source, against_kinds,
    against_values, note,
    toUnixTimestamp64Milli(commanded_at) AS commanded_ms,
    toUnixTimestamp64Milli(decided_at) AS decided_ms
FROM {db:Identifier}.identity_splits
WHERE epoch = {epoch:UInt32} AND position >= {start:UInt64} AND position < {end:UInt64}
ORDER BY position LIMIT 1 BY position
"""
_COUNTS = """
SELECT
    (SELECT count() FROM {db:Identifier}.touchpoints) AS touches,
    (SELECT uniqExact(position) FROM {db:Identifier}.identity_links
        WHERE epoch = {epoch:UInt32} AND verdict IN ('holds', 'refused')
            AND position < {end:UInt64}) AS links,
    (SELECT uniqExact(position) FROM {db:Identifier}.identity_splits
        WHERE epoch = {epoch:UInt32} AND position < {end:UInt64}) AS splits,
    greatest(
        (SELECT max(position) + 1 FROM {db:Identifier}.identity_links
            WHERE epoch = {epoch:UInt32}),
        (SELECT max(position) + 1 FROM {db:Identifier}.identity_splits
            WHERE epoch = {epoch:UInt32})
    ) AS end
"""
_DAYS = """
SELECT toString(toDate(occurred_at)) AS day, count() AS n FROM {db:Identifier}.touchpoints
GROUP BY day ORDER BY day
"""
#: The complete sort key: no two touches are equal in it.
_ORDER = "received_at, source, event_id, lead_id"


class _Head(msgspec.Struct):
    lead_id: str
    source: str
    event_id: str
    received_at: str


_head = msgspec.json.Decoder(_Head)


@dataclass(frozen=True, slots=True)
class Counts:
    """Amounts of stored data. `touches` may count some twice that ClickHouse has yet to merge."""

    touches: int
    links: int
    splits: int
    #: The position after the last one.
    end: int


class History:
    """The stored data of one deployment, with the decisions of one epoch.

    Every method raises `sinks.clickhouse.client.ClickHouseError`.
    """

    def __init__(
        self, clickhouse: ClickHouse, namespace: str, epoch: int, before: int | None = None
    ) -> None:
        """Prepare to read. `before`: leave out links and splits from this position on."""
        self._clickhouse = clickhouse
        self._storage = databases(namespace).storage
        self._epoch = epoch
        self._end = 2**63 if before is None else before

    def counts(self) -> Counts:
        """Return the amounts of data to replay."""
        row = self._rows(_COUNTS, end=self._end)[0]
        return Counts(row["touches"], row["links"], row["splits"], min(row["end"], self._end))

    def links(self) -> Iterator[list[Message]]:
        """Yield the links and splits that the graph decided, in that order, a page at a time."""
        end = self.counts().end
        for start in range(0, end, _WINDOW):
            window = {"start": start, "end": min(end, start + _WINDOW)}
            found = [(row["position"], _link(row)) for row in self._rows(_LINK_ROWS, **window)]
            found += [(row["position"], _split(row)) for row in self._rows(_SPLIT_ROWS, **window)]
            if found:
                yield [message for _, message in sorted(found, key=lambda one: one[0])]

    def put_in_order(self, name: str) -> int:
        """Copy all touches as they are now into a table of that name, by receipt; return how many.

        Copies in parts by the time of occurrence, the sort key of the table of touches.
        """
        self.drop(name)
        columns = ", ".join(TouchpointRow.__struct_fields__)
        self._clickhouse.run(
            f"CREATE TABLE {self._table(name)} "  # noqa: S608 - our own names
            f"ENGINE = MergeTree ORDER BY ({_ORDER}) "
            "COMMENT 'Touchpoints in the order of receipt, while a rebuild reads them' "
            f"AS SELECT {columns} FROM {self._table('touchpoints')} LIMIT 0"
        )
        for first, last in self._days():
            self._clickhouse.run(
                f"INSERT INTO {self._table(name)} "  # noqa: S608 - our own names
                f"SELECT {columns} FROM {self._table('touchpoints')} FINAL "
                "WHERE occurred_at >= toDateTime64({first:String}, 3, 'UTC') "
                "AND occurred_at < toDateTime64({last:String}, 3, 'UTC') + INTERVAL 1 DAY",
                {"first": first, "last": last},
            )
        sql = f"SELECT count() AS n FROM {self._table(name)}"  # noqa: S608 - our own names
        return int(self._clickhouse.rows(sql)[0]["n"])

    def touches(self, name: str) -> Iterator[list[Message]]:
        """Yield the touches of a table that `put_in_order` has made, a page at a time."""
        after: dict[str, Any] = dict.fromkeys(("source", "event_id"), "")
        after |= {"received_at": "1970-01-01 00:00:00.000", "lead_id": f"{0:032x}"}
        columns = ", ".join(TouchpointRow.__struct_fields__)
        sql = (
            f"SELECT {columns} FROM {self._table(name)} "  # noqa: S608 - our own names
            "WHERE received_at >= {received_at:DateTime64(3, 'UTC')} "
            f"AND ({_ORDER}) > ({{received_at:DateTime64(3, 'UTC')}}, {{source:String}}, "
            f"{{event_id:String}}, toUUID({{lead_id:String}})) ORDER BY {_ORDER} LIMIT {_PAGE}"
        )
        while lines := self._clickhouse.lines(sql, after):
            heads = [_head.decode(line) for line in lines]
            last = heads[-1]
            after = msgspec.structs.asdict(last)
            after["received_at"] = last.received_at.rstrip("Z").replace("T", " ")
            yield [
                Message(TOUCHPOINTS.name, head.lead_id.encode(), line, parse_ms(head.received_at))
                for head, line in zip(heads, lines, strict=True)
            ]

    def drop(self, name: str) -> None:
        """Remove a table that `put_in_order` has made; do nothing if there is none."""
        self._clickhouse.run(f"DROP TABLE IF EXISTS {self._table(name)} SYNC")

    def kinds(self) -> list[str]:
        """Return the kinds of identifiers that occur in the epoch."""
        sql = "SELECT DISTINCT kind FROM {db:Identifier}.identities WHERE epoch = {epoch:UInt32}"
        return [row["kind"] for row in self._rows(sql)]

    def _days(self) -> Iterator[tuple[str, str]]:
        """Yield spans of days, first and last, that hold about `_CHUNK` touches."""
        first, held = "", 0
        last = ""
        for row in self._rows(_DAYS):
            if first and held + row["n"] > _CHUNK:
                yield first, last
                first, held = "", 0
            first, last = first or row["day"], row["day"]
            held += row["n"]
        if first:
            yield first, last

    def _rows(self, sql: str, **parameters: Any) -> list[dict[str, Any]]:
        values = {"db": self._storage, "epoch": self._epoch, **parameters}
        return self._clickhouse.rows(sql, values)

    def _table(self, name: str) -> str:
        return f"{quoted(self._storage)}.{quoted(name)}"


def _link(row: dict[str, Any]) -> Message:
    request = LinkRequest(
        row["lead_kind"],
        row["lead_value"],
        row["kind"],
        row["value"],
        row["source"],
        row["event_id"],
        row["occurred_ms"],
        row["received_ms"],
    )
    return _message(row["lead_kind"], row["lead_value"], request, row["decided_ms"])


def _split(row: dict[str, Any]) -> Message:
    command = SplitCommand(
        row["split_id"],
        lift=row["action"] == "lift",
        at_ms=row["commanded_ms"],
        kind=row["kind"],
        value=row["value"],
        lead_kind=row["lead_kind"],
        lead_value=row["lead_value"],
        source=row["source"],
        against=list(zip(row["against_kinds"], row["against_values"], strict=True)),
        note=row["note"],
    )
    return _message(
        row["lead_kind"] or row["kind"],
        row["lead_value"] or row["value"],
        command,
        row["decided_ms"],
    )


def _message(kind: str, value: str, message: LinkMessage, at_ms: int) -> Message:
    key = identifier_id(kind, value).encode()
    return Message(LINK_REQUESTS.name, key, encode(message), at_ms, _PARTITION)
