"""The gateway as a process: routes, start, and a stop that loses nothing."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import cast

import structlog
from aiohttp import web

from ingest.gateway.access import Access, server_log
from ingest.gateway.config import GatewayConfig, Ports, Source
from ingest.gateway.connection_limit import ConnectionLimit
from ingest.gateway.cors import CorsHeaders
from ingest.gateway.health import Health
from ingest.gateway.hooks import Hooks
from ingest.gateway.keyed import KeyedPaths
from ingest.gateway.limits import Rates
from ingest.gateway.request_pipeline import RequestPipeline
from ingest.gateway.sources import Sources
from ingest.gateway.verification import Verification

log = structlog.get_logger(__name__)
#: Connections that the system holds until they are accepted.
_BACKLOG = 1024


def make_app(
    config: GatewayConfig, sources: Sequence[Source], ports: Ports, health: Health
) -> web.Application:
    """Return the application: every path of the contract.

    Raises SourcesClash for sources, or paths of their connectors, that clash.
    """
    known = Sources(sources)
    pipeline = RequestPipeline(config, known, ports, Rates(sources, ports.monotonic))
    verification = Verification(sources, ports, config.max_tokens)
    access = Access(config, ports, CorsHeaders(known.protocols, sources))
    app = web.Application(middlewares=[access.middleware()])
    for protocol in known.protocols:
        app.router.add_routes(_with_slash(KeyedPaths(protocol, pipeline, verification).routes()))
    app.router.add_routes(_with_slash(Hooks(pipeline, verification).routes()))
    app.router.add_routes(health.routes())
    return app


def _with_slash(routes: list[web.RouteDef]) -> list[web.RouteDef]:
    """Return the routes, with the same paths with a slash at their end: senders write both."""
    declared = {(route.method, route.path) for route in routes}
    with_slash = [
        web.RouteDef(route.method, f"{route.path}/", route.handler, route.kwargs)
        for route in routes
        if not route.path.endswith("/") and (route.method, f"{route.path}/") not in declared
    ]
    return [*routes, *with_slash]


async def run_gateway(
    config: GatewayConfig,
    sources: Sequence[Source],
    ports: Ports,
    stop: asyncio.Event,
    *,
    started: Callable[[str], None] = lambda url: None,
) -> None:
    """Serve until `stop` is set.

    Listens whether Kafka is there or not; `started` is called with the address once it does (port
    0 in the configuration: a free one). On stop: no new connections, running requests finish,
    what they published is flushed, within `config.stop_s`. Raises OSError if the port is taken.
    """
    health = Health(ports)
    app = make_app(config, sources, ports, health)
    runner = web.AppRunner(
        app,
        access_log=None,
        logger=server_log(),
        handle_signals=False,
        # The bytes stay as they were sent: signatures cover them, and limits are ours.
        auto_decompress=False,
        keepalive_timeout=config.idle_s,
        lingering_time=config.linger_s,
        # Requests get the larger part of the time to finish, the publisher's flush the rest.
        shutdown_timeout=config.stop_s * 0.7,
    )
    await ports.publisher.start()
    listening: asyncio.Server | None = None
    try:
        await runner.setup()
        server = cast(web.Server, runner.server)  # there is one once it is set up
        listening = await asyncio.get_running_loop().create_server(
            ConnectionLimit(server, config), config.host, config.port, backlog=_BACKLOG
        )
        host, port = listening.sockets[0].getsockname()[:2]
        url = f"http://{host}:{port}"
        log.info("gateway_listening", url=url, sources=len(sources))
        started(url)
        await stop.wait()
        health.stopping = True
        log.info("gateway_stopping")
    finally:
        if listening is not None:
            listening.close()
        await runner.cleanup()
        await ports.publisher.stop(config.stop_s * 0.3)
    log.info("gateway_stopped")
