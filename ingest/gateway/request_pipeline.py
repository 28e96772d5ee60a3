"""The processing of every request: evaluate, publish once, count.

Nothing is answered before Kafka has what was accepted *and* what was rejected.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import NamedTuple

from aiohttp import web

from ingest.connector import Request
from ingest.gateway.body import Lease, read_body
from ingest.gateway.config import GatewayConfig, Ports, Source
from ingest.gateway.limits import Budget, Rates
from ingest.gateway.proxies import Proxies
from ingest.gateway.sources import Sources
from ingest.gateway.unauthorized import UnauthorizedRequests
from ingest.intake.accept import Accepted
from ingest.intake.decompression import Body
from ingest.intake.evaluate import evaluate, rejection_message
from ingest.intake.replay_context import Origins
from ingest.intake.violations import ViolationRecorder
from ingest.publishing.port import Message
from schemas.rejection import Rejection
from schemas.violation import Violations

#: Longest time for which a large body is processed before the event loop serves others.
_SLICE_S = 0.01


class EventResult(NamedTuple):
    """The result of one event: its id if it is known, and the rejection if it was refused."""

    event_id: str | None
    rejection: Rejection | None


@dataclass(slots=True)
class RequestResult:
    """The results of a request's events, in their order."""

    events: list[EventResult] = field(default_factory=list)
    accepted: list[Accepted] = field(default_factory=list)
    rejected: list[Rejection] = field(default_factory=list)
    #: The differences from the tracking plan, of accepted and of rejected events.
    violations: list[Violations] = field(default_factory=list)

    @property
    def refusal(self) -> Rejection | None:
        """The rejection of a request that held nothing else: its body, or its one event."""
        return self.events[0].rejection if len(self.events) == 1 else None

    def add(self, event: Accepted | Rejection) -> None:
        """Add the result of the next event."""
        if isinstance(event, Rejection):
            self.rejected.append(event)
            self.events.append(EventResult(event.event_id, event))
        else:
            self.accepted.append(event)
            self.events.append(EventResult(event.event_id, None))
        if event.violations is not None:
            self.violations.append(event.violations)


class Denied(Exception):
    """The request is answered with an error, and nothing of it is stored.

    `challenge`: the scheme of WWW-Authenticate, if any.
    """

    def __init__(self, status: int, message: str, challenge: str = "") -> None:
        super().__init__(message)
        self.status = status
        self.challenge = challenge


class RateLimited(Exception):
    """The source has sent more than its rate; `retry_after` in seconds."""

    def __init__(self, retry_after: float) -> None:
        super().__init__()
        self.retry_after = retry_after


class _Pace:
    """A time slice: it lets others run while a long request is processed."""

    def __init__(self, monotonic: Callable[[], float]) -> None:
        self._monotonic = monotonic
        self._until = monotonic() + _SLICE_S

    async def step(self) -> None:
        """Give way when the slice is used up; called between two pieces of work."""
        if self._monotonic() > self._until:
            await asyncio.sleep(0)
            self._until = self._monotonic() + _SLICE_S


class RequestPipeline:
    """The processing of a request from its bytes to Kafka."""

    def __init__(self, config: GatewayConfig, sources: Sources, ports: Ports, rates: Rates) -> None:
        self.config = config
        self.sources = sources
        self.ports = ports
        self._rates = rates
        self._budget = Budget(config.max_bodies_bytes)
        self._proxies = Proxies(config.trusted_proxies)
        self._violations = ViolationRecorder(ports.monotonic)
        self.unauthorized = UnauthorizedRequests(ports.metrics, ports.monotonic)

    def lease(self) -> Lease:
        """Return the memory of one request's body; a context manager around its processing."""
        return Lease(self._budget)

    async def body(self, request: web.Request, lease: Lease) -> Body:
        """Return the body within its limits (`ingest.gateway.body.read_body`)."""
        return await read_body(request, self.config, lease)

    def base_url(self, request: web.Request) -> str:
        """Return the gateway's public address, without a slash at its end."""
        return (self.config.public_url or self._proxies.origin(request)).rstrip("/")

    def request(self, request: web.Request, body: bytes = b"", path: str = "") -> Request:
        """Return the request as connectors see it; `path` where a short path stands for another."""
        return Request(
            method=request.method,
            path=path or request.rel_url.raw_path,
            query=request.rel_url.raw_query_string,
            url=self.base_url(request) + request.raw_path,
            headers={name.lower(): value for name, value in request.headers.items()},
            body=body,
        )

    def check_rate(self, source: Source) -> None:
        """Raise RateLimited when the source has sent more than its rate. Counts nothing."""
        wait_s = self._rates.wait_s(source.name)
        if wait_s is not None:
            raise RateLimited(wait_s)

    def count(self, source: Source) -> None:
        """Count a request, as one event, before the next one is let in.

        Only a request that has shown whose it is counts: nobody else can use up a source's rate.
        """
        self._rates.count(source.name, 1)

    def admit(self, source: Source) -> None:
        """Count a request whose key is known. Raises RateLimited as `check_rate` does."""
        self.check_rate(source)
        self.count(source)

    async def process(self, source: Source, request: Request, body: Body) -> RequestResult:
        """Evaluate the events of a verified request that is counted, and publish them.

        Raises NotAcknowledged when Kafka does not have them.
        """
        received_ms = self.ports.now_ms()
        result = RequestResult()
        if body.problem is not None:
            result.add(body.problem)
        else:
            await self._evaluate(source, request, received_ms, result)
        self._rates.count(source.name, max(0, len(result.events) - 1))
        origins = Origins(source.name, source.connector, request, body.problem)
        messages = await self._messages(source, result, received_ms, origins)
        # Kafka may take seconds, and decoded values are several times as large as the body.
        request.forget()
        if result.events:
            await self._publish(messages)
        self._measure(source, result)
        return result

    async def _evaluate(
        self, source: Source, request: Request, received_ms: int, result: RequestResult
    ) -> None:
        pace = _Pace(self.ports.monotonic)
        for event in evaluate(source, request, received_ms, self.config.limits):
            result.add(event)
            await pace.step()

    async def _messages(
        self, source: Source, result: RequestResult, received_ms: int, origins: Origins
    ) -> list[Message]:
        messages = [one.message for one in result.accepted]
        pace = _Pace(self.ports.monotonic)
        for rejection in result.rejected:
            messages.append(
                rejection_message(
                    rejection,
                    origins,
                    rejected_id=self.ports.new_id(),
                    received_ms=received_ms,
                    max_kept_bytes=self.config.limits.max_kept_bytes,
                )
            )
            await pace.step()
        for violations in result.violations:
            messages += self._violations.messages(source.name, violations, received_ms)
            await pace.step()
        return messages

    async def _publish(self, messages: list[Message]) -> None:
        started = self.ports.monotonic()
        acknowledged = False
        try:
            await self.ports.publisher.publish(messages)
            acknowledged = True
        finally:
            self.ports.metrics.published(self.ports.monotonic() - started, acknowledged)

    def _measure(self, source: Source, result: RequestResult) -> None:
        metrics, connector = self.ports.metrics, source.connector.name
        metrics.received(source.name, connector, len(result.events))
        metrics.accepted(source.name, connector, len(result.accepted))
        for rejection in result.rejected:
            metrics.rejected(source.name, connector, rejection.reason, 1)
        for violations in result.violations:
            metrics.violated(source.name, violations.planned_type, violations.action)
