"""/healthz, /readyz and /metrics, for operators."""

from __future__ import annotations

from aiohttp import web

from ingest.gateway import replies
from ingest.gateway.config import Ports

#: Paths that operators' tools ask for every few seconds.
PROBES = frozenset({"/healthz", "/readyz", "/metrics"})
_PROMETHEUS = "text/plain; version=0.0.4; charset=utf-8"


class Health:
    """The handlers for operators. `stopping` is set when the gateway has begun to stop."""

    def __init__(self, ports: Ports) -> None:
        self._ports = ports
        self.stopping = False

    def routes(self) -> list[web.RouteDef]:
        """Return the routes of this family."""
        return [
            web.get("/healthz", self.healthz),
            web.get("/readyz", self.readyz),
            *([web.get("/metrics", self.metrics)] if self._ports.metrics_text else []),
        ]

    async def healthz(self, _: web.Request) -> web.StreamResponse:
        """Answer 200: the process serves requests."""
        return replies.json_reply(200, {"status": "ok"})

    async def readyz(self, _: web.Request) -> web.StreamResponse:
        """Answer 200 if events would be accepted now, otherwise 503 with the reason."""
        problem = "the gateway is stopping" if self.stopping else self._ports.publisher.problem
        if problem is None:
            return replies.json_reply(200, {"status": "ready"})
        return replies.json_reply(503, {"status": "not ready", "reason": problem})

    async def metrics(self, _: web.Request) -> web.StreamResponse:
        """Answer with the process's metrics for Prometheus."""
        text = self._ports.metrics_text() if self._ports.metrics_text else b""
        return web.Response(body=text, headers={"Content-Type": _PROMETHEUS})
