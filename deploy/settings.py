"""All configuration, read and validated once: `TOUCHLINE_*` variables over `touchline.yaml`.

This is the only module that reads the environment. Nested settings are written with two
underscores (`TOUCHLINE_KAFKA__BOOTSTRAP_SERVERS`); a whole section may be given as JSON.
"""

from __future__ import annotations

import difflib
import json
import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, SecretStr, ValidationError, field_validator
from pydantic_core import ErrorDetails
from pydantic_settings import BaseSettings, SettingsConfigDict, SettingsError
from pydantic_settings.sources import PydanticBaseSettingsSource

from deploy.config_file import ConfigFile, ConfigurationError, Location, Problem, read
from deploy.local.mock_broker import PARTITIONS as EMBEDDED_PARTITIONS
from schemas.identifiers import IdentityPolicy

DEFAULT_FILE = Path("touchline.yaml")
_PREFIX = "TOUCHLINE_"
Port = Annotated[int, Field(ge=0, le=65_535)]
Region = Annotated[str, Field(pattern="^[A-Z]{2}$", description="ISO 3166 code such as JP")]
Currency = Annotated[str, Field(pattern="^[A-Z]{3}$", description="ISO 4217 code such as JPY")]


class Section(BaseModel):
    """Base of a section: frozen, and an unknown setting is an error."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class KafkaSettings(Section):
    """How to reach Kafka, and how topics are created."""

    bootstrap_servers: str = "localhost:9092"
    partitions: int = Field(default=4, ge=1, le=1_000)
    replication_factor: int = Field(default=1, ge=1, le=7)
    security_protocol: Literal["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"] = "PLAINTEXT"
    sasl_mechanism: Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"] | None = None
    sasl_username: str | None = None
    sasl_password: SecretStr | None = None
    ssl_cafile: Path | None = None
    ssl_certfile: Path | None = None
    ssl_keyfile: Path | None = None
    #: The broker is librdkafka's in-memory one: what it cannot do is done otherwise.
    embedded: bool = False


class ClickHouseSettings(Section):
    """How to reach ClickHouse over HTTP."""

    url: str = Field(default="http://localhost:8123", pattern="^https?://")
    username: str = "default"
    password: SecretStr = SecretStr("")


class LimitSettings(Section):
    """What the gateway takes."""

    body_bytes: int = Field(default=5 * 1024 * 1024, ge=1024)
    event_bytes: int = Field(default=256 * 1024, ge=256, le=900_000)
    depth: int = Field(default=64, ge=4, le=500)
    batch_events: int = Field(default=10_000, ge=1)


class GatewaySettings(Section):
    """The HTTP gateway. `public_url` is the address as providers call it: some sign it."""

    host: str = "127.0.0.1"
    port: Port = 8080
    public_url: str | None = Field(default=None, pattern="^https?://[^/]+")
    limits: LimitSettings = LimitSettings()


class MetricsSettings(Section):
    """Where the processes serve their Prometheus metrics; a worker's stages use the next ports."""

    host: str = "127.0.0.1"
    port: Port = 9464


class LogSettings(Section):
    """Logs go to stderr; `auto` is text on a terminal and JSON elsewhere."""

    format: Literal["auto", "json", "console"] = "auto"
    level: Literal["debug", "info", "warning", "error"] = "info"


class KindSettings(Section):
    """What differs from a kind's default policy."""

    strength: int | None = Field(default=None, ge=1)
    joins: bool | None = None
    unique: bool | None = None
    limit: int | None = Field(default=None, ge=1)


class IdentitySettings(Section):
    """Identity policy of the deployment."""

    default_region: Region | None = None
    kinds: dict[str, KindSettings] = {}
    #: Values that are no identity, besides the built-in ones.
    blocked: tuple[str, ...] = ()
    joins_per_day: int = Field(default=20, ge=1)

    @field_validator("kinds")
    @classmethod
    def _consistent(cls, kinds: dict[str, KindSettings]) -> dict[str, KindSettings]:
        IdentityPolicy().with_kinds(_changes(kinds))
        return kinds

    def policy(self) -> IdentityPolicy:
        """The policy that connectors and stages go by."""
        default = IdentityPolicy()
        blocked = default.blocked | {value.strip().casefold() for value in self.blocked}
        return IdentityPolicy(blocked=blocked, joins_per_day=self.joins_per_day).with_kinds(
            _changes(self.kinds)
        )


