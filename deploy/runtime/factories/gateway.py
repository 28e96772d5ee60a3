"""The gateway's address and limits, and the sources that it serves."""

from __future__ import annotations

from deploy.config.sections import SourceSettings
from deploy.config.settings import Configuration, Settings
from deploy.runtime.factories.sources import configured_sources, limits
from ingest.connector import WebhookConnector
from ingest.gateway.config import GatewayConfig, RateLimit, Source


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


def gateway_sources(configuration: Configuration) -> list[Source]:
    """Return the sources that the gateway serves; sources that are read in batches are left out.

    Raises `ConfigurationError` with a problem for each source that cannot be made.
    """
    return [
        Source(made.connector, made.policy, made.plan, _rate(made.source), _origins(made.source))
        for made in configured_sources(configuration)
        if isinstance(made.connector, WebhookConnector)
    ]


def _rate(source: SourceSettings) -> RateLimit | None:
    if source.rate_limit is None:
        return None
    rate = source.rate_limit
    return RateLimit(rate.events_per_second, rate.burst or 2 * rate.events_per_second)


def _origins(source: SourceSettings) -> frozenset[str] | None:
    return None if source.origins is None else frozenset(source.origins)
