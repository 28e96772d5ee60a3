"""The catalogue of Prometheus metrics, and the ports of gateway, engine and sinks over it.

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
        """The live metric, registered."""
        options: dict[str, Any] = {"buckets": self.buckets} if self.buckets else {}
        name = PREFIX + self.name
        live: MetricWrapperBase = self.kind(
            name, self.doc, self.labels, registry=registry, **options
        )
        return live


# Gateway ------------------------------------------------------------------------------------------
_SOURCE = ("source", "connector")
RECEIVED = Metric(
    Counter, "received_touchpoints_total", "events read from verified requests", _SOURCE
)
ACCEPTED = Metric(Counter, "accepted_touchpoints_total", "events that Kafka acknowledged", _SOURCE)
REJECTED = Metric(
    Counter,
    "rejected_touchpoints_total",
    "events refused and kept among the rejected",
    (*_SOURCE, "reason"),
)
PUBLISH = Metric(
    Histogram, "publish_seconds", "until Kafka acknowledged", ("acknowledged",), _LATENCY
)
REQUEST = Metric(
    Histogram, "http_request_seconds", "HTTP requests", ("route", "method", "status"), _LATENCY
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
#: What stages and engine count, by the name under which they do.
COUNTS = {
    "redelivered": Metric(
        Counter, "redelivered_touchpoints_total", "events that had come before and changed nothing"
    ),
    "links": Metric(Counter, "links_total", "links that the graph decided"),
    "joins": Metric(Counter, "joins_total", "links that made two people one"),
    "conflicts": Metric(Counter, "conflicts_total", "links that were refused"),
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
# Every process ------------------------------------------------------------------------------------
BUILD = Metric(Gauge, "build_info", "1, with the version that runs", ("version",))

CATALOGUE: tuple[Metric, ...] = (
    RECEIVED, ACCEPTED, REJECTED, PUBLISH, REQUEST,
    PROCESSED, BATCH_RECORDS, BATCH_SECONDS, LAG_RECORDS, LAG_SECONDS, *COUNTS.values(),
    BUILD,
)  # fmt: skip


class GatewayCounters:
    """`ingest.gateway.GatewayMetrics`."""

    def __init__(self, registry: CollectorRegistry = REGISTRY) -> None:
        self._received = RECEIVED.make(registry)
        self._accepted = ACCEPTED.make(registry)
        self._rejected = REJECTED.make(registry)
        self._publish = PUBLISH.make(registry)
        self._request = REQUEST.make(registry)

    def received(self, source: str, connector: str, events: int) -> None:
        """Events read from verified requests."""
        self._received.labels(source, connector).inc(events)

    def accepted(self, source: str, connector: str, events: int) -> None:
        """Events acknowledged by Kafka."""
        self._accepted.labels(source, connector).inc(events)

    def rejected(self, source: str, connector: str, reason: str, events: int) -> None:
        """Events refused."""
        self._rejected.labels(source, connector, reason).inc(events)

    def published(self, seconds: float, acknowledged: bool) -> None:
        """One publish."""
        self._publish.labels("yes" if acknowledged else "no").observe(seconds)

    def request(self, route: str, method: str, status: int, seconds: float) -> None:
        """One HTTP request."""
        self._request.labels(route, method, str(status)).observe(seconds)


class EngineCounters:
    """`processors.engine.EngineMetrics`."""

    def __init__(self, registry: CollectorRegistry = REGISTRY) -> None:
        self._processed = PROCESSED.make(registry)
        self._batch_records = BATCH_RECORDS.make(registry)
        self._batch_seconds = BATCH_SECONDS.make(registry)
        self._lag_records = LAG_RECORDS.make(registry)
        self._lag_seconds = LAG_SECONDS.make(registry)
        self._counts = {name: metric.make(registry) for name, metric in COUNTS.items()}

    def batch(self, stage: str, records: int, seconds: float) -> None:
        """A batch went through all steps."""
        self._processed.labels(stage).inc(records)
        self._batch_records.labels(stage).observe(records)
        self._batch_seconds.labels(stage).observe(seconds)

    def lag(self, stage: str, topic: str, partition: int, records: int, seconds: float) -> None:
        """How far an input partition is behind."""
        self._lag_records.labels(stage, topic, str(partition)).set(records)
        self._lag_seconds.labels(stage, topic, str(partition)).set(seconds)

    def count(self, name: str, increment: int) -> None:
        """A counter of a stage or of the engine; one that is not declared is logged, not lost."""
        counter = self._counts.get(name)
        if counter is None:
            _log.warning("metric_not_declared", name=name, increment=increment)
        else:
            counter.inc(increment)


def serve(host: str, port: int, registry: CollectorRegistry = REGISTRY) -> int:
    """Serve /metrics from a thread; the port, which is a free one if `port` is 0.

    Raises OSError if the port is taken.
    """
    BUILD.make(registry).labels(version("touchline")).set(1)
    server, _ = start_http_server(port, host, registry)
    return server.server_port


def text(registry: CollectorRegistry = REGISTRY) -> bytes:
    """What /metrics answers, for a process with an HTTP server of its own."""
    return generate_latest(registry)
