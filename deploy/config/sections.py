"""The sections of `touchline.yaml`, with their defaults and the constraints of each value."""

from __future__ import annotations

import re
from ipaddress import IPv4Network, IPv6Network, ip_network
from pathlib import Path
from typing import Annotated, Any, Literal
from urllib.parse import unquote

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    PlainValidator,
    SecretStr,
    field_validator,
    model_validator,
)

from schemas.identifiers import IdentityPolicy


def _network(value: object) -> IPv4Network | IPv6Network:
    try:
        return ip_network(str(value))
    except ValueError:
        raise ValueError("expected an address, or a network such as 10.0.0.0/8") from None


Network = Annotated[IPv4Network | IPv6Network, PlainValidator(_network)]
Port = Annotated[int, Field(ge=0, le=65_535)]
Region = Annotated[str, Field(pattern="^[A-Z]{2}$", description="ISO 3166 code such as JP")]
Currency = Annotated[str, Field(pattern="^[A-Z]{3}$", description="ISO 4217 code such as JPY")]
_ORIGIN = re.compile(r"[a-z][a-z0-9+.-]*://[^\s/?#@A-Z]+")


def _origin(value: str) -> str:
    """Validate an origin: the header that it must equal has no upper case and no default port."""
    default = value.startswith("https:") and value.endswith(":443")
    default |= value.startswith("http:") and value.endswith(":80")
    if default or not _ORIGIN.fullmatch(value):
        raise ValueError("expected an origin as browsers send it, such as https://shop.example.com")
    return value


Origin = Annotated[str, AfterValidator(_origin)]


class Section(BaseModel):
    """Base of a section: frozen, and an unknown setting is an error."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class KafkaSettings(Section):
    """Connection to Kafka, and creation of topics."""

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
    #: Seconds without a heartbeat after which the partitions of a process are reassigned. None: 60
    #: for stages, 30 for sinks.
    session_timeout_s: float | None = Field(default=None, ge=6, le=1800)
    #: The broker is librdkafka's in-memory one: its missing features are replaced.
    embedded: bool = False


class ClickHouseSettings(Section):
    """Connection to ClickHouse over HTTP. The URL is shown in logs, so it never keeps a password:
    one in it goes to `username` and `password`, unless these are given themselves.
    """

    url: str = Field(default="http://localhost:8123", pattern="^https?://")
    username: str = "default"
    password: SecretStr = SecretStr("")
    #: The authority that signed the server's certificate, and our own certificate with its key.
    ssl_cafile: Path | None = None
    ssl_certfile: Path | None = None
    ssl_keyfile: Path | None = None

    @model_validator(mode="before")
    @classmethod
    def _without_password(cls, given: Any) -> Any:
        url = given.get("url") if isinstance(given, dict) else None
        if not isinstance(url, str) or "@" not in url:
            return given
        scheme, _, rest = url.partition("://")
        user, at, host = rest.rpartition("@")
        if not at or "/" in user:
            return given
        name, _, password = user.partition(":")
        from_url = {"username": unquote(name), "password": unquote(password)}
        return {
            **{key: value for key, value in from_url.items() if value},
            **given,
            "url": f"{scheme}://{host}",
        }


class LimitSettings(Section):
    """Limits of the requests that the gateway accepts."""

    body_bytes: int = Field(default=5 * 1024 * 1024, ge=1024)
    event_bytes: int = Field(default=256 * 1024, ge=256, le=900_000)
    depth: int = Field(default=64, ge=4, le=500)
    batch_events: int = Field(default=10_000, ge=1)
    connections: int = Field(default=10_000, ge=1)


class GatewaySettings(Section):
    """The HTTP gateway. `public_url` is the address that providers call: some sign it."""

    host: str = "127.0.0.1"
    port: Port = 8080
    public_url: str | None = Field(default=None, pattern="^https?://[^/]+")
    #: Addresses or networks of the proxies that are trusted for scheme, host and request id.
    trusted_proxies: tuple[Network, ...] = ()
    limits: LimitSettings = LimitSettings()


class MetricsSettings(Section):
    """Address of the Prometheus metrics of each process; a worker's stages use the next ports."""

    host: str = "127.0.0.1"
    port: Port = 9464


class LogSettings(Section):
    """Logs go to stderr; `auto` is text on a terminal and JSON elsewhere."""

    format: Literal["auto", "json", "console"] = "auto"
    level: Literal["debug", "info", "warning", "error"] = "info"


class KindSettings(Section):
    """Changes to a kind's default policy."""

    strength: int | None = Field(default=None, ge=1)
    joins: bool | None = None
    unique: bool | None = None
    limit: int | None = Field(default=None, ge=1)


class IdentitySettings(Section):
    """Identity policy of the deployment."""

    default_region: Region | None = None
    kinds: dict[str, KindSettings] = {}
    #: Values that identify nobody, in addition to the built-in ones.
    blocked: tuple[str, ...] = ()
    joins_per_day: int = Field(default=20, ge=1)

    @field_validator("kinds")
    @classmethod
    def _consistent(cls, kinds: dict[str, KindSettings]) -> dict[str, KindSettings]:
        IdentityPolicy().with_kinds(_changes(kinds))
        return kinds

    def policy(self) -> IdentityPolicy:
        """Return the policy that connectors and stages apply."""
        default = IdentityPolicy()
        blocked = default.blocked | {value.strip().casefold() for value in self.blocked}
        return IdentityPolicy(blocked=blocked, joins_per_day=self.joins_per_day).with_kinds(
            _changes(self.kinds)
        )


class RateSettings(Section):
    """Rate of events that a source may send; the default burst is that of two seconds."""

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
    #: Action for events that differ from the tracking plan. None: they are not compared.
    validation: Literal["warn", "reject"] | None = Field(default=None, alias="validate")
    #: Folder of the schemas of this source's events; by default that of all sources.
    tracking_plan: Path | None = None
    #: Origins of the pages that may send to it from a browser; by default all pages.
    origins: tuple[Origin, ...] | None = None
    #: False: its touches are added to their customers, but never join people or make an identifier
    #: follow one. For sources that cannot be trusted to name one person at a time.
    links: bool = True

    @property
    def options(self) -> dict[str, Any]:
        """The connector's own options; secrets are in clear in it, so never log it."""
        return dict(self.model_extra or {})

    def __repr__(self) -> str:
        return f"SourceSettings(connector={self.connector!r}, ...)"


def _changes(kinds: dict[str, KindSettings]) -> dict[str, dict[str, object]]:
    return {name: kind.model_dump(exclude_none=True) for name, kind in kinds.items()}
