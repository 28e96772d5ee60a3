"""Epochs: the views show one of several computations of the derived data.

Everything that the stages derive carries the number of its epoch. A rebuild, or a broker that has
lost its offsets, begins a new epoch beside the shown one; `activate` switches the views over in one
statement.

Segment memberships are the only data with a memory across epochs. On activation

- a membership that both epochs know keeps the date since when it holds, and
- a membership that differs, because the system was down when it changed or because a definition
  or the identities did, gets a row in `segment_changes` with the time of activation,

so that the changes that the view shows always add up to the members that it shows.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from schemas.times import rfc3339, to_ms
from sinks.clickhouse.client import ClickHouse
from sinks.clickhouse.tables import REPLACED_BY_EPOCH, SEGMENT_CHANGES, databases

_NEWEST = """
SELECT epoch, cluster_id, policy, activated_at IS NOT NULL AS active
FROM {db:Identifier}.epochs FINAL ORDER BY epoch DESC LIMIT 1
"""
_OF_NUMBER = """
SELECT epoch, cluster_id, policy, activated_at IS NOT NULL AS active
FROM {db:Identifier}.epochs FINAL WHERE epoch = {epoch:UInt32}
"""
_SHOWN = """
SELECT epoch, cluster_id, policy, true AS active
FROM {db:Identifier}.epochs FINAL WHERE activated_at IS NOT NULL ORDER BY epoch DESC LIMIT 1
"""
# Version 0 while it is built, 1 once it is active.
_BEGIN = """
INSERT INTO {db:Identifier}.epochs (epoch, cluster_id, policy, created_at, activated_at, version)
SELECT {epoch:UInt32}, {cluster_id:String}, {policy:String},
    parseDateTime64BestEffort({now:String}, 3, 'UTC') AS now,
    if({active:Bool}, now, NULL), {active:Bool}
"""
_ACTIVATE = """
INSERT INTO {db:Identifier}.epochs (epoch, cluster_id, policy, created_at, activated_at, version)
SELECT epoch, cluster_id, policy, created_at, parseDateTime64BestEffort({now:String}, 3, 'UTC'), 1
FROM {db:Identifier}.epochs FINAL WHERE epoch = {epoch:UInt32}
"""
# The carried row lies between this version of the membership and the next one.
_CARRY_SINCE = """
INSERT INTO {db:Identifier}.segment_membership
    (epoch, segment, profile_id, is_member, since, version)
SELECT n.epoch, n.segment, n.profile_id, true, o.since, bitOr(n.version, 1)
FROM (
    SELECT * FROM {db:Identifier}.segment_membership FINAL
    WHERE epoch = {epoch:UInt32} AND is_member
) AS n
INNER JOIN (
    SELECT * FROM {db:Identifier}.segment_membership FINAL
    WHERE epoch = {before:UInt32} AND is_member
) AS o ON o.segment = n.segment AND o.profile_id = n.profile_id
WHERE n.since < parseDateTime64BestEffort({now:String}, 3, 'UTC')
"""
# Version 0: the feed skips it, so it enters no membership. Later changes appear by themselves.
_RECORD_DIFFERENCES = """
INSERT INTO {db:Identifier}.segment_changes
    (epoch, segment, profile_id, change, changed_at, cause, version)
SELECT {epoch:UInt32},
    if(n.epoch = 0, o.segment, n.segment),
    if(n.epoch = 0, o.profile_id, n.profile_id),
    if(n.is_member, 'entered', 'exited'),
    parseDateTime64BestEffort({now:String}, 3, 'UTC') AS now,
    if(c.cause = '', 'definition', c.cause),
    0
FROM (
    SELECT * FROM {db:Identifier}.segment_membership FINAL WHERE epoch = {epoch:UInt32}
) AS n
FULL JOIN (
    SELECT * FROM {db:Identifier}.segment_membership FINAL WHERE epoch = {before:UInt32}
) AS o ON o.segment = n.segment AND o.profile_id = n.profile_id
LEFT ANY JOIN (
    SELECT * FROM {db:Identifier}.segment_changes FINAL
    WHERE epoch = {epoch:UInt32} AND version > 0
) AS c
    ON c.segment = n.segment AND c.profile_id = n.profile_id AND c.version = intDiv(n.version, 2)
WHERE n.is_member != o.is_member AND n.since < now
SETTINGS join_use_nulls = 0
"""
_PARTITIONS = """
SELECT DISTINCT table, toUInt32OrZero(partition) AS epoch FROM system.parts
WHERE active AND database = {db:String} AND epoch < {epoch:UInt32}
    AND (
        table IN {tables:Array(String)}
        OR table = {history:String} AND epoch NOT IN (
            SELECT epoch FROM {db:Identifier}.epochs WHERE activated_at IS NOT NULL
        )
    )
