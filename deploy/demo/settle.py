"""Waiting until everything that was accepted is visible in ClickHouse."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

from deploy.demo.send import Ledger
from sinks.clickhouse.client import ClickHouse, Unreachable

#: Seconds without a change after which the numbers count as final; stages publish once a second.
QUIET_S = 3.0
#: Seconds without a change, while something is missing, after which the wait is given up.
STALL_S = 60.0
#: Polling slows down the machine that is waited for: a pause is at least this long, in seconds, and
#: several times as long as the queries took.
_PAUSE_S = 1.0
_PAUSE_RATIO = 4

#: A cheap query for the slowest tables. Only when they are complete is everything queried.
_PROGRESS = """
SELECT
    (SELECT sum(touchpoints) FROM touchline_bi.profiles) AS in_profiles,
    (SELECT sum(touchpoints) FROM touchline_bi.engagement_daily) AS in_engagement
"""
_WHOLE = """
SELECT
    (SELECT count() FROM touchline_bi.touchpoints) AS touchpoints,
    (SELECT count() FROM touchline_bi.rejected_touchpoints) AS rejected,
    (SELECT count() FROM touchline_bi.profiles) AS profiles,
    (SELECT sum(cityHash64(kind, value, profile_id)) FROM touchline_bi.identities) AS identities,
    (SELECT sum(cityHash64(segment, profile_id)) FROM touchline_bi.segment_members) AS members,
    (SELECT count() FROM touchline_bi.identity_conflicts) AS conflicts
"""


class Progress(NamedTuple):
    """Numbers of touches visible in profiles and in engagement; later also touches and refusals."""

    in_profiles: int = 0
    in_engagement: int = 0
    touchpoints: int = 0
    rejected: int = 0


class Settled(NamedTuple):
    """The result of the wait: completeness, duration, and the last progress."""

    complete: bool
    seconds: float
    last: Progress


@dataclass(frozen=True, slots=True)
class Settling:
    """A wait until all is visible and no number changes any more; `tell` receives the progress."""

    db: ClickHouse
    ledger: Ledger
    tell: Callable[[Progress], None] = lambda progress: None
    clock: Callable[[], float] = time.monotonic
    sleep: Callable[[float], None] = time.sleep

    def wait(self) -> Settled:
        """Wait until all numbers are final, or until nothing has changed for `STALL_S`."""
        started = since = self.clock()
        seen: dict[str, Any] = {}
        while True:
            asked = self.clock()
            snapshot = self._snapshot()
            if snapshot != seen:
                seen, since = snapshot, asked
            progress = Progress(*(int(snapshot.get(name) or 0) for name in Progress._fields))
            self.tell(progress)
            complete = self._complete(progress)
            now = self.clock()
            if asked - since >= (QUIET_S if complete else STALL_S):
                return Settled(complete, now - started, progress)
            self.sleep(max(_PAUSE_S, _PAUSE_RATIO * (now - asked)))

    def _snapshot(self) -> dict[str, Any]:
        try:
            snapshot = self.db.rows(_PROGRESS)[0]
            if min(map(int, snapshot.values())) >= len(self.ledger.accepted):
                snapshot |= self.db.rows(_WHOLE)[0]
        except Unreachable:
            return {}
        return snapshot

    def _complete(self, progress: Progress) -> bool:
        return (
            min(progress.in_profiles, progress.in_engagement, progress.touchpoints)
            >= len(self.ledger.accepted)
            and progress.rejected >= self.ledger.refused.total()
        )
