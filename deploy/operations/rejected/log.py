"""Refusals in ClickHouse, and the marks of those that were replayed.

Every method raises `ClickHouseError`. Times are milliseconds since 1970, UTC.
"""

from __future__ import annotations

import base64
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from hashlib import md5
from typing import Any, NamedTuple

import msgspec

from schemas.rejection import Form
from schemas.times import DAY_MS, EARLIEST_MS, LATEST_MS, parse_ms, rfc3339
from schemas.touchpoint_row import TouchpointRow
from sinks.clickhouse.client import ClickHouse
from sinks.clickhouse.tables import databases

#: Ids that are read at once; rows and bytes of payloads are limited below.
_IDS = 10_000
CHUNK_ROWS = 500
#: Days and leads in one query: ClickHouse accepts queries of up to 256 KiB.
_PLACES = 2_000
CHUNK_BYTES = 8 * 1024 * 1024

_MATCHES = """
({source:String} = '' OR source = {source:String})
AND ({reason:String} = '' OR reason = {reason:String})
AND received_at >= fromUnixTimestamp64Milli({since:Int64}, 'UTC')
AND received_at < fromUnixTimestamp64Milli({until:Int64}, 'UTC')
"""
_COUNTS = """
SELECT source, connector, reason, count() AS n, countIf(outcome != '') AS replayed,
    min(received_at) AS first, max(received_at) AS last
FROM {bi:Identifier}.rejected_touchpoints WHERE {matches}
GROUP BY source, connector, reason ORDER BY source, connector, reason
"""
_LISTED = """
SELECT rejected_id, source, connector, reason, detail, topic, received_at, replayed_at, outcome
FROM {bi:Identifier}.rejected_touchpoints WHERE {matches}
ORDER BY received_at DESC, rejected_id LIMIT {limit:UInt64}
"""
_COLUMNS = """
rejected_id, source, connector, reason, detail, payload_base64, form, request, topic, partition,
key_base64, epoch, toUnixTimestamp64Milli(received_at) AS received_ms
"""
_LOADED = """
SELECT {columns} FROM {storage:Identifier}.rejected_touchpoints
WHERE {ids}
ORDER BY received_at, rejected_id LIMIT 1 BY received_at, rejected_id
"""
_NOW = "SELECT toUnixTimestamp64Milli(now64(3, 'UTC')) AS now_ms"
# Rows with the same id are distinguished by their time.
_PAGE = """
SELECT rejected_id, toUnixTimestamp64Milli(received_at) AS received_ms,
    length(payload_base64) AS bytes
FROM {storage:Identifier}.rejected_touchpoints
WHERE {matches}
    AND inserted_at <= fromUnixTimestamp64Milli({now:Int64}, 'UTC')
    AND (received_at, rejected_id) > (
        fromUnixTimestamp64Milli({after:Int64}, 'UTC'), toUUID({after_id:String})
    )
    AND (received_at, rejected_id) NOT IN (
        SELECT received_at, rejected_id FROM {storage:Identifier}.rejected_replays
        WHERE received_at >= fromUnixTimestamp64Milli({after:Int64}, 'UTC')
    )
ORDER BY received_at, rejected_id LIMIT 1 BY received_at, rejected_id LIMIT {limit:UInt64}
"""
_MARKS = """
SELECT *, toUnixTimestamp64Milli(replayed_at) AS replayed_ms
FROM {storage:Identifier}.rejected_replays FINAL
WHERE rejected_id = toUUID({id:String})
    AND received_at = fromUnixTimestamp64Milli({received:Int64}, 'UTC')
"""
_STORED = """
SELECT source, event_id, lead_id FROM {storage:Identifier}.touchpoints
WHERE (toStartOfDay(occurred_at), lead_id) IN ({places})
"""
_SHOWN = """
SELECT DISTINCT event_id FROM {bi:Identifier}.touchpoints
WHERE source = {source:String} AND hex(MD5(event_id)) IN ({digests})
"""
_LATER = """
SELECT count() AS n FROM {storage:Identifier}.rejected_touchpoints
WHERE form = 'record' AND inserted_at > fromUnixTimestamp64Milli({now:Int64}, 'UTC')
"""


@dataclass(frozen=True, slots=True)
class RefusalSelection:
    """Refusals by source and reason ('' any), time of receipt (half open), or by their ids."""

    source: str = ""
    reason: str = ""
    since_ms: int = EARLIEST_MS
    until_ms: int = LATEST_MS
    #: Text of uuids; empty: any.
    ids: tuple[str, ...] = ()

    def condition(self) -> str:
        """Return the condition for the queries; its values are `parameters`."""
        return f"{_MATCHES} AND {_among(self.ids)}" if self.ids else _MATCHES

    def parameters(self) -> dict[str, Any]:
        """See `condition`."""
        return {
            "source": self.source,
            "reason": self.reason,
            "since": self.since_ms,
            "until": self.until_ms,
        }


@dataclass(frozen=True, slots=True)
class Refusal:
    """A complete row of `rejected_touchpoints`."""

    rejected_id: str
    source: str
    connector: str
    reason: str
    detail: str
    payload: bytes
    form: Form
    request: str
    topic: str
    partition: int
    key: bytes
    epoch: int
    received_ms: int


class Mark(msgspec.Struct, frozen=True, kw_only=True):
    """A row of `rejected_replays`: the result of a replay. Times are RFC 3339."""

    rejected_id: str
    received_at: str
    replayed_at: str
    outcome: str
    accepted: int = 0
    stored: int = 0
    refused: int = 0
    topic: str = ""
    event_ids: tuple[str, ...] = ()


