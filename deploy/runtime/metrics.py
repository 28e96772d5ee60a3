"""The catalogue of Prometheus metrics, and the metric ports of gateway, engine and sinks.

Every metric that Touchline exposes is declared here. No label ever holds a value that a customer
can choose: labels are names from the configuration or from the code.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from importlib.metadata import version
from typing import Any

import structlog
from prometheus_client import (
    REGISTRY,
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    generate_latest,
    start_http_server,
)
from prometheus_client.metrics import MetricWrapperBase

from ingest.files.reader import Batch

PREFIX = "touchline_"
_log = structlog.get_logger(__name__)
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
PUBLISH = Metric(
    Histogram, "publish_seconds", "until Kafka acknowledged", ("acknowledged",), _LATENCY
)
PUBLISH_BOUND = Metric(
    Gauge, "publish_bound_bytes", "bytes that may wait for Kafka at present, less when it is slow"
)
REQUEST = Metric(
    Histogram, "http_request_seconds", "HTTP requests", ("route", "method", "status"), _LATENCY
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
READY = Metric(Gauge, "ready", "1 once the process does its work")
BUILD = Metric(Gauge, "build_info", "1, with the version that runs", ("version",))

CATALOGUE: tuple[Metric, ...] = (
    RECEIVED, ACCEPTED, REJECTED, VIOLATED, PUBLISH, PUBLISH_BOUND, REQUEST, PULL_FAILURES,
    PULL_COMPLETE,
    PROCESSED, BATCH_RECORDS, BATCH_SECONDS, LAG_RECORDS, LAG_SECONDS, STATE_KEYS, STATE_BYTES,
    DEADLINE_LATENESS, *COUNTS.values(), *LABELLED_COUNTS.values(),
    SINK_ROWS, SINK_BYTES, SINK_INSERT, SINK_RETRIES, SINK_REJECTED, SINK_UNWRITTEN, END_TO_END,
    READY, BUILD,
)  # fmt: skip


class GatewayCounters:
    """An implementation of `ingest.gateway.config.GatewayMetrics`."""

    def __init__(self, registry: CollectorRegistry = REGISTRY) -> None:
        self._received = RECEIVED.make(registry)
        self._accepted = ACCEPTED.make(registry)
        self._rejected = REJECTED.make(registry)
        self._violated = VIOLATED.make(registry)
        self._publish = PUBLISH.make(registry)
        self._bound = PUBLISH_BOUND.make(registry)
        self._request = REQUEST.make(registry)

    def received(self, source: str, connector: str, events: int) -> None:
        """Count events read from verified requests."""
        self._received.labels(source, connector).inc(events)

    def accepted(self, source: str, connector: str, events: int) -> None:
        """Count events acknowledged by Kafka."""
        self._accepted.labels(source, connector).inc(events)

    def rejected(self, source: str, connector: str, reason: str, events: int) -> None:
        """Count refused events."""
        self._rejected.labels(source, connector, reason).inc(events)

    def violated(self, source: str, planned_type: str, action: str) -> None:
        """Count an event that differs from the tracking plan."""
        self._violated.labels(source, planned_type, action).inc()

    def published(self, seconds: float, acknowledged: bool) -> None:
        """Record one publish."""
        self._publish.labels("yes" if acknowledged else "no").observe(seconds)

    def bounded(self, size: int) -> None:
        """Set the number of bytes that may wait for Kafka."""
        self._bound.set(size)

    def request(self, route: str, method: str, status: int, seconds: float) -> None:
        """Record one HTTP request."""
        self._request.labels(route, method, str(status)).observe(seconds)


class PullCounters:
    """An implementation of `ingest.files.pull.PullMetrics`."""

    def __init__(self, registry: CollectorRegistry = REGISTRY) -> None:
        self._received = RECEIVED.make(registry)
        self._accepted = ACCEPTED.make(registry)
        self._rejected = REJECTED.make(registry)
        self._failures = PULL_FAILURES.make(registry)
        self._complete = PULL_COMPLETE.make(registry)

    def pulled(self, source: str, connector: str, batch: Batch) -> None:
        """Count a batch that Kafka has acknowledged."""
        refused = len(batch.refused)
        self._received.labels(source, connector).inc(len(batch.accepted) + refused)
        self._accepted.labels(source, connector).inc(len(batch.accepted))
        for reason, number in batch.reasons.items():
            self._rejected.labels(source, connector, reason).inc(number)

    def failed(self, source: str, connector: str, cause: str) -> None:
        """Count a pull that failed."""
        self._failures.labels(source, connector, cause).inc()

    def complete(self, source: str, connector: str) -> None:
        """Record the time at which a source was read to its end."""
        self._complete.labels(source, connector).set_to_current_time()


class EngineCounters:
    """An implementation of `processors.engine.EngineMetrics`."""

    def __init__(self, registry: CollectorRegistry = REGISTRY) -> None:
        self._processed = PROCESSED.make(registry)
        self._batch_records = BATCH_RECORDS.make(registry)
        self._batch_seconds = BATCH_SECONDS.make(registry)
        self._lag_records = LAG_RECORDS.make(registry)
        self._lag_seconds = LAG_SECONDS.make(registry)
        self._state_keys = STATE_KEYS.make(registry)
        self._state_bytes = STATE_BYTES.make(registry)
        self._lateness = DEADLINE_LATENESS.make(registry)
        self._counts = {name: metric.make(registry) for name, metric in COUNTS.items()}
        self._labelled = {name: metric.make(registry) for name, metric in LABELLED_COUNTS.items()}

    def batch(self, stage: str, records: int, seconds: float) -> None:
        """Record a batch that went through all steps."""
        self._processed.labels(stage).inc(records)
        self._batch_records.labels(stage).observe(records)
        self._batch_seconds.labels(stage).observe(seconds)

    def lag(self, stage: str, topic: str, partition: int, records: int, seconds: float) -> None:
        """Set the lag of an input partition."""
        self._lag_records.labels(stage, topic, str(partition)).set(records)
        self._lag_seconds.labels(stage, topic, str(partition)).set(seconds)

    def state(self, stage: str, partition: int, keys: int, size: int) -> None:
        """Set the size of a partition's state."""
        self._state_keys.labels(stage, str(partition)).set(keys)
        self._state_bytes.labels(stage, str(partition)).set(size)

    def fired(self, stage: str, late: float) -> None:
        """Record the delay with which deadlines were processed."""
        self._lateness.labels(stage).observe(max(0.0, late))

    def count(self, name: str, increment: int) -> None:
        """Increase a counter of a stage or the engine; dots precede labels (`segment.NAME.CHANGE`).

        A counter that is not declared is logged, not lost.
        """
        counter, *labels = name.split(".")
        if labels and counter in self._labelled:
            self._labelled[counter].labels(*labels).inc(increment)
        elif name in self._counts:
            self._counts[name].inc(increment)
        else:
            _log.warning("metric_not_declared", name=name, increment=increment)


