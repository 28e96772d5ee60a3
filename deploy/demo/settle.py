"""Waiting until everything that was accepted is to be seen in ClickHouse."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

from deploy.demo.send import Ledger
from sinks.clickhouse import ClickHouse, Unreachable

#: Numbers must not have changed for this long, in seconds; stages publish once a second.
QUIET_S = 4.0
_POLL_S = 0.5

_SNAPSHOT = """
SELECT
    (SELECT count() FROM touchline_bi.touchpoints) AS touchpoints,
    (SELECT sum(touchpoints) FROM touchline_bi.profiles) AS in_profiles,
    (SELECT sum(touchpoints) FROM touchline_bi.engagement_daily) AS in_engagement,
    (SELECT count() FROM touchline_bi.rejected_touchpoints) AS rejected,
    (SELECT count() FROM touchline_bi.profiles) AS profiles,
    (SELECT (count(), sum(cityHash64(kind, value, profile_id)))
       FROM touchline_bi.identities) AS identities,
    (SELECT count() FROM touchline_bi.segment_members) AS members,
    (SELECT count() FROM touchline_bi.identity_conflicts) AS conflicts
"""


class Progress(NamedTuple):
    """How many of the accepted touches are visible as touches, in profiles and in engagement."""

    touchpoints: int
    in_profiles: int
    in_engagement: int
    rejected: int

    def complete(self, ledger: Ledger) -> bool:
        """Whether nothing is missing."""
        accepted, rejected = len(ledger.accepted), ledger.refused.total()
        return (
            min(self.touchpoints, self.in_profiles, self.in_engagement) >= accepted
            and self.rejected >= rejected
        )


@dataclass(frozen=True, slots=True)
class Settled:
    """Whether everything became visible within the bound, and what was there in the end."""

    complete: bool
    seconds: float
    last: Progress


@dataclass(frozen=True, slots=True)
class Settling:
    """Waits until all is visible and no number changes any more; `tell` hears how far it is."""

    db: ClickHouse
    ledger: Ledger
    tell: Callable[[Progress], None] = lambda progress: None
    clock: Callable[[], float] = time.monotonic
    sleep: Callable[[float], None] = time.sleep

    def wait(self, bound_s: float) -> Settled:
        """Returns once everything has settled, or after `bound_s` seconds."""
        started = since = self.clock()
        seen: dict[str, Any] = {}
        while True:
            now = self.clock()
            snapshot = self._snapshot()
            if snapshot != seen:
                seen, since = snapshot, now
            progress = Progress(*(int(snapshot.get(name) or 0) for name in Progress._fields))
            self.tell(progress)
            complete = progress.complete(self.ledger)
            if (complete and now - since >= QUIET_S) or now - started > bound_s:
                return Settled(complete, now - started, progress)
            self.sleep(_POLL_S)

    def _snapshot(self) -> dict[str, Any]:
        try:
            return self.db.rows(_SNAPSHOT)[0]
        except Unreachable:
            return {}
