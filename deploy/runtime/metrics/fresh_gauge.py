"""A gauge whose values are exposed only while they are known."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator

from prometheus_client import CollectorRegistry
from prometheus_client import Metric as Family
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from deploy.runtime.metrics.catalogue import PREFIX, Metric


class FreshGauge(Collector):
    """A gauge whose values vanish when nobody has set them for `holds_s` seconds.

    An old lag of 0 would say that all is well when nobody knows. Safe to use from several threads.
    """

    def __init__(
        self,
        metric: Metric,
        registry: CollectorRegistry,
        holds_s: float,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._metric = metric
        self._holds_s = holds_s
        self._monotonic = monotonic
        self._values: dict[tuple[str, ...], tuple[float, float]] = {}
        self._guard = threading.Lock()
        registry.register(self)

    def set(self, labels: tuple[str, ...], value: float) -> None:
        """Set the value of these labels, in the order in which the catalogue names them."""
        with self._guard:
            self._values[labels] = value, self._monotonic()

    def collect(self) -> Iterator[Family]:
        """Yield the family with the values that still hold; the others are forgotten."""
        family = GaugeMetricFamily(
            PREFIX + self._metric.name, self._metric.doc, labels=self._metric.labels
        )
        oldest = self._monotonic() - self._holds_s
        with self._guard:
            self._values = {key: one for key, one in self._values.items() if one[1] >= oldest}
            for labels, (value, _) in self._values.items():
                family.add_metric(labels, value)
        yield family
