"""`touchline gateway`."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Iterator
from dataclasses import replace

import click
import structlog

from deploy.cli.options import configuration, stop_signal
from deploy.config.identity_policy import order_problem
from deploy.config.settings import Configuration, Settings
from deploy.kafka.control import Control, Present, watch
from deploy.kafka.lag import BrokerLags
from deploy.local.admission import Backlog
from deploy.runtime import factories, metrics
from deploy.runtime.garbage_collection import collect_rarely
from ingest.gateway.app import run_gateway
from ingest.gateway.config import Ports
from ingest.publishing.kafka import KafkaPublisher, KafkaPublisherConfig
from ingest.publishing.switching import SwitchingPublisher
from schemas.topics import TOUCHPOINTS, TRAILS, full_name

EMBEDDED_LINGER_S = 0.025
_log = structlog.get_logger(__name__)


@click.command()
@click.pass_context
def command(context: click.Context) -> None:
    """Run the HTTP gateway until SIGTERM or SIGINT."""
    asyncio.run(_run(configuration(context, "gateway")))


async def _run(loaded: Configuration) -> None:
    settings = loaded.settings
    sources = factories.gateway_sources(loaded)
    publisher = SwitchingPublisher()
    metrics.build_info()
    counters = metrics.GatewayCounters()
    following = asyncio.create_task(_follow(settings, publisher, counters))
    try:
        with _admission(settings) as admission:
            ports = Ports(publisher, counters, metrics.text, admission)
            await run_gateway(
                factories.gateway_config(settings),
                sources,
                ports,
                stop_signal(),
                started=lambda _: collect_rarely(),
            )
    finally:
        following.cancel()


async def _follow(
    settings: Settings, publisher: SwitchingPublisher, counters: metrics.GatewayCounters
) -> None:
    """Publish to the topics of the present epoch, and change over when another becomes present."""
    loop = asyncio.get_running_loop()
    found: asyncio.Queue[Present] = asyncio.Queue()

    def changed(control: Control) -> None:
        if control.present is not None:
            with contextlib.suppress(RuntimeError):  # the loop has ended
                loop.call_soon_threadsafe(found.put_nowait, control.present)

    watch(settings.kafka, settings.namespace, changed)
    namespace = None
    while True:
        present = await found.get()
        if problem := order_problem(settings.identity.policy(), present.policy):
            _log.error("identity_order_differs", detail=problem)
            publisher.refuse(problem)
        elif present.namespace != namespace:
            namespace = present.namespace
            config = _publishing(settings, namespace)
            await publisher.change(KafkaPublisher(config, bounded=counters.bounded))


def _publishing(settings: Settings, namespace: str) -> KafkaPublisherConfig:
    config = KafkaPublisherConfig(factories.kafka_connection(settings, namespace))
    # The embedded broker gives a reader one record set at a time, so record sets should be large.
    return replace(config, linger_s=EMBEDDED_LINGER_S) if settings.kafka.embedded else config


@contextlib.contextmanager
def _admission(settings: Settings) -> Iterator[Callable[[], float | None]]:
    """Yield the admission check, which refuses only while the embedded broker is too full."""
    if not settings.kafka.embedded:
        yield lambda: None
        return
    from deploy.runtime.stages import readers  # noqa: PLC0415 - loads Faust, for the embedded stack only

    lags = BrokerLags(settings.kafka, readers(settings, settings.namespace))
    source, between = (full_name(settings.namespace, t.name) for t in (TOUCHPOINTS, TRAILS))
    backlog = Backlog(lags, source, between)
    backlog.look()
    backlog.start()
    try:
        yield backlog.admission
    finally:
        backlog.stop()
        lags.close()
