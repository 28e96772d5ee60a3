"""What happens to every request: verify, parse, accept, publish once, count.

Nothing is answered before Kafka has what was accepted *and* what was refused.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from typing import NamedTuple

import structlog
from aiohttp import web

from ingest.accept import Accepted, accept
from ingest.connector import Context, Request, Result, original
from ingest.gateway.body import Body, Lease, depth, read_body
from ingest.gateway.config import GatewayConfig, Ports, Source
from ingest.gateway.limits import Budget, Rates
from ingest.gateway.sources import Sources
from ingest.publisher import NotAcknowledged, Refused
from schemas.rejection import Rejection, rejected_row

log = structlog.get_logger(__name__)

#: The event loop serves others at least this often while a large body is worked on.
_SLICE_S = 0.01
#: Deeper than this no connector gets to see it: most decoders recurse, and would fail.
_DECODABLE_DEPTH = 500


class Verdict(NamedTuple):
    """What became of one event: its id where it is known, and the rejection if it was refused."""

    event_id: str | None
    rejection: Rejection | None


@dataclass(slots=True)
class Outcome:
    """What became of a request's events, in their order."""

    verdicts: list[Verdict] = field(default_factory=list)
    accepted: list[Accepted] = field(default_factory=list)
    rejected: list[Rejection] = field(default_factory=list)

    @property
    def refusal(self) -> Rejection | None:
        """The rejection of a request that held nothing else: its body, or its one event."""
        return self.verdicts[0].rejection if len(self.verdicts) == 1 else None

    def add(self, result: Accepted | Rejection) -> None:
        """The next event."""
        if isinstance(result, Rejection):
            self.rejected.append(result)
            self.verdicts.append(Verdict(result.event_id, result))
        else:
            self.accepted.append(result)
            self.verdicts.append(Verdict(result.event_id, None))


class RateLimited(Exception):
    """The source has sent more than its rate; `retry_after` in seconds."""

    def __init__(self, retry_after: float) -> None:
        super().__init__()
        self.retry_after = retry_after


class _Pace:
    """Lets others run while a long request is worked on."""

    def __init__(self, monotonic: Callable[[], float]) -> None:
        self._monotonic = monotonic
        self._until = monotonic() + _SLICE_S

    async def step(self) -> None:
        """Called between two pieces of work; gives way when the slice is used up."""
        if self._monotonic() > self._until:
            await asyncio.sleep(0)
            self._until = self._monotonic() + _SLICE_S


