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
from ingest.gateway.cors import Cors
from ingest.gateway.events_api import EventsApi
from ingest.gateway.ga4_api import Ga4Api
from ingest.gateway.health import Health
from ingest.gateway.hooks import Hooks
from ingest.gateway.limits import Rates
from ingest.gateway.request_pipeline import RequestPipeline
from ingest.gateway.segment_api import FAMILY as SEGMENT
from ingest.gateway.segment_api import SegmentApi
from ingest.gateway.snowplow_api import FAMILY as SNOWPLOW
from ingest.gateway.snowplow_api import SnowplowApi
from ingest.gateway.sources import Sources

log = structlog.get_logger(__name__)
_FAMILIES = (SEGMENT, SNOWPLOW)
#: The connectors to whose sources web pages may send.
BROWSER_CONNECTORS = frozenset(family.connector for family in _FAMILIES)

#: Connections that the system holds until they are accepted.
_BACKLOG = 1024


def make_app(
    config: GatewayConfig, sources: Sequence[Source], ports: Ports, health: Health
) -> web.Application:
    """Return the application: every path of the contract. Raises ValueError on clashing sources."""
    rates = Rates(sources, ports.monotonic)
    pipeline = RequestPipeline(config, Sources(sources), ports, rates)
    cors = Cors(_FAMILIES, sources)
    app = web.Application(middlewares=[Access(config, ports, cors).middleware()])
    families = (
        SegmentApi(pipeline),
        SnowplowApi(pipeline),
        Ga4Api(pipeline),
        EventsApi(pipeline),
        Hooks(pipeline),
        health,
    )
    for family in families:
        app.router.add_routes(family.routes())
    return app


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
