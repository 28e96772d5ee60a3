"""`touchline gateway`."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Iterator
from dataclasses import replace

import click

from deploy import metrics, wiring
from deploy.commands import configuration, stop_signal
from deploy.lag import BrokerLags
from deploy.local.backlog import Backlog
from deploy.settings import Configuration, Settings
from ingest.gateway.app import run_gateway
from ingest.gateway.config import Ports
from ingest.kafka_publisher import KafkaPublisher, KafkaPublisherConfig
from schemas.topics import TOUCHPOINTS, TRAILS, full_name

EMBEDDED_LINGER_S = 0.025


@click.command()
@click.pass_context
def command(context: click.Context) -> None:
    """Run the HTTP gateway until SIGTERM or SIGINT."""
    asyncio.run(_run(configuration(context, "gateway")))


async def _run(loaded: Configuration) -> None:
    settings = loaded.settings
    sources = wiring.gateway_sources(loaded)
    publisher = KafkaPublisher(_publishing(settings))
    metrics.build_info()
    with _admission(settings) as admission:
        ports = Ports(publisher, metrics.GatewayCounters(), metrics.text, admission)
        await run_gateway(wiring.gateway_config(settings), sources, ports, stop_signal())


def _publishing(settings: Settings) -> KafkaPublisherConfig:
    config = KafkaPublisherConfig(wiring.kafka_connection(settings))
    # The embedded broker gives a reader one record set at a time, so they had better be large.
    return replace(config, linger_s=EMBEDDED_LINGER_S) if settings.kafka.embedded else config


@contextlib.contextmanager
def _admission(settings: Settings) -> Iterator[Callable[[], float | None]]:
    """Whether to take a request: always, but for the embedded broker, which can overflow."""
    if not settings.kafka.embedded:
        yield lambda: None
        return
    from deploy.stages import readers  # noqa: PLC0415 - loads Faust, for the embedded stack only

    lags = BrokerLags(settings.kafka, readers(settings))
    source, between = (full_name(settings.namespace, t.name) for t in (TOUCHPOINTS, TRAILS))
    backlog = Backlog(lags, source, between)
    backlog.look()
    backlog.start()
    try:
        yield backlog.admission
    finally:
        backlog.stop()
        lags.close()
