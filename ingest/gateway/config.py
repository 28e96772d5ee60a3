"""The inputs of the gateway: its configuration, its sources and its ports."""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol

from ingest.connector import WebhookConnector
from ingest.gateway.fetching import Get, HttpsGet
from ingest.gateway.proxies import Network
from ingest.intake.limits import MIB, Limits
from ingest.intake.source import ReadableSource
from ingest.publishing.port import Publisher
from schemas import times


@dataclass(frozen=True, slots=True)
class GatewayConfig:
    """The gateway's address and its limits; sizes in bytes, times in seconds."""

    host: str = "127.0.0.1"
    port: int = 8080
    #: The address that providers call; what Twilio signs begins with it. None: the address that a
    #: trusted proxy states, else the Host header.
    public_url: str | None = None
    #: Addresses of the proxies whose X-Forwarded-Proto, X-Forwarded-Host and X-Request-Id count.
    trusted_proxies: tuple[Network, ...] = ()
    #: The bounds of a body and its events.
    limits: Limits = field(default_factory=Limits)
    #: Most bytes of all bodies that are being read or processed.
    max_bodies_bytes: int = 64 * MIB
    #: Most open connections; fewer if the process may not have as many descriptors.
    max_connections: int = 10_000
    #: Number of used signed tokens that are remembered (see `TokenConnector`).
    max_tokens: int = 100_000
    #: A body must have arrived within this time.
    body_s: float = 30.0
    #: Time for which the rest of a body is read after an early reply, so that the reply arrives.
    linger_s: float = 5.0
    #: An idle connection is closed after this time.
    idle_s: float = 75.0
    #: A stop takes at most this long.
    stop_s: float = 10.0
    #: Time after which a sender is told to send again.
    retry_after_s: float = 2.0


@dataclass(frozen=True, slots=True)
class RateLimit:
    """The events a second that a source may send on average, and at once."""

    events_per_s: float
    burst: float


@dataclass(frozen=True, slots=True)
class Source(ReadableSource):
    """A source that requests are sent to."""

    connector: WebhookConnector
    rate: RateLimit | None = None
    #: Origins whose pages may send to it, if it is for browsers; None: all.
    origins: frozenset[str] | None = None


class GatewayMetrics(Protocol):
    """The counters of the gateway. Labels are names from the configuration or from code."""

    def received(self, source: str, connector: str, events: int) -> None:
        """Count events read from verified requests, accepted or not."""

    def accepted(self, source: str, connector: str, events: int) -> None:
        """Count events acknowledged by Kafka."""

    def rejected(self, source: str, connector: str, reason: str, events: int) -> None:
        """Count events refused, stored among the rejected."""

    def violated(self, source: str, planned_type: str, action: str) -> None:
        """Count an event that differs from the plan; `planned_type` as the plan names it, or ''."""

    def unauthorized(self, source: str, connector: str) -> None:
        """Count a request without a valid signature or key; '' where no source could be found."""

    def published(self, seconds: float, acknowledged: bool) -> None:
        """Count one publish, until Kafka's acknowledgement or the failure."""

    def request(self, route: str, method: str, status: int, seconds: float) -> None:
        """Count one request; `route` is the template of its path."""


class NoMetrics:
    """Metrics that count nothing."""

    def received(self, source: str, connector: str, events: int) -> None:
        """See `GatewayMetrics`."""

    def accepted(self, source: str, connector: str, events: int) -> None:
        """See `GatewayMetrics`."""

    def rejected(self, source: str, connector: str, reason: str, events: int) -> None:
        """See `GatewayMetrics`."""

    def violated(self, source: str, planned_type: str, action: str) -> None:
        """See `GatewayMetrics`."""

    def unauthorized(self, source: str, connector: str) -> None:
        """See `GatewayMetrics`."""

    def published(self, seconds: float, acknowledged: bool) -> None:
        """See `GatewayMetrics`."""

    def request(self, route: str, method: str, status: int, seconds: float) -> None:
        """See `GatewayMetrics`."""


def _new_id() -> str:
    return str(uuid.uuid4())


@dataclass(frozen=True, slots=True)
class Ports:
    """The ports of the gateway: everything that it needs from outside."""

    publisher: Publisher
    metrics: GatewayMetrics = field(default_factory=NoMetrics)
    #: The text of /metrics, for Prometheus; None: there is no such path.
    metrics_text: Callable[[], bytes] | None = None
    #: Returns None to admit a request; otherwise the seconds after which to send it again.
    admission: Callable[[], float | None] = lambda: None
    #: The time of receipt, milliseconds UTC.
    now_ms: Callable[[], int] = times.now_ms
    #: Seconds of a clock that never goes back.
    monotonic: Callable[[], float] = time.monotonic
    #: Fetches what connectors need from their providers' sites; raises FetchFailed.
    get: Get = field(default_factory=HttpsGet)
    #: Ids of refusals and requests: uuid as text.
    new_id: Callable[[], str] = _new_id
