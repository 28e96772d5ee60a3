"""What the engine reports about itself; `deploy` turns it into Prometheus metrics."""

from __future__ import annotations

from typing import Protocol


class EngineMetrics(Protocol):
    """The port. Label values are names of stages, topics and partitions, never customers' data.

    Calls come from the engine's event loop and must not block.
    """

    def batch(self, stage: str, records: int, seconds: float) -> None:
        """A batch of input records went through all steps up to publishing."""

    def lag(self, stage: str, topic: str, partition: int, records: int, seconds: float) -> None:
        """Records of an input partition that are not processed, and the age of the last one that
        is. Reported about once a second for each assigned partition; zeros when it was revoked."""

    def state(self, stage: str, partition: int, keys: int, size: int) -> None:
        """The rows of an assigned partition: their number, estimated, and bytes on disk. Reported
        about every ten seconds; zeros when it was revoked."""

    def fired(self, stage: str, late: float) -> None:
        """A tick dealt with deadlines; the earliest of them was due so many seconds ago."""

    def count(self, name: str, increment: int) -> None:
        """A counter of the metrics catalogue went up: the stage's own (`Decision.counts`) or one
        of `COUNTERS`."""


#: Counters of the engine itself.
INPUT_GAP = "touchline_input_gap_records_total"
FAILED_RECORDS = "touchline_processing_failed_total"
TICK_FAILURES = "touchline_tick_failures_total"
RELOGGED_ROWS = "touchline_relogged_rows_total"
COUNTERS = {
    INPUT_GAP: "records of an input topic that were gone before they were read",
    FAILED_RECORDS: "records that failed by themselves and went to touchpoints.rejected",
    TICK_FAILURES: "ticks that failed and are tried again a second later",
    RELOGGED_ROWS: "rows logged again because a late writer had logged an older version",
}


class NoMetrics:
    """Reports nothing."""

    def batch(self, stage: str, records: int, seconds: float) -> None:
        """Ignored."""

    def lag(self, stage: str, topic: str, partition: int, records: int, seconds: float) -> None:
        """Ignored."""

    def state(self, stage: str, partition: int, keys: int, size: int) -> None:
        """Ignored."""

    def fired(self, stage: str, late: float) -> None:
        """Ignored."""

    def count(self, name: str, increment: int) -> None:
        """Ignored."""
