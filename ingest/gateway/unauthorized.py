"""Requests without a valid signature or key: counted by source, and told in the log.

A secret that was rotated at one end only shows here and nowhere else, for nothing of such a request
is kept.
"""

from __future__ import annotations

from collections.abc import Callable

import structlog

from ingest.gateway.config import GatewayMetrics

log = structlog.get_logger(__name__)
#: Seconds between two lines of the log about one source: strangers may send as many as they like.
_REMIND_S = 60.0


class UnauthorizedRequests:
    """The requests that were answered 401 because of their key or signature."""

    def __init__(self, metrics: GatewayMetrics, monotonic: Callable[[], float]) -> None:
        self._metrics = metrics
        self._monotonic = monotonic
        #: By (source, connector): when it was last told, and the requests since then.
        self._told: dict[tuple[str, str], tuple[float, int]] = {}

    def note(self, connector: str, source: str = "") -> None:
        """Count a request; `source` is '' where a key finds the source and was not known."""
        self._metrics.unauthorized(source, connector)
        now = self._monotonic()
        told, requests = self._told.get((source, connector), (now - _REMIND_S, 0))
        if now - told < _REMIND_S:
            self._told[source, connector] = told, requests + 1
            return
        log.warning("unauthorized", source=source, connector=connector, requests=requests + 1)
        self._told[source, connector] = now, 0
