"""Flow control for the embedded broker, which drops records that it cannot hold.

The broker keeps 5 MB per partition, so the gateway must not write faster than all readers read. It
asks `Backlog.admission` for each request; a thread keeps the answer up to date from the offsets.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable

import structlog
from kafka.errors import KafkaError

from deploy.config.embedded import PARTITION_BYTES
from deploy.kafka.lag import Lag, Lags

#: Above this fill the gateway answers 503. Requests in flight at that moment must fit in the rest.
HIGH = 0.5
RETRY_AFTER = 1.0
INTERVAL = 0.2
#: Assumed bytes of a record on the broker, compressed, until the broker has dropped a record, which
#: tells how many records it really holds. On the high side for every topic.
ASSUMED_RECORD_BYTES = 1_000

_log = structlog.get_logger(__name__)


def fill(lags: Iterable[Lag], source: str, between: str) -> float:
    """Return the fill that the broker will reach with its unread records; at 1 it loses records.

    Records that wait in the `source` topic will wait behind the first stage (in `between`) and then
    behind the last, so the fills along the way add up.
    """
    by_topic: dict[str, float] = {}
    for lag in lags:
        topic = lag.reader.topic
        by_topic[topic] = max(by_topic.get(topic, 0.0), lag.records / _capacity(lag))
    first, second = by_topic.pop(source, 0.0), by_topic.pop(between, 0.0)
    return first + second + max(by_topic.values(), default=0.0)


def _capacity(lag: Lag) -> int:
    """Return the number of records that this partition can hold."""
    held = lag.end - lag.start
    # Once it has dropped a record it is full, and its current size is its capacity.
    assumed = PARTITION_BYTES // ASSUMED_RECORD_BYTES
    return max(1, held if lag.start else max(held, assumed))


class Backlog:
    """A monitor with a thread of its own; `admission` may be called from any thread."""

    def __init__(self, lags: Lags, source: str, between: str) -> None:
        self._lags = lags
        self._topics = (source, between)
        self._retry_after: float | None = None
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="backlog", daemon=True)

    def admission(self) -> float | None:
        """Return None to accept the request, otherwise the seconds after which to try again."""
        return self._retry_after

    def is_full(self) -> bool:
        """Return True if the current lags leave too little room."""
        return fill(self._lags.read(), *self._topics) > HIGH

    def update(self) -> None:
        """Update the answer from the current lags."""
        self._retry_after = RETRY_AFTER if self.is_full() else None

    def start(self) -> None:
        """Start the monitoring thread."""
        self._thread.start()

    def stop(self) -> None:
        """Stop the monitoring thread."""
        self._stopped.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._stopped.wait(INTERVAL):
            try:
                self.update()
            except (KafkaError, OSError) as error:
                # Without current offsets nothing may be written: it could push out unread records.
                self._retry_after = RETRY_AFTER
                _log.warning("backlog_unknown", error=type(error).__name__)
