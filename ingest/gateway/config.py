"""All that the gateway is given: its configuration, its sources and its ports."""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol

from ingest.connector import Reader, WebhookConnector
from ingest.gateway.fetching import Get, HttpsGet
from ingest.gateway.proxies import Network
from ingest.intake.accept import SourcePolicy
from ingest.intake.plan import Plan
from ingest.publishing.port import Publisher
from schemas import times

MIB = 1024 * 1024


@dataclass(frozen=True, slots=True)
class GatewayConfig:
    """Where the gateway listens, and its limits; sizes in bytes, times in seconds."""

    host: str = "127.0.0.1"
    port: int = 8080
    #: The address that providers call; what Twilio signs begins with it. None: what a trusted
    #: proxy says, else the Host header.
    public_url: str | None = None
    #: Addresses of the proxies whose X-Forwarded-Proto, X-Forwarded-Host and X-Request-Id count.
    trusted_proxies: tuple[Network, ...] = ()
    #: A body, before and after decompression.
    max_body_bytes: int = 5 * MIB
    max_depth: int = 64
    max_events: int = 10_000
    #: Of a refused body or event, so much is kept; the row must fit into one Kafka record.
    max_kept_bytes: int = 512 * 1024
    #: All bodies that are being read or worked on.
    max_bodies_bytes: int = 64 * MIB
    #: Connections that are open at once; fewer if the process may not have as many descriptors.
    max_connections: int = 10_000
    #: Signed tokens that were used are remembered, so many of them (see `TokenConnector`).
    max_tokens: int = 100_000
    #: A body must have arrived within this time.
    body_s: float = 30.0
    #: After an early reply the rest of the body is read for so long, so that the reply is heard.
    linger_s: float = 5.0
    #: An idle connection is closed after this time.
    idle_s: float = 75.0
    #: A stop takes at most this long.
    stop_s: float = 10.0
    #: What a sender is told to wait when it must come again.
    retry_after_s: float = 2.0


@dataclass(frozen=True, slots=True)
class RateLimit:
    """Events a second that a source may send on average, and at once."""

    events_per_s: float
    burst: float


@dataclass(frozen=True, slots=True)
class Source:
    """A configured source: its connector, made from its options, and its policy."""

    connector: WebhookConnector
    policy: SourcePolicy
    rate: RateLimit | None = None
    plan: Plan | None = None
    #: Pages of these origins may send to it, where it is for browsers; None: all.
    origins: frozenset[str] | None = None

    @property
    def name(self) -> str:
        """The source's name in `touchline.yaml`."""
        return self.policy.name


class ReadSource(Protocol):
    """What reading needs of a source, be it the gateway's or one that is read in batches."""

    @property
    def name(self) -> str:
        """Its name in `touchline.yaml`."""

    @property
    def connector(self) -> Reader:
        """What reads its requests, or its rows."""

    @property
    def policy(self) -> SourcePolicy:
        """What the configuration says about all of its touches."""

    @property
    def plan(self) -> Plan | None:
        """The tracking plan that its events are compared with."""


class GatewayMetrics(Protocol):
    """What the gateway counts. Labels are names from the configuration or from code."""

    def received(self, source: str, connector: str, events: int) -> None:
        """Events read from verified requests, accepted or not."""

    def accepted(self, source: str, connector: str, events: int) -> None:
        """Events acknowledged by Kafka."""

    def rejected(self, source: str, connector: str, reason: str, events: int) -> None:
        """Events refused, stored among the rejected."""

    def violated(self, source: str, planned_type: str, action: str) -> None:
        """An event that differs from the plan; `planned_type` as the plan names it, or ''."""

    def published(self, seconds: float, acknowledged: bool) -> None:
        """One publish, until Kafka's acknowledgement or the failure."""

    def request(self, route: str, method: str, status: int, seconds: float) -> None:
        """One request; `route` is the template of its path."""


class NoMetrics:
    """Counts nothing."""

    def received(self, source: str, connector: str, events: int) -> None:
        """See `GatewayMetrics`."""

    def accepted(self, source: str, connector: str, events: int) -> None:
        """See `GatewayMetrics`."""

    def rejected(self, source: str, connector: str, reason: str, events: int) -> None:
        """See `GatewayMetrics`."""

    def violated(self, source: str, planned_type: str, action: str) -> None:
        """See `GatewayMetrics`."""

    def published(self, seconds: float, acknowledged: bool) -> None:
        """See `GatewayMetrics`."""

    def request(self, route: str, method: str, status: int, seconds: float) -> None:
        """See `GatewayMetrics`."""


def _new_id() -> str:
    return str(uuid.uuid4())


@dataclass(frozen=True, slots=True)
class Ports:
    """What the gateway needs from outside."""

    publisher: Publisher
    metrics: GatewayMetrics = field(default_factory=NoMetrics)
    #: The text of /metrics, for Prometheus; None: there is no such path.
    metrics_text: Callable[[], bytes] | None = None
    #: None admits a request; otherwise the seconds after which the sender should come again.
    admission: Callable[[], float | None] = lambda: None
    #: The time of receipt, milliseconds UTC.
    now_ms: Callable[[], int] = times.now_ms
    #: Seconds of a clock that never goes back.
    monotonic: Callable[[], float] = time.monotonic
    #: Gets what connectors need from their providers' sites; raises FetchFailed.
    get: Get = field(default_factory=HttpsGet)
    #: Ids of refusals and requests: uuid as text.
    new_id: Callable[[], str] = _new_id
