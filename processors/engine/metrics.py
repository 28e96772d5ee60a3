"""The metrics that the engine reports; `deploy` turns them into Prometheus metrics."""

from __future__ import annotations

from typing import Protocol


class EngineMetrics(Protocol):
    """The port for metrics.

    Label values are names of stages, topics and partitions, never customers' data.

    Calls come from the engine's event loop and must not block.
    """

    def batch(self, stage: str, records: int, seconds: float) -> None:
        """Report that a batch of input records went through all steps up to publishing."""

    def lag(self, stage: str, topic: str, partition: int, records: int, seconds: float) -> None:
        """Report an input partition's unprocessed records and the age of the last processed one.

        Called about once a second for each assigned partition, and not at all while the lag is not
        known: Kafka does not answer, or a batch takes long. A report holds for some seconds.
        """

    def state(self, stage: str, partition: int, keys: int, size: int) -> None:
        """Report the rows of an assigned partition: their estimated number, and bytes on disk.

        Called about every ten seconds. A report holds for a minute.
        """

    def fired(self, stage: str, late: float) -> None:
        """Report that a tick processed deadlines; the earliest was due this many seconds ago."""

    def count(self, name: str, increment: int) -> None:
        """Increment a counter of the metrics catalogue.

        It is the stage's own (`Decision.counts`) or one of `COUNTERS`.
        """


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
    """Metrics that ignore every report."""

    def batch(self, stage: str, records: int, seconds: float) -> None:
        """Ignore."""

    def lag(self, stage: str, topic: str, partition: int, records: int, seconds: float) -> None:
        """Ignore."""

    def state(self, stage: str, partition: int, keys: int, size: int) -> None:
        """Ignore."""

    def fired(self, stage: str, late: float) -> None:
        """Ignore."""

    def count(self, name: str, increment: int) -> None:
        """Ignore."""
