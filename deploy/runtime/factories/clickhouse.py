"""The connection to ClickHouse."""

from __future__ import annotations

from deploy.config.settings import Settings
from sinks.clickhouse.client import ClickHouse, ClickHouseConfig


def clickhouse_client(settings: Settings) -> ClickHouse:
    """Return a connection, which connects on first use."""
    return ClickHouse(clickhouse_config(settings))


def clickhouse_config(settings: Settings) -> ClickHouseConfig:
    """Return the address and credentials of ClickHouse."""
    given = settings.clickhouse
    files = (given.ssl_cafile, given.ssl_certfile, given.ssl_keyfile)
    ca_file, cert_file, key_file = (str(path) if path else None for path in files)
    return ClickHouseConfig(
        given.url,
        given.username,
        given.password.get_secret_value(),
        ca_file=ca_file,
        cert_file=cert_file,
        key_file=key_file,
    )
