"""Links and splits in ClickHouse: every decision of the graph in the shown epoch.

Reads only. Every method raises `ClickHouseError`. Times are text as ClickHouse
returns it, UTC.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from hashlib import md5
from typing import Any, NamedTuple

from schemas.identifiers import NOBODY, Identifier, identifier_id
from schemas.times import EARLIEST_MS, LATEST_MS, rfc3339
from sinks.clickhouse.client import ClickHouse
from sinks.clickhouse.tables import databases, quoted

#: Identifiers per query. They are in its text, as ids and digests: parameters are sent in the URL,
#: which is limited to some kilobytes.
_AT_ONCE = 500
#: Common parts of the statements, inserted before the database names.
_PARTS = {
    "{shown}": "epoch = (SELECT max(epoch) FROM {storage}.epochs WHERE activated_at IS NOT NULL)",
    "{link}": "lead_kind, lead_value, kind, value, verdict, reason, split_id, source, event_id, "
    "occurred_at, decided_at, position",
}
_MEMBERS = """
SELECT kind, value FROM {storage}.identities FINAL
WHERE {shown} AND profile_id = {profile:UUID}
ORDER BY linked_at, kind, value LIMIT {limit:UInt32}
"""
_PROFILES = """
SELECT kind, value, profile_id FROM {storage}.identities FINAL
WHERE {shown} AND identifier_id IN ({ids})
"""
# Two halves, because each uses an index of its own.
_TOUCHING = """
SELECT * FROM (
    SELECT {link}, lead_id, identifier_id FROM (
        SELECT * FROM {storage}.identity_links
        WHERE {shown} AND lead_id IN ({ids})
        UNION ALL
        SELECT * FROM {storage}.identity_links
        WHERE {shown} AND identifier_id IN ({ids})
            AND lead_id NOT IN ({ids})
    )
    ORDER BY position DESC LIMIT 1 BY lead_id, identifier_id
)
ORDER BY lead_id IN ({ids}) AND identifier_id IN ({ids}) DESC, position
LIMIT {limit:UInt32}
"""
_HOLDING = """
SELECT {link}, lead_id, identifier_id FROM {storage}.identity_link_state FINAL
WHERE {shown} AND lead_id >= {lead:UUID}
    AND (lead_id, identifier_id) > ({lead:UUID}, {other:UUID})
    AND verdict = 'holds' AND ({source:String} = '' OR source = {source:String})
    AND occurred_at >= parseDateTime64BestEffort({since:String}, 3, 'UTC')
    AND occurred_at < parseDateTime64BestEffort({until:String}, 3, 'UTC')
ORDER BY epoch, lead_id, identifier_id LIMIT {limit:UInt32}
"""
_UNDONE_BY = """
SELECT {link} FROM {storage}.identity_links FINAL
WHERE {shown} AND split_id = {split:String} AND (verdict = 'voided' OR reason = 'lift')
ORDER BY position, lead_id, identifier_id LIMIT {limit:UInt32}
"""
_SPLITS = """
SELECT * FROM {bi}.identity_splits
WHERE hex(MD5(concat(kind, ':', value))) IN ({digests})
    OR hex(MD5(concat(lead_kind, ':', lead_value))) IN ({digests})
    OR arrayExists(one -> hex(MD5(one)) IN ({digests}), against)
ORDER BY decided_at, split_id LIMIT {limit:UInt32}
"""
_COMMAND_RESULT = """
SELECT count() AS commands, sum(voided) AS voided, sum(moved) AS moved
FROM {storage}.identity_splits FINAL WHERE {shown} AND split_id = {split:String}
"""
_ACTIVE_SPLITS = """
SELECT kind, value, lead_kind, lead_value, any(s.source) AS source
FROM {bi}.identity_splits AS s
WHERE stands
    AND (kind, value, lead_kind, lead_value) > (
        {kind:String}, {value:String}, {lead_kind:String}, {lead_value:String}
    )
    AND if({split:String} != '', split_id = {split:String}, lead_kind != ''
        AND s.source = {source:String}
        AND (split_id, kind, value, lead_kind, lead_value) IN (
            SELECT split_id, kind, value, lead_kind, lead_value FROM {storage}.identity_links
            WHERE {shown} AND verdict = 'voided'
                AND occurred_at >= parseDateTime64BestEffort({since:String}, 3, 'UTC')
                AND occurred_at < parseDateTime64BestEffort({until:String}, 3, 'UTC')
        ))
