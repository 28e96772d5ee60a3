"""The processing of every request: verify, parse, accept, publish once, count.

No request is answered before Kafka has what was accepted *and* what was refused.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import NamedTuple

from aiohttp import web

from ingest.connector import Request
from ingest.gateway.body import Body, Lease, read_body
from ingest.gateway.config import GatewayConfig, Ports, Source
from ingest.gateway.limits import Budget, Rates
from ingest.gateway.proxies import Proxies
from ingest.gateway.sources import Sources
from ingest.intake.accept import Accepted
from ingest.intake.evaluate import judged, refused
from ingest.intake.replay_context import Origins
from ingest.intake.violations import Violated
from ingest.publishing.port import NotAcknowledged, Refused
from schemas.rejection import Rejection
from schemas.violation import Violations

#: Longest time for which a large body is processed before the event loop serves others.
_SLICE_S = 0.01


class Verdict(NamedTuple):
    """The result of one event: its id if it is known, and the rejection if it was refused."""

    event_id: str | None
    rejection: Rejection | None


@dataclass(slots=True)
class Outcome:
    """The results of a request's events, in their order."""

    verdicts: list[Verdict] = field(default_factory=list)
    accepted: list[Accepted] = field(default_factory=list)
    rejected: list[Rejection] = field(default_factory=list)
    #: The differences from the tracking plan, of accepted and of rejected events.
    violations: list[Violations] = field(default_factory=list)

    @property
    def refusal(self) -> Rejection | None:
        """The rejection of a request that held nothing else: its body, or its one event."""
        return self.verdicts[0].rejection if len(self.verdicts) == 1 else None

    def add(self, result: Accepted | Rejection) -> None:
        """Add the result of the next event."""
        if isinstance(result, Rejection):
            self.rejected.append(result)
            self.verdicts.append(Verdict(result.event_id, result))
        else:
            self.accepted.append(result)
            self.verdicts.append(Verdict(result.event_id, None))
        if result.violations is not None:
            self.violations.append(result.violations)


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


class Intake:
    """The processing of a request from its bytes to Kafka."""

    def __init__(self, config: GatewayConfig, sources: Sources, ports: Ports, rates: Rates) -> None:
        self.config = config
        self.sources = sources
        self.ports = ports
        self._rates = rates
        self._budget = Budget(config.max_bodies_bytes)
        self._proxies = Proxies(config.trusted_proxies)
        self._violated = Violated(ports.monotonic)

    def lease(self) -> Lease:
        """Return the memory of one request's body; a context manager around its processing."""
        return Lease(self._budget)

    async def body(self, request: web.Request, lease: Lease) -> Body:
        """Return the body within its limits (`ingest.gateway.body.read_body`)."""
        return await read_body(request, self.config, lease)

    def base_url(self, request: web.Request) -> str:
        """Return the gateway's public address, without a slash at its end."""
        return (self.config.public_url or self._proxies.origin(request)).rstrip("/")

    def request(self, request: web.Request, body: bytes, path: str | None = None) -> Request:
        """Return the request as connectors see it; `path` where a short path stands for another."""
        return Request(
            method=request.method,
            path=path or request.rel_url.raw_path,
            query=request.rel_url.raw_query_string,
            url=self.base_url(request) + request.raw_path,
            headers={name.lower(): value for name, value in request.headers.items()},
            body=body,
        )

    def admit(self, source: Source) -> None:
        """Raise RateLimited when the source has sent more than its rate."""
        wait_s = self._rates.wait_s(source.name)
        if wait_s is not None:
            raise RateLimited(wait_s)

    async def take(self, source: Source, request: Request, body: Body) -> Outcome:
        """Publish the events of a verified request; return their outcome.

        Raises RateLimited before anything is done, NotAcknowledged when Kafka does not have them.
        """
        self.admit(source)
        # A request counts as at least one event, and before the next one is admitted.
        self._rates.count(source.name, 1)
        received_ms = self.ports.now_ms()
        outcome = Outcome()
        if body.problem is not None:
            outcome.add(body.problem)
        else:
            await self._read(source, request, received_ms, outcome)
        self._rates.count(source.name, max(0, len(outcome.verdicts) - 1))
        origins = Origins(source.name, source.connector, request, body.problem)
        await self._publish(source, outcome, received_ms, origins)
        return outcome

    async def _read(
        self, source: Source, request: Request, received_ms: int, outcome: Outcome
    ) -> None:
        pace = _Pace(self.ports.monotonic)
        for result in judged(source, request, received_ms, self.config):
            outcome.add(result)
            await pace.step()

    async def _publish(
        self, source: Source, outcome: Outcome, received_ms: int, origins: Origins
    ) -> None:
        rows: list[Refused] = []
        pace = _Pace(self.ports.monotonic)
        for rejection in outcome.rejected:
            rows.append(
                refused(
                    rejection,
                    origins,
                    rejected_id=self.ports.new_id(),
                    received_ms=received_ms,
                    max_kept_bytes=self.config.max_kept_bytes,
                )
            )
            await pace.step()
        for violations in outcome.violations:
            rows += self._violated.records(source.name, violations, received_ms)
            await pace.step()
        if outcome.verdicts:
            started = self.ports.monotonic()
            acknowledged = False
            try:
                await self.ports.publisher.publish(outcome.accepted, rows)
                acknowledged = True
            finally:
                self.ports.metrics.published(self.ports.monotonic() - started, acknowledged)
        self._count(source, outcome)

    def _count(self, source: Source, outcome: Outcome) -> None:
        metrics, connector = self.ports.metrics, source.connector.name
        metrics.received(source.name, connector, len(outcome.verdicts))
        metrics.accepted(source.name, connector, len(outcome.accepted))
        for rejection in outcome.rejected:
            metrics.rejected(source.name, connector, rejection.reason, 1)
        for violations in outcome.violations:
            metrics.violated(source.name, violations.planned_type, violations.action)


__all__ = ["Intake", "NotAcknowledged", "Outcome", "RateLimited", "Verdict"]
