"""The process of the HTTP gateway: it publishes to the topics of the present epoch."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace

import structlog
from prometheus_client import REGISTRY

from deploy.config.identity_policy import order_problem
from deploy.config.settings import Configuration, Settings
from deploy.kafka.admission import Backlog
from deploy.kafka.clients import kafka_connection
from deploy.kafka.control import Control, Generation, watch
from deploy.kafka.lag import BrokerLags
from deploy.kafka.reachability import UNREACHABLE, BrokerCheck
from deploy.kafka.topology import readers
from deploy.runtime.consumer_lag import ConsumerLagWatch
from deploy.runtime.factories.gateway import gateway_config, gateway_sources
from deploy.runtime.garbage_collection import tune_garbage_collection
from deploy.runtime.health import Dependency, DependencyWatch, Health
from deploy.runtime.metrics.catalogue import DEPENDENCY_UP, READY
from deploy.runtime.metrics.counters import GatewayCounters
from deploy.runtime.metrics.exposition import build_info, text
from deploy.runtime.signals import async_stop_event
from ingest.connector import KeyedConnector
from ingest.gateway.app import run_gateway
from ingest.gateway.config import Ports, Source
from ingest.publishing.kafka import KafkaPublisher, KafkaPublisherConfig
from ingest.publishing.switching import SwitchingPublisher
from schemas.topics import TOUCHPOINTS, TRAILS, full_name

EMBEDDED_LINGER_S = 0.025
_log = structlog.get_logger(__name__)


def run(configuration: Configuration) -> None:
    """Run the gateway in this process until SIGTERM or SIGINT. Raises `ConfigurationError`."""
    asyncio.run(_serve(configuration))


async def _serve(configuration: Configuration) -> None:
    settings = configuration.settings
    sources = gateway_sources(configuration)
    publisher = SwitchingPublisher()
    counters = _counters(sources, publisher)
    lag = ConsumerLagWatch(settings.kafka)
    following = asyncio.create_task(_follow(settings, publisher, counters, lag))
    try:
        with _admission(settings) as admission, _kafka_watch(settings), lag:
            ports = Ports(publisher, counters, text, admission)
            await run_gateway(
                gateway_config(settings),
                sources,
                ports,
                async_stop_event(),
                started=lambda _: tune_garbage_collection(),
            )
    finally:
        following.cancel()


def _counters(sources: Sequence[Source], publisher: SwitchingPublisher) -> GatewayCounters:
    build_info()
    READY.make(REGISTRY).set_function(lambda: publisher.problem is None)
    names = [(source.name, source.connector.name) for source in sources]
    keyed = {one.connector.name for one in sources if isinstance(one.connector, KeyedConnector)}
    return GatewayCounters(sources=names, keyed=keyed)


def _kafka_watch(settings: Settings) -> DependencyWatch:
    kafka = Dependency("Kafka", BrokerCheck(settings.kafka), UNREACHABLE)
    # Ready is what the publisher says: it may be refused for other reasons too.
    return DependencyWatch(Health(), kafka, DEPENDENCY_UP.make(REGISTRY))


async def _follow(
    settings: Settings,
    publisher: SwitchingPublisher,
    counters: GatewayCounters,
    lag: ConsumerLagWatch,
) -> None:
    """Publish to the topics of the present epoch, and change over when another becomes present."""
    loop = asyncio.get_running_loop()
    found: asyncio.Queue[Generation] = asyncio.Queue()

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
            lag.follow(namespace)
            config = _publishing(settings, namespace)
            await publisher.change(KafkaPublisher(config, bounded=counters.bounded))


def _publishing(settings: Settings, namespace: str) -> KafkaPublisherConfig:
    config = KafkaPublisherConfig(kafka_connection(settings.kafka, namespace))
    # The embedded broker gives a reader one record set at a time, so record sets should be large.
    return replace(config, linger_s=EMBEDDED_LINGER_S) if settings.kafka.embedded else config


@contextlib.contextmanager
def _admission(settings: Settings) -> Iterator[Callable[[], float | None]]:
    """Yield the admission check, which refuses only while the embedded broker is too full."""
    if not settings.kafka.embedded:
        yield lambda: None
        return
    lags = BrokerLags(settings.kafka, readers(settings.namespace))
    source, between = (full_name(settings.namespace, t.name) for t in (TOUCHPOINTS, TRAILS))
    backlog = Backlog(lags, source, between)
    backlog.update()
    backlog.start()
    try:
        yield backlog.admission
    finally:
        backlog.stop()
        lags.close()