class SinkCounters:
    """An implementation of `sinks.metrics.SinkMetrics`."""

    def __init__(self, registry: CollectorRegistry = REGISTRY) -> None:
        self._rows = SINK_ROWS.make(registry)
        self._bytes = SINK_BYTES.make(registry)
        self._insert = SINK_INSERT.make(registry)
        self._retries = SINK_RETRIES.make(registry)
        self._rejected = SINK_REJECTED.make(registry)
        self._unwritten = SINK_UNWRITTEN.make(registry)
        self._end_to_end = END_TO_END.make(registry)

    def inserted(self, table: str, rows: int, size: int, seconds: float) -> None:
        """Record a completed insert."""
        self._rows.labels(table).inc(rows)
        self._bytes.labels(table).inc(size)
        self._insert.labels(table).observe(seconds)

    def retried(self, table: str, cause: str) -> None:
        """Count a retry."""
        self._retries.labels(table, cause).inc()

    def rejected(self, table: str, rows: int) -> None:
        """Count rows that were rejected."""
        self._rejected.labels(table).inc(rows)

    def unwritten(self, table: str, age: float) -> None:
        """Set the age of the oldest unwritten record."""
        self._unwritten.labels(table).set(age)

    def queryable(self, table: str, seconds: Sequence[float]) -> None:
        """Record the latencies of a sample of rows."""
        latency = self._end_to_end.labels(table)
        for value in seconds:
            latency.observe(value)


def build_info(registry: CollectorRegistry = REGISTRY) -> None:
    """Export the running version."""
    BUILD.make(registry).labels(version("touchline")).set(1)


class Exposition:
    """The /metrics endpoint of one process, served from a thread; a context manager."""

    def __init__(self, host: str, port: int, registry: CollectorRegistry = REGISTRY) -> None:
        """Start serving; raise OSError if the port is in use; port 0 picks a free one."""
        build_info(registry)
        self._ready = READY.make(registry)
        self._server, self._thread = start_http_server(port, host, registry)
        self.port: int = self._server.server_port

    def ready(self) -> None:
        """Mark the process as ready."""
        self._ready.set(1)

    def __enter__(self) -> Exposition:
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


def text(registry: CollectorRegistry = REGISTRY) -> bytes:
    """Return the body of /metrics, for a process with an HTTP server of its own."""
    return generate_latest(registry)