class TouchKey(NamedTuple):
    """The identity of a touch: (source, event id, lead id)."""

    source: str
    event_id: str
    lead_id: str

    @classmethod
    def of(cls, row: TouchpointRow) -> TouchKey:
        """Return the identity of a touch."""
        return cls(row.source, row.event_id, row.lead_id)


class RejectedLog:
    """The refusals and marks of one deployment."""

    def __init__(self, clickhouse: ClickHouse, namespace: str) -> None:
        self._clickhouse = clickhouse
        self._names = databases(namespace)

    def counts(self, selection: RefusalSelection) -> list[dict[str, Any]]:
        """Count refusals by source, connector and reason, and those of them that were replayed."""
        return self._rows(_COUNTS, selection)

    def listed(self, selection: RefusalSelection, limit: int) -> list[dict[str, Any]]:
        """Return the newest refusals, without their payload."""
        return self._rows(_LISTED, selection, limit=limit)

    def found(self, rejected_id: str) -> list[Refusal]:
        """Return the refusals with an id: one, or none."""
        return self._load(f"rejected_id = '{rejected_id}'")

    def mark_of(self, refusal: Refusal) -> Mark | None:
        """Return the result of a refusal's replay; None if it was not replayed."""
        rows = self._rows(_MARKS, id=refusal.rejected_id, received=refusal.received_ms)
        for row in rows:
            moments = {
                "received_at": rfc3339(refusal.received_ms),
                "replayed_at": rfc3339(row["replayed_ms"]),
            }
            return msgspec.convert(row | moments, Mark)
        return None

    def shown(self, source: str, event_ids: Sequence[str]) -> set[str]:
        """Return those of these events of a source that the views show."""
        if not event_ids:
            return set()
        digests = (md5(one.encode(), usedforsecurity=False).hexdigest() for one in event_ids)
        sql = _SHOWN.replace("{digests}", ", ".join(f"'{one.upper()}'" for one in digests))
        return {row["event_id"] for row in self._rows(sql, source=source)}

    def now_ms(self) -> int:
        """Return the time by ClickHouse's clock, the one that sets `inserted_at`."""
        return int(self._rows(_NOW)[0]["now_ms"])

    def open(self, selection: RefusalSelection, now_ms: int) -> Iterator[list[Refusal]]:
        """Yield pages of unmarked refusals that existed at `now_ms`, in order of receipt.

        Marks that are set meanwhile do not affect the iteration.
        """
        after = (selection.since_ms - 1, _NO_ID)
        while page := self._rows(
            _PAGE, selection, now=now_ms, after=after[0], after_id=after[1], limit=_IDS
        ):
            after = page[-1]["received_ms"], page[-1]["rejected_id"]
            for some in _chunks(page):
                yield self._load(_exactly(some))

    def stored(self, touches: Collection[TouchpointRow]) -> set[TouchKey]:
        """Return those of these touches that ClickHouse already has."""
        places = {
            f"(toDateTime({parse_ms(touch.occurred_at) // DAY_MS * DAY_MS // 1000}, 'UTC'), "
            f"toUUID('{touch.lead_id}'))"
            for touch in touches
        }
        ordered = sorted(places)
        found: set[TouchKey] = set()
        for start in range(0, len(ordered), _PLACES):
            some = ", ".join(ordered[start : start + _PLACES])
            found |= {TouchKey(**row) for row in self._rows(_STORED.replace("{places}", some))}
        return found & {TouchKey.of(touch) for touch in touches}

    def mark(self, marks: Sequence[Mark]) -> None:
        """Store the results of replays; storing one again changes nothing."""
        if marks:
            lines = [msgspec.json.encode(mark) for mark in marks]
            self._clickhouse.insert(self._names.storage, "rejected_replays", lines)

    def refused_since(self, now_ms: int) -> int:
        """Count the records that stages or ClickHouse refused since."""
        return int(self._rows(_LATER, now=now_ms)[0]["n"])

    def _load(self, ids: str) -> list[Refusal]:
        sql = _LOADED.replace("{columns}", _COLUMNS).replace("{ids}", ids)
        return [_refusal(row) for row in self._rows(sql)]

    def _rows(
        self, sql: str, selection: RefusalSelection | None = None, **parameters: Any
    ) -> list[dict[str, Any]]:
        values = self._names._asdict() | parameters
        if selection is not None:
            sql = sql.replace("{matches}", selection.condition())
            values |= selection.parameters()
        return self._clickhouse.rows(sql, values)


_NO_ID = "00000000-0000-0000-0000-000000000000"


def _refusal(row: Mapping[str, Any]) -> Refusal:
    fields = dict(row)
    payload = base64.b64decode(fields.pop("payload_base64"))
    key = base64.b64decode(fields.pop("key_base64"))
    return Refusal(payload=payload, key=key, **fields)


def _among(ids: Sequence[str]) -> str:
    # In the text: parameters are sent in the URL, which is limited to some kilobytes.
    return "rejected_id IN ({})".format(", ".join(f"'{one}'" for one in ids))


def _exactly(rows: Sequence[Mapping[str, Any]]) -> str:
    pairs = (
        f"(fromUnixTimestamp64Milli({row['received_ms']}, 'UTC'), '{row['rejected_id']}')"
        for row in rows
    )
    return f"(received_at, rejected_id) IN ({', '.join(pairs)})"


def _chunks(page: Sequence[Mapping[str, Any]]) -> Iterator[list[Mapping[str, Any]]]:
    chunk: list[Mapping[str, Any]] = []
    size = 0
    for row in page:
        if chunk and (len(chunk) == CHUNK_ROWS or size + row["bytes"] > CHUNK_BYTES):
            yield chunk
            chunk, size = [], 0
        chunk.append(row)
        size += row["bytes"]
    if chunk:
        yield chunk
