"""The configured sources, as imports, pulls and replays use them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from deploy.config.config_file import ConfigurationError
from deploy.config.sections import SourceSettings
from deploy.config.settings import Configuration, Settings
from deploy.config.tracking_plan import read_plan
from ingest.connector import AnyConnector, BatchConnector, RowConnector, WebhookConnector
from ingest.files.reader import BatchSource
from ingest.intake.accept import SourcePolicy
from ingest.intake.limits import Limits
from ingest.intake.plan import Plan
from ingest.intake.source import ReadableSource
from ingest.kit.keyed import KeyedWebhook
from ingest.registry import ConnectorError, Registry
from schemas.document import Location
from schemas.errors import Problem


def limits(settings: Settings) -> Limits:
    """Return the bounds of a body and its events: of gateway, imports, pulls and replays."""
    given = settings.gateway.limits
    return Limits(
        max_body_bytes=given.body_bytes,
        max_depth=given.depth,
        max_events=given.batch_events,
    )


def batch_sources(configuration: Configuration) -> list[BatchSource]:
    """Return the sources of files and pulled providers. Raises as `configured_sources`."""
    return [
        BatchSource(made.connector, made.policy, made.plan)
        for made in configured_sources(configuration)
        if isinstance(made.connector, BatchConnector)
    ]


def read_sources(configuration: Configuration) -> list[ReadableSource]:
    """Return the sources that can read a refused part again. Raises as `configured_sources`."""
    return [
        ReadableSource(made.connector, made.policy, made.plan)
        for made in configured_sources(configuration)
        if isinstance(made.connector, WebhookConnector | RowConnector)
    ]


class ConfiguredSource(NamedTuple):
    """A configured source, with the objects made from it."""

    source: SourceSettings
    connector: AnyConnector
    policy: SourcePolicy
    plan: Plan | None


def configured_sources(configuration: Configuration) -> list[ConfiguredSource]:
    """Return all sources. Raises `ConfigurationError`, a problem for each that cannot be made."""
    made: list[ConfiguredSource] = []
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
        policy = source_policy(configuration.settings, name)
        made.append(ConfiguredSource(source, connector, policy, plan))
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


def source_problem(configuration: Configuration, name: str, message: str) -> Problem:
    """Return a problem at the option of the source that the message names, else at the source."""
    source = configuration.settings.sources[name]
    found = next((one for one in _places(message) if one[0] in source.options), ())
    return configuration.problem(("sources", name, *found), message)


def _places(text: str) -> Iterator[Location]:
    # After the connector's own name, which may also be the name of an option.
    for match in re.finditer(r"\w+(?:\.\w+)*", text.partition(": ")[2]):
        yield tuple(int(part) if part.isdigit() else part for part in match[0].split("."))
