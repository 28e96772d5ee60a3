"""The catalogue of Prometheus metrics.

Every metric that Touchline exposes is declared here. No label ever holds a value that a customer
can choose: labels are names from the configuration or from the code.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from prometheus_client.metrics import MetricWrapperBase

PREFIX = "touchline_"
_LATENCY = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
_END_TO_END = (0.1, 0.25, 0.5, 1.0, 1.5, 2.0, 3.0, 5.0, 10.0, 30.0, 60.0, 300.0, 3600.0)
_SIZES = (1, 10, 50, 100, 500, 1_000, 2_000, 4_000, 8_000)


@dataclass(frozen=True, slots=True)
class Metric:
    """A declared metric; counters' names end in `_total`, others in their unit."""

    kind: type[Counter | Gauge | Histogram]
    name: str
    doc: str
    labels: tuple[str, ...] = ()
    buckets: Sequence[float] = ()

    def make(self, registry: CollectorRegistry) -> Any:
        """Create and register the metric."""
        options: dict[str, Any] = {"buckets": self.buckets} if self.buckets else {}
        name = PREFIX + self.name
        live: MetricWrapperBase = self.kind(
            name, self.doc, self.labels, registry=registry, **options
        )
        return live


# Gateway ------------------------------------------------------------------------------------------
_SOURCE = ("source", "connector")
RECEIVED = Metric(
    Counter, "received_touchpoints_total", "events read from verified requests, or pulled", _SOURCE
)
ACCEPTED = Metric(Counter, "accepted_touchpoints_total", "events that Kafka acknowledged", _SOURCE)
REJECTED = Metric(
    Counter,
    "rejected_touchpoints_total",
    "events refused and kept among the rejected",
    (*_SOURCE, "reason"),
)
VIOLATED = Metric(
    Counter,
    "plan_violations_total",
    "events that differ from the tracking plan; type is empty for one that the plan does not name",
    ("source", "type", "action"),
)
UNAUTHORIZED = Metric(
    Counter,
    "unauthorized_requests_total",
    "requests with a wrong or missing signature or key; source is empty where the key finds it",
    _SOURCE,
)
PUBLISH = Metric(
    Histogram, "publish_seconds", "until Kafka acknowledged", ("acknowledged",), _LATENCY
)
PUBLISH_BOUND = Metric(
    Gauge, "publish_bound_bytes", "bytes that may wait for Kafka at present, less when it is slow"
)
REQUEST = Metric(
    Histogram, "http_request_seconds", "HTTP requests", ("route", "method", "status"), _LATENCY
)
CONSUMER_LAG = Metric(
    Gauge,
    "consumer_lag_records",
    "records that a stage or a sink has not committed, measured by the gateway",
    ("consumer", "topic"),
)
CONSUMER_COMMITTED = Metric(
    Gauge,
    "consumer_committed_records",
    "records that a stage or a sink has committed, measured by the gateway",
    ("consumer", "topic"),
)
# Pulls --------------------------------------------------------------------------------------------
PULL_FAILURES = Metric(
    Counter,
    "pull_failures_total",
    "pulls that were broken off and are tried again",
    (*_SOURCE, "cause"),
)
PULL_COMPLETE = Metric(
    Gauge, "pull_complete_timestamp_seconds", "when a source was last read to its end", _SOURCE
)
# Stages -------------------------------------------------------------------------------------------
PROCESSED = Metric(Counter, "processed_events_total", "records processed", ("stage",))
BATCH_RECORDS = Metric(Histogram, "batch_records", "records in a batch", ("stage",), _SIZES)
BATCH_SECONDS = Metric(
    Histogram, "batch_seconds", "from reading a batch to its publishing", ("stage",), _LATENCY
)
_PARTITION = ("stage", "topic", "partition")
LAG_RECORDS = Metric(Gauge, "lag_records", "records not processed yet", _PARTITION)
LAG_SECONDS = Metric(Gauge, "lag_seconds", "age of the last record processed", _PARTITION)
STATE_KEYS = Metric(
    Gauge, "state_keys", "rows of local state, as RocksDB estimates them", ("stage", "partition")
)
STATE_BYTES = Metric(Gauge, "state_bytes", "bytes of local state on disk", ("stage", "partition"))
STATE_DISK_FREE = Metric(
    Gauge, "state_disk_free_bytes", "free bytes of the disk that holds the local state"
)
STATE_DISK_SIZE = Metric(Gauge, "state_disk_size_bytes", "size of that disk")
DEADLINE_LATENESS = Metric(
    Histogram,
    "deadline_lateness_seconds",
    "from the moment a segment changes by time to its evaluation",
    ("stage",),
    _END_TO_END,
)
#: Counters of stages and engine, by the name under which the code counts.
COUNTS = {
    "redelivered": Metric(
        Counter, "redelivered_touchpoints_total", "events that had come before and changed nothing"
    ),
    "links": Metric(Counter, "links_total", "links that the graph decided"),
    "joins": Metric(Counter, "joins_total", "links that made two people one"),
    "splits": Metric(Counter, "splits_total", "commands of operators to split or lift"),
    "touchline_input_gap_records_total": Metric(
        Counter, "input_gap_records_total", "records that were gone before they were read"
    ),
    "touchline_processing_failed_total": Metric(
        Counter, "processing_failed_total", "records that failed and went to the rejected"
    ),
    "touchline_tick_failures_total": Metric(
        Counter, "tick_failures_total", "ticks that failed and are tried again"
    ),
    "touchline_relogged_rows_total": Metric(
        Counter, "relogged_rows_total", "rows logged again after a late foreign write"
    ),
}
#: Counters with labels: `conflicts.REASON`, `segment.NAME.CHANGE`.
LABELLED_COUNTS = {
    "conflicts": Metric(Counter, "conflicts_total", "links that the policy refused", ("reason",)),
    "segment": Metric(
        Counter,
        "segment_changes_total",
        "entries into and exits from segments",
        ("segment", "change"),
    ),
}
# Sinks --------------------------------------------------------------------------------------------
_TABLE = ("table",)
SINK_ROWS = Metric(Counter, "sink_rows_total", "rows inserted", _TABLE)
SINK_BYTES = Metric(Counter, "sink_bytes_total", "bytes of JSON inserted", _TABLE)
SINK_INSERT = Metric(Histogram, "sink_insert_seconds", "one insert", _TABLE, _LATENCY)
SINK_RETRIES = Metric(Counter, "sink_retries_total", "attempts made again", ("table", "cause"))
SINK_REJECTED = Metric(
    Counter, "sink_rejected_rows_total", "rows that ClickHouse cannot read, set aside", _TABLE
)
SINK_UNWRITTEN = Metric(
    Gauge, "sink_unwritten_seconds", "age of the oldest record in hand, 0 without one", _TABLE
)
END_TO_END = Metric(
    Histogram, "end_to_end_seconds", "from received to queryable (sampled)", _TABLE, _END_TO_END
)
# Every process ------------------------------------------------------------------------------------
READY = Metric(Gauge, "ready", "1 while the process does its work, as /readyz says")
DEPENDENCY_UP = Metric(
    Gauge, "dependency_up", "1 while what the process needs answers it", ("dependency",)
)
BUILD = Metric(Gauge, "build_info", "1, with the version that runs", ("version",))

CATALOGUE: tuple[Metric, ...] = (
    RECEIVED, ACCEPTED, REJECTED, VIOLATED, UNAUTHORIZED, PUBLISH, PUBLISH_BOUND, REQUEST,
    CONSUMER_LAG, CONSUMER_COMMITTED, PULL_FAILURES, PULL_COMPLETE,
    PROCESSED, BATCH_RECORDS, BATCH_SECONDS, LAG_RECORDS, LAG_SECONDS, STATE_KEYS, STATE_BYTES,
    STATE_DISK_FREE, STATE_DISK_SIZE,
    DEADLINE_LATENESS, *COUNTS.values(), *LABELLED_COUNTS.values(),
    SINK_ROWS, SINK_BYTES, SINK_INSERT, SINK_RETRIES, SINK_REJECTED, SINK_UNWRITTEN, END_TO_END,
    READY, DEPENDENCY_UP, BUILD,
)  # fmt: skip
