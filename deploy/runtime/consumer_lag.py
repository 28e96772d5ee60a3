"""The lag of every stage and sink, measured from outside: a stopped process cannot report its own.

The gateway measures it, because it is the process that always runs.
"""

from __future__ import annotations

import contextlib
import threading

import structlog
from prometheus_client import REGISTRY, CollectorRegistry

from deploy.config.sections import KafkaSettings
from deploy.kafka.lag import BrokerLags, Lag
from deploy.kafka.reachability import UNREACHABLE
from deploy.kafka.topology import readers
from deploy.runtime.metrics.catalogue import CONSUMER_COMMITTED, CONSUMER_LAG
from deploy.runtime.metrics.fresh_gauge import FreshGauge

_log = structlog.get_logger(__name__)
#: Seconds between two measurements, and those for which one holds.
INTERVAL_S = 10.0
_HOLDS_S = 35.0


class ConsumerLagWatch:
    """A thread that measures the lags of an epoch's consumers; a context manager around it.

    Nothing is exposed while Kafka does not answer, or no epoch is present.
    """

    def __init__(
        self,
        kafka: KafkaSettings,
        interval_s: float = INTERVAL_S,
        registry: CollectorRegistry = REGISTRY,
    ) -> None:
        self._kafka = kafka
        self._interval_s = interval_s
        self._records = FreshGauge(CONSUMER_LAG, registry, _HOLDS_S)
        self._committed = FreshGauge(CONSUMER_COMMITTED, registry, _HOLDS_S)
        self._namespace: str | None = None
        self._measured: str | None = None
        self._lags: BrokerLags | None = None
        self._wake = threading.Event()
        self._stopped = False
        self._thread = threading.Thread(target=self._watch, name="consumer-lag", daemon=True)

    def follow(self, namespace: str) -> None:
        """Measure the consumers of the topics in this namespace from now on."""
        self._namespace = namespace
        self._wake.set()

    def __enter__(self) -> ConsumerLagWatch:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        # A measurement in progress may take its time; the thread ends with the process.
        self._stopped = True
        self._wake.set()

    def _watch(self) -> None:
        while not self._stopped:
            self._wake.clear()
            try:
                self.measure()
            except UNREACHABLE as error:
                _log.debug("consumer_lag_unknown", error=type(error).__name__)
                self._close()
            self._wake.wait(self._interval_s)
        self._close()

    def measure(self) -> None:
        """Measure once. Raises one of `UNREACHABLE`."""
        namespace = self._namespace
        if namespace is None:
            return
        if self._lags is None or namespace != self._measured:
            self._close()
            self._lags, self._measured = BrokerLags(self._kafka, readers(namespace)), namespace
        own = dict(zip(readers(namespace), readers(""), strict=True))
        found: dict[tuple[str, str], list[Lag]] = {}
        for lag in self._lags.read():
            # The names of consumers and topics without the namespace, which changes with an epoch.
            reader = own[lag.reader]
            found.setdefault((reader.group, reader.topic), []).append(lag)
        for labels, lags in found.items():
            self._records.set(labels, sum(lag.records for lag in lags))
            self._committed.set(labels, sum(lag.committed for lag in lags))

    def _close(self) -> None:
        lags, self._lags = self._lags, None
        if lags is not None:
            with contextlib.suppress(*UNREACHABLE):
                lags.close()
