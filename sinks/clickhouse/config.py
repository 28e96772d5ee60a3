"""The configuration of the sink that fills ClickHouse."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from sinks.clickhouse.client import ClickHouseConfig
from sinks.clickhouse.tables import TABLES, Table

#: The most rows of an insert.
MAX_ROWS = 20_000


@dataclass(frozen=True, slots=True)
class SinkConfig:
    """The configuration of the sink: source, destination and batch sizes; times in seconds."""

    bootstrap_servers: str
    clickhouse: ClickHouseConfig
    namespace: str = ""
    #: Further keyword arguments of aiokafka's clients: security.
    kafka_options: Mapping[str, Any] = field(default_factory=dict, repr=False)
    #: Prefix of topics and groups, if another generation than the first is present.
    kafka_namespace: str = ""
    tables: tuple[Table, ...] = TABLES
    #: The approximate most rows of an insert.
    max_rows: int = MAX_ROWS
    max_bytes: int = 16 * 1024 * 1024
    #: The time to wait for more rows after the first one, or until the previous batch is written.
    linger_s: float = 0.25
    #: The longest pause between two attempts.
    max_backoff_s: float = 5.0
    #: The time that Kafka waits for a process that died before others take over. The in-memory
    #: broker waits as long for one that left: set a few seconds for it.
    session_timeout_s: float = 30.0
    #: The time for work in progress after a stop; then it is left to the next start.
    stop_grace_s: float = 7.0
    #: The epoch of the rows, 0 if unknown.
    epoch: int = 0

    @property
    def topics(self) -> str:
        """Return the namespace of topics and groups."""
        return self.kafka_namespace or self.namespace