ORDER BY table, epoch
"""
_PARTITIONS_OF = """
SELECT DISTINCT table, toUInt32OrZero(partition) AS epoch FROM system.parts
WHERE active AND database = {db:String} AND epoch = {epoch:UInt32}
    AND (table IN {tables:Array(String)} OR table = {history:String})
ORDER BY table
"""


@dataclass(frozen=True, slots=True)
class Epoch:
    """An epoch: the cluster whose offsets it counts by, and whether the views may show it."""

    number: int
    cluster_id: str
    active: bool
    #: The description of the identity policy it was built with; '' if unknown.
    policy: str = ""


class Epochs:
    """The epochs of one deployment. Every method raises `ClickHouseError`."""

    def __init__(self, clickhouse: ClickHouse, namespace: str = "") -> None:
        self._clickhouse = clickhouse
        self._storage = databases(namespace).storage

    def newest(self) -> Epoch | None:
        """Return the epoch that was begun last, shown or not; None before the first."""
        return self._one(_NEWEST)

    def shown(self) -> Epoch | None:
        """Return the epoch that the views show; None before the first activation."""
        return self._one(_SHOWN)

    def of(self, number: int) -> Epoch | None:
        """Return an epoch by its number."""
        return self._one(_OF_NUMBER, epoch=number)

    def ensure(self, cluster_id: str, now: datetime, policy: str = "") -> Epoch:
        """Return the newest epoch if it is of this cluster, otherwise a new one (`begin`)."""
        newest = self.newest()
        if newest is not None and newest.cluster_id == cluster_id:
            return newest
        return self.begin(cluster_id, now, policy)

    def begin(self, cluster_id: str, now: datetime, policy: str = "") -> Epoch:
        """Begin a new epoch and return it; it is not shown until `activate`.

        The first epoch ever is shown at once, because there is nothing else to show.
        """
        newest = self.newest()
        number = newest.number + 1 if newest else 1
        epoch = Epoch(number, cluster_id, active=newest is None, policy=policy)
        self._run(
            _BEGIN,
            epoch=epoch.number,
            cluster_id=cluster_id,
            policy=policy,
            active=epoch.active,
            now=_text(now),
        )
        return epoch

    def activate(self, number: int, now: datetime) -> None:
        """Show this epoch from `now` on; do nothing if it or a newer one is shown already.

        Call it when every record of the epoch up to now is in ClickHouse. It can be called again
        after an interruption.
        """
        shown = self.shown()
        if shown is not None and shown.number >= number:
            return
        values = {"epoch": number, "now": _text(now)}
        if shown is not None:
            self._run(_CARRY_SINCE, before=shown.number, **values)
            self._run(_RECORD_DIFFERENCES, before=shown.number, **values)
        self._run(_ACTIVATE, **values)
        shown = self.shown()
        if shown is None or shown.number < number:
            raise ValueError(f"epoch {number} was never begun")

    def drop_superseded(self) -> None:
        """Delete the derived data of epochs before the shown one.

        The history of segments stays, of those epochs that were shown.
        """
        shown = self.shown()
        if shown is None:
            return
        self._drop(_PARTITIONS, shown.number)

    def discard(self, number: int) -> None:
        """Delete the derived data of an epoch that will not be shown; do nothing if it was."""
        if (epoch := self.of(number)) is not None and not epoch.active:
            self._drop(_PARTITIONS_OF, number)

    def _drop(self, which: str, number: int) -> None:
        values = {
            "db": self._storage,
            "tables": list(REPLACED_BY_EPOCH),
            "history": SEGMENT_CHANGES.name,
            "epoch": number,
        }
        for row in self._clickhouse.rows(which, values):
            self._run(
                "ALTER TABLE {db:Identifier}.{table:Identifier} DROP PARTITION {epoch:UInt32}",
                table=row["table"],
                epoch=row["epoch"],
            )

    def _one(self, sql: str, **parameters: Any) -> Epoch | None:
        for row in self._clickhouse.rows(sql, {"db": self._storage, **parameters}):
            return Epoch(row["epoch"], row["cluster_id"], bool(row["active"]), row["policy"])
        return None

    def _run(self, sql: str, **parameters: Any) -> None:
        self._clickhouse.run(sql, {"db": self._storage, **parameters})


def _text(moment: datetime) -> str:
    return rfc3339(to_ms(moment))
