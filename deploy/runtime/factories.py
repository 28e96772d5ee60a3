"""Conversion of the settings to the configurations and ports that the packages require."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from deploy.config.sections import SourceSettings
from deploy.config.settings import Configuration, Settings
from deploy.config.tracking_plan import read_plan
from deploy.config.yaml_file import ConfigurationError, Location, Problem
from deploy.kafka.clients import security
from deploy.kafka.control import Present
from deploy.kafka.embedded import API_VERSION
from deploy.runtime.membership import state_folder
from deploy.runtime.stages import partitions_of
from ingest.connector import AnyConnector, BatchConnector, RowConnector, WebhookConnector
from ingest.files.reader import BatchSource
from ingest.gateway.config import GatewayConfig, RateLimit, Source
from ingest.intake.accept import SourcePolicy
from ingest.intake.limits import Limits
from ingest.intake.plan import Plan
from ingest.intake.source import ReadableSource
from ingest.kit.keyed import KeyedWebhook
from ingest.publishing.port import KafkaConnection
from ingest.registry import ConnectorError, Registry
from processors.engine import EngineConfig
from sinks.clickhouse.client import ClickHouse, ClickHouseConfig
from sinks.clickhouse.writer import SinkConfig


def clickhouse(settings: Settings) -> ClickHouse:
    """Return a connection, which connects on first use."""
    return ClickHouse(clickhouse_config(settings))


def clickhouse_config(settings: Settings) -> ClickHouseConfig:
    """Return the address and credentials of ClickHouse."""
    given = settings.clickhouse
    return ClickHouseConfig(given.url, given.username, given.password.get_secret_value())


def kafka_connection(settings: Settings, namespace: str) -> KafkaConnection:
    """Return the publishers' connection to Kafka; they write to the namespace of a generation."""
    return KafkaConnection(
        settings.kafka.bootstrap_servers,
        namespace,
        security(settings.kafka),
        API_VERSION if settings.kafka.embedded else None,
    )


def sink_config(settings: Settings, namespace: str) -> SinkConfig:
    """Return the sink's configuration; the namespace is that of the generation that it reads."""
    kafka = settings.kafka
    return SinkConfig(
        settings.kafka.bootstrap_servers,
        clickhouse_config(settings),
        settings.namespace,
        security(settings.kafka),
        kafka_namespace=namespace,
        # The in-memory broker admits a new member only when the session of the old one is over.
        session_timeout_s=6.0 if kafka.embedded else kafka.session_timeout_s or 30.0,
    )


def engine_config(settings: Settings, present: Present, stage: str) -> EngineConfig:
    """Return a stage's configuration for the topics of an epoch, with the folder of its state."""
    session = settings.kafka.session_timeout_s or 60.0
    return EngineConfig(
        settings.kafka.bootstrap_servers,
        state_folder(settings.state, settings.namespace, present.namespace, stage),
        partitions_of(settings, present),
        present.namespace,
        security(settings.kafka),
        session_timeout=session,
        # Long before another process may own the partitions.
        send_timeout=min(20.0, session / 2),
        epoch=present.epoch,
    )


def gateway_config(settings: Settings) -> GatewayConfig:
    """Return the gateway's address and limits."""
    gateway = settings.gateway
    return GatewayConfig(
        host=gateway.host,
        port=gateway.port,
        public_url=gateway.public_url,
        trusted_proxies=gateway.trusted_proxies,
        limits=limits(settings),
        max_connections=gateway.limits.connections,
    )


def limits(settings: Settings) -> Limits:
    """The bounds of a body and its events: of the gateway, imports, pulls and replays."""
    given = settings.gateway.limits
    return Limits(
        max_body_bytes=given.body_bytes,
        max_depth=given.depth,
        max_events=given.batch_events,
    )


def gateway_sources(configuration: Configuration) -> list[Source]:
    """Return the sources that the gateway serves; sources that are read in batches are left out.

    Raises `ConfigurationError` with a problem for each source that cannot be made.
    """
    return [
        Source(made.connector, made.policy, made.plan, _rate(made.source), _origins(made.source))
        for made in _made(configuration)
        if isinstance(made.connector, WebhookConnector)
    ]