class Intake:
    """The way of a request from its bytes to Kafka."""

    def __init__(self, config: GatewayConfig, sources: Sources, ports: Ports, rates: Rates) -> None:
        self.config = config
        self.sources = sources
        self.ports = ports
        self._rates = rates
        self._budget = Budget(config.max_bodies_bytes)

    def lease(self) -> Lease:
        """Memory for one request's body; a context manager around all that is done with it."""
        return Lease(self._budget)

    async def body(self, request: web.Request, lease: Lease) -> Body:
        """The body within its limits (`ingest.gateway.body.read_body`)."""
        return await read_body(request, self.config, lease)

    def base_url(self, request: web.Request) -> str:
        """The gateway's address as the world calls it, without a slash at its end."""
        return (self.config.public_url or f"{request.scheme}://{request.host}").rstrip("/")

    def request(self, request: web.Request, body: bytes, path: str | None = None) -> Request:
        """The request as connectors see it; `path` where a short path stands for another."""
        return Request(
            method=request.method,
            path=path or request.rel_url.raw_path,
            query=request.rel_url.raw_query_string,
            url=self.base_url(request) + request.raw_path,
            headers={name.lower(): value for name, value in request.headers.items()},
            body=body,
        )

    async def take(self, source: Source, request: Request, body: Body) -> Outcome:
        """The events of a verified request, published.

        Raises RateLimited before anything is done, NotAcknowledged when Kafka does not have them.
        """
        wait_s = self._rates.wait_s(source.name)
        if wait_s is not None:
            raise RateLimited(wait_s)
        received_ms = self.ports.now_ms()
        outcome = Outcome()
        if body.problem is not None:
            outcome.add(body.problem)
        else:
            await self._read(source, request, received_ms, outcome)
        self._rates.count(source.name, len(outcome.verdicts))
        await self._publish(source, outcome, received_ms)
        return outcome

    async def _read(
        self, source: Source, request: Request, received_ms: int, outcome: Outcome
    ) -> None:
        level = depth(request.body, _DECODABLE_DEPTH) if request.body[:1] in _JSON_STARTS else 0
        if level > _DECODABLE_DEPTH:
            detail = f"the body is nested deeper than {_DECODABLE_DEPTH} levels"
            outcome.add(Rejection("unreadable", detail, request.body))
            return
        context = Context(source.name, received_ms, source.policy.currency, self.config.max_events)
        results = source.connector.parse(request, context)
        try:
            await self._accept_all(
                source, results, received_ms, outcome, check_depth=level > self.config.max_depth
            )
        except Exception as error:
            # A bug in the connector. What it choked on is kept, and can be replayed once mended.
            log.exception("connector_failed", connector=source.connector.name, source=source.name)
            outcome.add(
                Rejection(
                    "processing_failed",
                    f"connector {source.connector.name} failed ({type(error).__name__})",
                    request.body,
                )
            )

    async def _accept_all(
        self,
        source: Source,
        results: Iterable[Result],
        received_ms: int,
        outcome: Outcome,
        *,
        check_depth: bool,
    ) -> None:
        pace = _Pace(self.ports.monotonic)
        for result in results:
            outcome.add(self._judge(source, result, received_ms, check_depth))
            await pace.step()

    def _judge(
        self, source: Source, result: Result, received_ms: int, check_depth: bool
    ) -> Accepted | Rejection:
        if isinstance(result, Rejection):
            return result
        if check_depth:
            payload = original(result)
            if depth(payload, self.config.max_depth) > self.config.max_depth:
                return replace(self._too_deep(payload), event_id=result.event_id)
        return accept(result, source.policy, received_ms, lambda: original(result))

    def _too_deep(self, payload: bytes) -> Rejection:
        detail = f"the event is nested deeper than {self.config.max_depth} levels"
        return Rejection("invalid", detail, payload)

    async def _publish(self, source: Source, outcome: Outcome, received_ms: int) -> None:
        refused: list[Refused] = []
        pace = _Pace(self.ports.monotonic)
        for rejection in outcome.rejected:
            refused.append(self._row(source, rejection, received_ms))
            await pace.step()
        if outcome.verdicts:
            started = self.ports.monotonic()
            acknowledged = False
            try:
                await self.ports.publisher.publish(outcome.accepted, refused)
                acknowledged = True
            finally:
                self.ports.metrics.published(self.ports.monotonic() - started, acknowledged)
        self._count(source, outcome)

    def _row(self, source: Source, rejection: Rejection, received_ms: int) -> Refused:
        rejected_id = self.ports.new_id()
        rejection = replace(rejection, detail=printable(rejection.detail))
        size, limit = len(rejection.payload), self.config.max_kept_bytes
        if size > limit:
            rejection = replace(
                rejection,
                payload=rejection.payload[:limit],
                detail=f"{rejection.detail} (kept: the first {limit} of {size} bytes)",
            )
        row = rejected_row(
            rejection,
            rejected_id=rejected_id,
            source=source.name,
            connector=source.connector.name,
            received_ms=received_ms,
        )
        return Refused(rejected_id.encode(), row)

    def _count(self, source: Source, outcome: Outcome) -> None:
        metrics, connector = self.ports.metrics, source.connector.name
        metrics.received(source.name, connector, len(outcome.verdicts))
        metrics.accepted(source.name, connector, len(outcome.accepted))
        for rejection in outcome.rejected:
            metrics.rejected(source.name, connector, rejection.reason, 1)


def printable(text: str) -> str:
    """Text that JSON can carry: names of fields and ids from headers may hold half characters."""
    return text.encode("utf-8", "replace").decode()


_JSON_STARTS = (b"{", b"[", b" ", b"\n", b"\r", b"\t")

__all__ = ["Intake", "NotAcknowledged", "Outcome", "RateLimited", "Verdict"]
