"""From settings to the configurations and ports that the packages ask for."""

from __future__ import annotations

import re
from collections.abc import Iterator

from deploy.config_file import ConfigurationError, Location, Problem
from deploy.epoch import Present
from deploy.generation import state_folder
from deploy.kafka_clients import security
from deploy.local.mock_broker import API_VERSION
from deploy.sections import SourceSettings
from deploy.settings import Configuration, Settings
from deploy.stages import partitions_of
from ingest.accept import SourcePolicy
from ingest.connector import WebhookConnector
from ingest.gateway.app import BROWSER_CONNECTORS
from ingest.gateway.config import GatewayConfig, RateLimit, Source
from ingest.publisher import KafkaConnection
from ingest.registry import ConnectorError, Registry
from processors.engine import EngineConfig
from sinks.clickhouse import ClickHouse, ClickHouseConfig
from sinks.sink import SinkConfig


def clickhouse(settings: Settings) -> ClickHouse:
    """A connection, made when first used."""
    return ClickHouse(clickhouse_config(settings))


def clickhouse_config(settings: Settings) -> ClickHouseConfig:
    """Where ClickHouse is."""
    given = settings.clickhouse
    return ClickHouseConfig(given.url, given.username, given.password.get_secret_value())


def kafka_connection(settings: Settings, namespace: str) -> KafkaConnection:
    """How the publishers reach Kafka, and the namespace of the generation that they write to."""
    return KafkaConnection(
        settings.kafka.bootstrap_servers,
        namespace,
        security(settings.kafka),
        API_VERSION if settings.kafka.embedded else None,
    )


def sink_config(settings: Settings, namespace: str) -> SinkConfig:
    """From where to where the sink writes: the namespace is that of the generation."""
    kafka = settings.kafka
    return SinkConfig(
        settings.kafka.bootstrap_servers,
        clickhouse_config(settings),
        settings.namespace,
        security(settings.kafka),
        kafka_namespace=namespace,
        # The in-memory broker lets a new process in only when the session of the old one is over.
        session_timeout_s=6.0 if kafka.embedded else kafka.session_timeout_s or 30.0,
    )


def engine_config(settings: Settings, present: Present, stage: str) -> EngineConfig:
    """How a stage runs on the topics of an epoch, and where it keeps its rows."""
    session = settings.kafka.session_timeout_s or 60.0
    return EngineConfig(
        settings.kafka.bootstrap_servers,
        state_folder(settings.state, settings.namespace, present.namespace, stage),
        partitions_of(settings, present),
        present.namespace,
        security(settings.kafka),
        session_timeout=session,
        # Long before somebody else may own what is sent.
        send_timeout=min(20.0, session / 2),
        epoch=present.epoch,
    )


def gateway_config(settings: Settings) -> GatewayConfig:
    """The gateway's address and limits."""
    gateway, limits = settings.gateway, settings.gateway.limits
    return GatewayConfig(
        host=gateway.host,
        port=gateway.port,
        public_url=gateway.public_url,
        max_body_bytes=limits.body_bytes,
        max_depth=limits.depth,
        max_events=limits.batch_events,
    )


def gateway_sources(configuration: Configuration) -> list[Source]:
    """The sources that the gateway serves; those that are read in batches are left out.

    Raises `ConfigurationError` with a problem for each source that cannot be made.
    """
    made: list[Source] = []
    problems: list[Problem] = []
    registry = Registry()
    for name, source in configuration.settings.sources.items():
        try:
            connector = registry.create(source.connector, source.options)
        except ConnectorError as error:
            problems.append(_problem(configuration, name, source, str(error)))
            continue
        if isinstance(connector, WebhookConnector):
            policy = source_policy(configuration.settings, name)
            made.append(Source(connector, policy, _rate(source), _origins(source)))
        if source.origins is not None and source.connector not in BROWSER_CONNECTORS:
            message = f"pages do not send to a source of {source.connector}"
            problems.append(configuration.problem(("sources", name, "origins"), message))
    if problems:
        raise ConfigurationError(*problems)
    return made


def source_policy(settings: Settings, name: str) -> SourcePolicy:
    """What the configuration says about all touches of a source."""
    source = settings.sources[name]
    return SourcePolicy(
        name,
        settings.identity.policy(),
        region=source.default_region or settings.identity.default_region,
        currency=source.currency,
        channel=source.channel,
        max_event_bytes=settings.gateway.limits.event_bytes,
    )


def _rate(source: SourceSettings) -> RateLimit | None:
    if source.rate_limit is None:
        return None
    rate = source.rate_limit
    return RateLimit(rate.events_per_second, rate.burst or 2 * rate.events_per_second)


def _origins(source: SourceSettings) -> frozenset[str] | None:
    return None if source.origins is None else frozenset(source.origins)


def _problem(
    configuration: Configuration, name: str, source: SourceSettings, message: str
) -> Problem:
    """At the option that the message names, if the source has it, else at the source."""
    location: Location = ("sources", name)
    for word in _words(message):
        if word in source.options:
            location = (*location, word)
            break
    return configuration.problem(location, message)


def _words(text: str) -> Iterator[str]:
    # Behind the connector's own name, which may be an option's too.
    return (match[0] for match in re.finditer(r"\w+", text.partition(": ")[2]))
