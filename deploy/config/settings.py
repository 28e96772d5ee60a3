"""All configuration, read and validated once; `TOUCHLINE_*` variables override `touchline.yaml`.

This is the only module that reads the environment. Nested settings are written with two underscores
(`TOUCHLINE_KAFKA__BOOTSTRAP_SERVERS`); a whole section may be given as JSON.
"""

from __future__ import annotations

import difflib
import json
import os
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator
from pydantic_core import ErrorDetails
from pydantic_settings import BaseSettings, SettingsConfigDict, SettingsError
from pydantic_settings.sources import PydanticBaseSettingsSource

from deploy.config.config_file import ConfigFile, ConfigurationError
from deploy.config.embedded import PARTITIONS as EMBEDDED_PARTITIONS
from deploy.config.sections import (
    ClickHouseSettings,
    GatewaySettings,
    IdentitySettings,
    KafkaSettings,
    LogSettings,
    MetricsSettings,
    Section,
    SourceSettings,
)
from schemas.document import Location
from schemas.errors import Problem

DEFAULT_FILE = Path("touchline.yaml")
_PREFIX = "TOUCHLINE_"


class Settings(BaseSettings):
    """The whole configuration. Make one with `load`."""

    model_config = SettingsConfigDict(
        env_prefix=_PREFIX, env_nested_delimiter="__", extra="forbid", frozen=True
    )

    kafka: KafkaSettings = KafkaSettings()
    clickhouse: ClickHouseSettings = ClickHouseSettings()
    namespace: str = Field(default="", pattern="^([a-z][a-z0-9_]{0,39})?$")
    gateway: GatewaySettings = GatewaySettings()
    metrics: MetricsSettings = MetricsSettings()
    logs: LogSettings = LogSettings()
    identity: IdentitySettings = IdentitySettings()
    #: Folder of segment definitions; in a file it is relative to that file.
    segments: Path | None = None
    #: Folder of JSON Schemas of events, for sources with `validate`; relative as `segments`.
    tracking_plan: Path | None = None
    #: Folder of the worker's local state. It may be lost: Kafka has it too.
    state: Path = Path(".touchline/state")
    sources: dict[str, SourceSettings] = {}

    @field_validator("sources")
    @classmethod
    def _source_names(cls, sources: dict[str, SourceSettings]) -> dict[str, SourceSettings]:
        for name in sources:
            if not re.fullmatch(r"[a-z0-9][a-z0-9_-]{0,63}", name):
                raise ValueError("expected names of small letters, digits, - and _")
        return sources

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Give the environment precedence over the values that `load` read from the file."""
        return env_settings, init_settings

    @property
    def topic_partitions(self) -> int:
        """Number of partitions of the topics; the embedded broker has a fixed number."""
        return EMBEDDED_PARTITIONS if self.kafka.embedded else self.kafka.partitions

    @property
    def names_kafka(self) -> bool:
        """True if a Kafka was configured, rather than left to `up`."""
        return "bootstrap_servers" in self.kafka.model_fields_set

    @property
    def names_clickhouse(self) -> bool:
        """True if a ClickHouse was configured, rather than left to `up`."""
        return "url" in self.clickhouse.model_fields_set


#: The definitions shipped with the package; they are used if there is no configuration file.
SHIPPED_SEGMENTS = Path(__file__).parents[1] / "segments"


class Configuration(BaseModel):
    """Settings, with the file that they were read from, so that problems can name its lines."""

    model_config = ConfigDict(frozen=True, arbitrary_types_allowed=True)

    settings: Settings
    file: ConfigFile

    def problem(self, location: Location, message: str) -> Problem:
        """Return a problem with a setting, at its place."""
        return Problem(_place(self.file, location), f"{_dotted(location)}: {message}")


def load(config: Path | None = None) -> Configuration:
    """Load the configuration of `config`, else TOUCHLINE_CONFIG, else ./touchline.yaml if any.

    Raises `ConfigurationError`, one problem a line: file, line and what was expected.
    """
    path = config or _named_file()
    environment = os.environ
    file = ConfigFile.read(path, environment).with_mappings(environment) if path else ConfigFile()
    data = dict(file.data)
    if path:
        data = _relative_to(path.parent, data, ("segments", "state", "tracking_plan"))
        if isinstance(sources := data.get("sources"), dict):
            data["sources"] = {
                name: _relative_to(path.parent, source, ("tracking_plan",))
                for name, source in sources.items()
            }
    if "segments" not in data:
        beside = path.parent / "segments" if path else SHIPPED_SEGMENTS
        if beside.is_dir():
            data["segments"] = beside
    try:
        settings = Settings(**data)
    except ValidationError as error:
        raise ConfigurationError(*(_problem(file, e) for e in error.errors())) from None
    except SettingsError as error:
        field = re.search(r'field "(\w+)"', str(error))
        name = f"{_PREFIX}{field[1].upper()}" if field else "environment"
        raise ConfigurationError(Problem(name, "expected JSON")) from None
    return Configuration(settings=settings, file=file)


def _relative_to(folder: Path, section: Any, names: Sequence[str]) -> Any:
    """Return a section of a file with the named settings made paths relative to the file."""
    if not isinstance(section, dict):
        return section
    paths = {name: section[name] for name in names if isinstance(section.get(name), str)}
    return section | {name: folder / path for name, path in paths.items()}


def with_changes(settings: Settings, changes: Mapping[str, Any]) -> Settings:
    """Return the settings with single ones replaced, nested as in the file."""
    updates: dict[str, Any] = {}
    for name, value in changes.items():
        present = getattr(settings, name)
        if isinstance(present, Section):
            updates[name] = present.model_copy(update=value)
        elif name == "sources":
            updates[name] = {key: SourceSettings(**source) for key, source in value.items()}
        else:
            updates[name] = type(present)(value)
    return settings.model_copy(update=updates)


def child_environment(file: Path | None, changes: Mapping[str, Any]) -> dict[str, str]:
    """Return the environment for a child process with this configuration and these changes."""
    environment = dict(os.environ)
    if file is not None:
        environment[f"{_PREFIX}CONFIG"] = str(file.absolute())
    for name, value in changes.items():
        variable = f"{_PREFIX}{name.upper()}"
        if isinstance(value, dict) and name != "sources":
            for key, part in value.items():
                environment[f"{variable}__{key.upper()}"] = _text(part)
        else:
            environment[variable] = _text(value)
    return environment


def plain_environment() -> dict[str, str]:
    """Return the environment without our variables, for a process with its own configuration."""
    return {name: value for name, value in os.environ.items() if not name.startswith(_PREFIX)}


def _text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)


def _named_file() -> Path | None:
    if named := os.environ.get(f"{_PREFIX}CONFIG"):
        return Path(named)
    return DEFAULT_FILE if DEFAULT_FILE.exists() else None


def _problem(file: ConfigFile, error: ErrorDetails) -> Problem:
    location = error["loc"]
    if error["type"] == "extra_forbidden":
        message = f"unknown setting{_suggestion(location)}"
    elif error["type"] == "missing":
        message = "is missing"
    else:
        message = _expected(error)
    return Problem(_place(file, location), f"{_dotted(location)}: {message}")


def _expected(error: ErrorDetails) -> str:
    """Describe the expected value in words; never repeat the value that was given."""
    message = error["msg"].removeprefix("Value error, ")
    if error["type"] == "string_pattern_mismatch":
        return f"expected text like {error['ctx']['pattern']}"
    return message.replace("Input should be", "expected").replace("Input", "the value")


def _suggestion(location: Location) -> str:
    """Return a suggestion for an unknown setting: the closest of the known ones, else all."""
    model: Any = Settings
    for name in location[:-1]:
        field = getattr(model, "model_fields", {}).get(name)
        model = field.annotation if field else None
    known = list(getattr(model, "model_fields", {}))
    close = difflib.get_close_matches(str(location[-1]), known, 1)
    if close:
        return f", expected {close[0]}?"
    return f", expected one of {', '.join(known)}" if known else ""


def _place(file: ConfigFile, location: Location) -> str:
    """Return the variable that set it, if one did, otherwise the line of the file."""
    for size in range(len(location), 0, -1):
        name = _PREFIX + "__".join(str(part).upper() for part in location[:size])
        if name in os.environ:
            return name
    return file.place(location)


def _dotted(location: Location) -> str:
    return ".".join(map(str, location))