class RateSettings(Section):
    """Events that a source may send; without a burst, those of two seconds at once."""

    events_per_second: float = Field(gt=0)
    burst: float | None = Field(default=None, gt=0)


class SourceSettings(BaseModel):
    """A source: its connector, that connector's own options, and defaults of its touches."""

    model_config = ConfigDict(frozen=True, extra="allow")

    connector: str
    default_region: Region | None = None
    currency: Currency | None = None
    channel: Annotated[str, Field(pattern="^[a-z][a-z0-9_]*$")] | None = None
    rate_limit: RateSettings | None = None

    @property
    def options(self) -> dict[str, Any]:
        """The connector's own options; secrets are in it in clear, so never log it."""
        return dict(self.model_extra or {})

    def __repr__(self) -> str:
        return f"SourceSettings(connector={self.connector!r}, ...)"


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
        """The environment over what `load` read from the file."""
        return env_settings, init_settings

    @property
    def topic_partitions(self) -> int:
        """Partitions of the topics; the embedded broker has a fixed number."""
        return EMBEDDED_PARTITIONS if self.kafka.embedded else self.kafka.partitions

    @property
    def names_kafka(self) -> bool:
        """Whether a Kafka was configured, rather than left to `up`."""
        return "bootstrap_servers" in self.kafka.model_fields_set

    @property
    def names_clickhouse(self) -> bool:
        """Whether a ClickHouse was configured, rather than left to `up`."""
        return "url" in self.clickhouse.model_fields_set


class Configuration(BaseModel):
    """Settings, with the file that they came from, to name its lines."""

    model_config = ConfigDict(frozen=True, arbitrary_types_allowed=True)

    settings: Settings
    file: ConfigFile

    def problem(self, location: Location, message: str) -> Problem:
        """A problem with a setting, at its place."""
        return Problem(_place(self.file, location), f"{_dotted(location)}: {message}")


def load(config: Path | None = None) -> Configuration:
    """The configuration of `config`, else of TOUCHLINE_CONFIG, else of ./touchline.yaml if any.

    Raises `ConfigurationError`, one problem a line: file, line and what was expected.
    """
    path = config or _named_file()
    file = read(path, os.environ) if path else ConfigFile()
    data = dict(file.data)
    for name in ("segments", "state"):
        if path and isinstance(data.get(name), str):
            data[name] = path.parent / data[name]
    if path and "segments" not in data and (path.parent / "segments").is_dir():
        data["segments"] = path.parent / "segments"
    try:
        settings = Settings(**data)
    except ValidationError as error:
        raise ConfigurationError(*(_problem(file, e) for e in error.errors())) from None
    except SettingsError as error:
        field = re.search(r'field "(\w+)"', str(error))
        name = f"{_PREFIX}{field[1].upper()}" if field else "environment"
        raise ConfigurationError(Problem(name, "expected JSON")) from None
    return Configuration(settings=settings, file=file)


def with_changes(settings: Settings, changes: Mapping[str, Any]) -> Settings:
    """The settings with single ones replaced, nested as in the file."""
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
    """The environment of a process that shall see this configuration with these changes."""
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
    """The environment without our variables, for a process with a configuration of its own."""
    return {name: value for name, value in os.environ.items() if not name.startswith(_PREFIX)}


def _text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)


def _named_file() -> Path | None:
    if named := os.environ.get(f"{_PREFIX}CONFIG"):
        return Path(named)
    return DEFAULT_FILE if DEFAULT_FILE.exists() else None


def _changes(kinds: dict[str, KindSettings]) -> dict[str, dict[str, object]]:
    return {name: kind.model_dump(exclude_none=True) for name, kind in kinds.items()}


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
    """What was expected, in words; never the value that was given."""
    message = error["msg"].removeprefix("Value error, ")
    if error["type"] == "string_pattern_mismatch":
        return f"expected text like {error['ctx']['pattern']}"
    return message.replace("Input should be", "expected").replace("Input", "the value")


def _suggestion(location: Location) -> str:
    """The settings that exist beside an unknown one: the closest, else all."""
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
    """The variable that set it, where one did, otherwise the line of the file."""
    for size in range(len(location), 0, -1):
        name = _PREFIX + "__".join(str(part).upper() for part in location[:size])
        if name in os.environ:
            return name
    return file.place(location)


def _dotted(location: Location) -> str:
    return ".".join(map(str, location))
