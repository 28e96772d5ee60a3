"""The configuration of the engine."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from processors.stage_topics import declared_partitions


@dataclass(frozen=True, slots=True)
class EngineConfig:
    """The configuration of one engine process. Times are in seconds."""

    bootstrap_servers: str
    #: Each process that may run at the same time needs a folder of its own.
    data_dir: Path
    partitions: int
    namespace: str = ""
    #: Keyword arguments of aiokafka's clients: security_protocol, sasl_*, ssl_context.
    security: Mapping[str, Any] = field(default_factory=dict)
    session_timeout: float = 60.0
    #: A send that is not acknowledged within this time ends the process: another member may own the
    #: partition soon. Must be below the session timeout.
    send_timeout: float = 20.0
    commit_interval: float = 1.0
    tick_interval: float = 1.0
    #: The longest duration of a graceful stop; then the process ends anyway.
    stop_timeout: float = 10.0
    #: The duration for which ids of events are remembered, in Kafka's record time.
    seen_window: float = 7 * 86_400.0
    max_batch_records: int = 30_000
    #: The longest time by which a partition without new records delays the fetch from its
    #: neighbours.
    fetch_max_wait: float = 0.05
    #: Shared by all partitions of the process.
    cache_bytes: int = 256 << 20
    #: Static membership: see `processors.engine.static_membership`, which sets the value.
    instance_id: str | None = None
    #: The epoch that the process computes, 0 if unknown.
    epoch: int = 0

    def __post_init__(self) -> None:
        if self.send_timeout >= self.session_timeout:
            raise ValueError("send_timeout must be below session_timeout")

    def partitions_of(self, topic: str) -> int:
        """Return the number of partitions with which a logical topic was declared."""
        return declared_partitions(topic) or self.partitions