def batch_sources(configuration: Configuration) -> list[BatchSource]:
    """Return the sources that are read: files and pulled providers. Raises as `gateway_sources`."""
    return [
        BatchSource(made.connector, made.policy, made.plan)
        for made in _made(configuration)
        if isinstance(made.connector, BatchConnector)
    ]


def read_sources(configuration: Configuration) -> list[ReadableSource]:
    """Return the sources that can read a refused part again. Raises as `gateway_sources`."""
    return [
        ReadableSource(made.connector, made.policy, made.plan)
        for made in _made(configuration)
        if isinstance(made.connector, WebhookConnector | RowConnector)
    ]


class _Made(NamedTuple):
    """A configured source, with the objects made from it."""

    source: SourceSettings
    connector: AnyConnector
    policy: SourcePolicy
    plan: Plan | None


def _made(configuration: Configuration) -> list[_Made]:
    made: list[_Made] = []
    problems: list[Problem] = []
    registry = Registry()
    plans = Plans(configuration)
    for name, source in configuration.settings.sources.items():
        try:
            plan = plans.of(name)
        except ConfigurationError as error:
            problems += (problem for problem in error.problems if problem not in problems)
            continue
        try:
            connector = registry.create(source.connector, source.options)
        except ConnectorError as error:
            problems.append(source_problem(configuration, name, str(error)))
            continue
        made.append(_Made(source, connector, source_policy(configuration.settings, name), plan))
        if source.origins is not None and not _is_for_pages(connector):
            message = f"pages do not send to a source of {source.connector}"
            problems.append(configuration.problem(("sources", name, "origins"), message))
    if problems:
        raise ConfigurationError(*problems)
    return made


def _is_for_pages(connector: AnyConnector) -> bool:
    return isinstance(connector, KeyedWebhook) and connector.cors is not None


def source_policy(settings: Settings, name: str) -> SourcePolicy:
    """Return the configured policy for all touches of a source."""
    source = settings.sources[name]
    return SourcePolicy(
        name,
        settings.identity.policy(),
        region=source.default_region or settings.identity.default_region,
        currency=source.currency,
        channel=source.channel,
        max_event_bytes=settings.gateway.limits.event_bytes,
    )


class Plans:
    """The tracking plans of the sources; each folder is read once."""

    def __init__(self, configuration: Configuration) -> None:
        self._configuration = configuration
        self._read: dict[Path, dict[str, Any]] = {}

    def of(self, name: str) -> Plan | None:
        """Return the plan that a source is compared with. Raises `ConfigurationError`."""
        settings = self._configuration.settings
        source = settings.sources[name]
        folder = source.tracking_plan or settings.tracking_plan
        if source.validation is None:
            if source.tracking_plan is not None:
                raise self._wrong(name, "tracking_plan", "expected validate: warn or reject too")
            return None
        if folder is None:
            raise self._wrong(name, "validate", "expected the folder of a tracking_plan too")
        if folder not in self._read:
            self._read[folder] = read_plan(folder)
        return Plan(self._read[folder], rejects=source.validation == "reject")

    def _wrong(self, name: str, setting: str, message: str) -> ConfigurationError:
        return ConfigurationError(self._configuration.problem(("sources", name, setting), message))


def _rate(source: SourceSettings) -> RateLimit | None:
    if source.rate_limit is None:
        return None
    rate = source.rate_limit
    return RateLimit(rate.events_per_second, rate.burst or 2 * rate.events_per_second)


def _origins(source: SourceSettings) -> frozenset[str] | None:
    return None if source.origins is None else frozenset(source.origins)


def source_problem(configuration: Configuration, name: str, message: str) -> Problem:
    """Return a problem at the option of the source that the message names, else at the source."""
    source = configuration.settings.sources[name]
    found = next((one for one in _places(message) if one[0] in source.options), ())
    return configuration.problem(("sources", name, *found), message)


def _places(text: str) -> Iterator[Location]:
    # After the connector's own name, which may also be the name of an option.
    for match in re.finditer(r"\w+(?:\.\w+)*", text.partition(": ")[2]):
        yield tuple(int(part) if part.isdigit() else part for part in match[0].split("."))