GROUP BY kind, value, lead_kind, lead_value
ORDER BY kind, value, lead_kind, lead_value LIMIT {limit:UInt32}
"""


@dataclass(frozen=True, slots=True)
class Link:
    """Two identifiers that a touch named together, and the last decision about them."""

    lead: Identifier
    other: Identifier
    #: holds, refused, voided or withdrawn.
    state: str
    reason: str
    split_id: str
    source: str
    event_id: str
    occurred_at: str
    decided_at: str
    position: int

    def opposite(self, one: Identifier) -> Identifier:
        """Return the other end."""
        return self.other if one == self.lead else self.lead


class LinkSelection(NamedTuple):
    """Links selected by the touch that made them: source ('' any) and half-open time interval."""

    source: str = ""
    since_ms: int = EARLIEST_MS
    until_ms: int = LATEST_MS

    def parameters(self) -> dict[str, str]:
        """Return the parameters for the queries."""
        return {
            "source": self.source,
            "since": rfc3339(self.since_ms),
            "until": rfc3339(self.until_ms),
        }


class ActiveSplit(NamedTuple):
    """The object of a standing split: an identifier or, with a lead, one link."""

    kind: str
    value: str
    lead_kind: str
    lead_value: str
    source: str


class CommandResult(NamedTuple):
    """The number of a command's records in ClickHouse, and their results."""

    commands: int
    voided: int
    moved: int


class IdentityLog:
    """The links, splits and identities of one deployment."""

    def __init__(self, clickhouse: ClickHouse, namespace: str) -> None:
        self._clickhouse = clickhouse
        storage, bi = databases(namespace)
        self._parts = _PARTS | {"{storage}": quoted(storage), "{bi}": quoted(bi)}

    def profiles(self, identifiers: Iterable[Identifier]) -> dict[Identifier, str]:
        """Return the present profile of each identifier that was ever seen."""
        found = {}
        for some in _slices(list(identifiers)):
            for row in self._rows(_among(_PROFILES, some)):
                found[Identifier(row["kind"], row["value"])] = row["profile_id"]
        return found

    def members(self, profile_id: str, limit: int = _AT_ONCE) -> list[Identifier]:
        """Return the identifiers of a profile, the earliest members first."""
        rows = self._rows(_MEMBERS, profile=profile_id, limit=limit)
        return [Identifier(row["kind"], row["value"]) for row in rows]

    def links(self, identifiers: Sequence[Identifier], limit: int) -> list[Link]:
        """Return links with an end among these identifiers (at most 500), in their present state.

        Links with both ends among them come first, then the order is that of the decisions.
        """
        return [_link(row) for row in self._rows(_among(_TOUCHING, identifiers), limit=limit)]

    def splits(self, identifiers: Sequence[Identifier], limit: int) -> list[dict[str, Any]]:
        """Return splits and lifts that concern one of these (at most 500), the oldest first.

        Each is a row of the view `identity_splits`.
        """
        return self._rows(_among(_SPLITS, identifiers), limit=limit)

    def holding(self, selection: LinkSelection, page: int) -> Iterator[list[Link]]:
        """Yield the links of a selection that hold, a page at a time, in one pass."""
        after = {"lead": NOBODY, "other": NOBODY}
        values = selection.parameters() | {"limit": page}
        while rows := self._rows(_HOLDING, **values, **after):
            after = {"lead": rows[-1]["lead_id"], "other": rows[-1]["identifier_id"]}
            yield [_link(row) for row in rows]

    def active_splits(
        self, selection: LinkSelection, page: int, split_id: str = ""
    ) -> Iterator[list[ActiveSplit]]:
        """Yield standing splits by page: those of one id, or of the links of a selection."""
        after = dict.fromkeys(("kind", "value", "lead_kind", "lead_value"), "")
        values = selection.parameters() | {"split": split_id, "limit": page}
        while rows := self._rows(_ACTIVE_SPLITS, **values, **after):
            after = {name: rows[-1][name] for name in after}
            yield [ActiveSplit(**row) for row in rows]

    def command_result(self, split_id: str) -> CommandResult:
        """Return the number of commands of this id that the graph has processed so far."""
        (row,) = self._rows(_COMMAND_RESULT, split=split_id)
        return CommandResult(row["commands"], row["voided"], row["moved"])

    def undone_by(self, split_id: str, limit: int) -> list[Link]:
        """Return the links that a split voided, or that a lift opened again."""
        return [_link(row) for row in self._rows(_UNDONE_BY, split=split_id, limit=limit)]

    def _rows(self, sql: str, **parameters: Any) -> list[dict[str, Any]]:
        for name, text in self._parts.items():
            sql = sql.replace(name, text)
        return self._clickhouse.rows(sql, parameters)


def _link(row: Mapping[str, Any]) -> Link:
    return Link(
        Identifier(row["lead_kind"], row["lead_value"]),
        Identifier(row["kind"], row["value"]),
        row["verdict"],
        row["reason"],
        row["split_id"],
        row["source"],
        row["event_id"],
        row["occurred_at"],
        row["decided_at"],
        row["position"],
    )


def _among(sql: str, identifiers: Sequence[Identifier]) -> str:
    ids = (identifier_id(*one) for one in identifiers)
    names = (f"{kind}:{value}".encode() for kind, value in identifiers)
    digests = (md5(name, usedforsecurity=False).hexdigest().upper() for name in names)
    for place, texts in (("{ids}", ids), ("{digests}", digests)):
        sql = sql.replace(place, ", ".join(f"'{text}'" for text in texts))
    return sql


def _slices(identifiers: Sequence[Identifier]) -> Iterator[Sequence[Identifier]]:
    for start in range(0, len(identifiers), _AT_ONCE):
        yield identifiers[start : start + _AT_ONCE]
