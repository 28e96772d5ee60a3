"""The metric ports of gateway, pulls, engine and sinks, over the catalogue."""

from __future__ import annotations

import math
import shutil
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import structlog
from prometheus_client import REGISTRY, CollectorRegistry

from deploy.runtime.metrics.catalogue import (
    ACCEPTED,
    BATCH_RECORDS,
    BATCH_SECONDS,
    COUNTS,
    DEADLINE_LATENESS,
    END_TO_END,
    LABELLED_COUNTS,
    LAG_RECORDS,
    LAG_SECONDS,
    PROCESSED,
    PUBLISH,
    PUBLISH_BOUND,
    PULL_COMPLETE,
    PULL_FAILURES,
    RECEIVED,
    REJECTED,
    REQUEST,
    SINK_BYTES,
    SINK_INSERT,
    SINK_REJECTED,
    SINK_RETRIES,
    SINK_ROWS,
    SINK_UNWRITTEN,
    STATE_BYTES,
    STATE_DISK_FREE,
    STATE_DISK_SIZE,
    STATE_KEYS,
    UNAUTHORIZED,
    VIOLATED,
)
from deploy.runtime.metrics.fresh_gauge import FreshGauge
from ingest.files.reader import Batch
from processors.graph.outputs import CONFLICTS
from schemas.rejection import REASONS
from sinks.clickhouse.tables import TABLES

_log = structlog.get_logger(__name__)
#: Seconds for which a stage's report holds; after that the value is not known, and not exposed.
_LAG_HOLDS_S = 15.0
_STATE_HOLDS_S = 60.0


def _prepare(received: Any, accepted: Any, rejected: Any, source: str, connector: str) -> None:
    """Make the series of a source, at 0."""
    received.labels(source, connector)
    accepted.labels(source, connector)
    for reason in REASONS:
        rejected.labels(source, connector, reason)


class GatewayCounters:
    """An implementation of `ingest.gateway.config.GatewayMetrics`.

    The series of each configured source exist from the start, so that the first event of a kind
    is an increase.
    """

    def __init__(
        self,
        registry: CollectorRegistry = REGISTRY,
        sources: Iterable[tuple[str, str]] = (),
        keyed: Iterable[str] = (),
    ) -> None:
        """`sources`: names and connectors; `keyed`: connectors whose sources a key finds."""
        self._received = RECEIVED.make(registry)
        self._accepted = ACCEPTED.make(registry)
        self._rejected = REJECTED.make(registry)
        self._violated = VIOLATED.make(registry)
        self._unauthorized = UNAUTHORIZED.make(registry)
        self._publish = PUBLISH.make(registry)
        self._bound = PUBLISH_BOUND.make(registry)
        self._request = REQUEST.make(registry)
        for source, connector in sources:
            _prepare(self._received, self._accepted, self._rejected, source, connector)
            self._unauthorized.labels(source, connector)
        for connector in keyed:
            self._unauthorized.labels("", connector)
        for acknowledged in ("yes", "no"):
            self._publish.labels(acknowledged)

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

    def unauthorized(self, source: str, connector: str) -> None:
        """Count a request without a valid signature or key."""
        self._unauthorized.labels(source, connector).inc()

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
    """An implementation of `ingest.files.pull.PullMetrics`; series exist from the start."""

    def __init__(
        self, registry: CollectorRegistry = REGISTRY, sources: Iterable[tuple[str, str]] = ()
    ) -> None:
        """`sources`: names and connectors."""
        self._received = RECEIVED.make(registry)
        self._accepted = ACCEPTED.make(registry)
        self._rejected = REJECTED.make(registry)
        self._failures = PULL_FAILURES.make(registry)
        self._complete = PULL_COMPLETE.make(registry)
        for source, connector in sources:
            _prepare(self._received, self._accepted, self._rejected, source, connector)
            for cause in ("unreachable", "refused"):
                self._failures.labels(source, connector, cause)
            # 0 until then, so that a source that was never read to its end is seen.
            self._complete.labels(source, connector)

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
        self._lag_records = FreshGauge(LAG_RECORDS, registry, _LAG_HOLDS_S)
        self._lag_seconds = FreshGauge(LAG_SECONDS, registry, _LAG_HOLDS_S)
        self._state_keys = FreshGauge(STATE_KEYS, registry, _STATE_HOLDS_S)
        self._state_bytes = FreshGauge(STATE_BYTES, registry, _STATE_HOLDS_S)
        self._lateness = DEADLINE_LATENESS.make(registry)
        self._counts = {name: metric.make(registry) for name, metric in COUNTS.items()}
        self._labelled = {name: metric.make(registry) for name, metric in LABELLED_COUNTS.items()}
        for reason in CONFLICTS:
            self._labelled["conflicts"].labels(reason)

    def batch(self, stage: str, records: int, seconds: float) -> None:
        """Record a batch that went through all steps."""
        self._processed.labels(stage).inc(records)
        self._batch_records.labels(stage).observe(records)
        self._batch_seconds.labels(stage).observe(seconds)

    def lag(self, stage: str, topic: str, partition: int, records: int, seconds: float) -> None:
        """Set the lag of an input partition."""
        labels = (stage, topic, str(partition))
        self._lag_records.set(labels, records)
        self._lag_seconds.set(labels, seconds)

    def state(self, stage: str, partition: int, keys: int, size: int) -> None:
        """Set the size of a partition's state."""
        self._state_keys.set((stage, str(partition)), keys)
        self._state_bytes.set((stage, str(partition)), size)

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
        for table in (one.name for one in TABLES):
            for metric in (self._rows, self._bytes, self._insert, self._rejected, self._unwritten):
                metric.labels(table)
            for cause in ("insert", "reject", "commit", "poll", "connect"):
                self._retries.labels(table, cause)

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


def state_disk(state: Path, registry: CollectorRegistry = REGISTRY) -> None:
    """Export free bytes and size of the disk that holds this folder, once it exists."""

    def usage(name: str) -> float:
        try:
            return float(getattr(shutil.disk_usage(state), name))
        except OSError:
            return math.nan

    STATE_DISK_FREE.make(registry).set_function(lambda: usage("free"))
    STATE_DISK_SIZE.make(registry).set_function(lambda: usage("total"))
