"""The publisher port: a request's records go to Kafka, and the answer waits for their delivery.

Publisher          the port
  KafkaPublisher   aiokafka, for the gateway (ingest.publishing.kafka)
  MemoryPublisher  in memory, for tests and dry runs (ingest.publishing.memory)
BatchPublisher     kafka-python, synchronous: imports, pulls, replays (ingest.publishing.blocking)

PublishError
  NotAcknowledged  transient: say 503, the sender tries again
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple, Protocol

from schemas.errors import TouchlineError
from schemas.topics import REJECTED, TOUCHPOINTS, VIOLATIONS

#: Largest record, key and value: below Kafka's usual `max.message.bytes` of 1 MiB.
MAX_RECORD_BYTES = 1_000_000


class PublishError(TouchlineError):
    """The records were not published."""


class NotAcknowledged(PublishError):
    """Kafka did not acknowledge in time; some of the records may arrive nevertheless.

    Transient: the sender should repeat the request after `retry_after` seconds. What arrives twice
    has the same event ids and changes nothing.
    """

    def __init__(self, message: str, retry_after: float = 2.0) -> None:
        super().__init__(message)
        self.retry_after = retry_after


#: The topics that the gateways write to.
WRITTEN = (TOUCHPOINTS, REJECTED, VIOLATIONS)


class Message(NamedTuple):
    """A record for a topic, which is named without namespace and generation.

    `timestamp_ms` None: the time of sending. `partition` None: that of the key; a topic that is
    declared with one partition has more on the embedded broker, so its writers say which.
    """

    topic: str
    key: bytes
    value: bytes
    timestamp_ms: int | None = None
    partition: int | None = None


@dataclass(frozen=True, slots=True)
class KafkaConnection:
    """The settings of a connection to Kafka.

    `security` holds what aiokafka and kafka-python both understand: security_protocol,
    sasl_mechanism, sasl_plain_username, sasl_plain_password, ssl_context. `api_version` is for
    kafka-python only ("2.3" for the embedded broker, which cannot be asked).
    """

    bootstrap_servers: str
    namespace: str = ""
    security: Mapping[str, Any] = field(default_factory=dict)
    api_version: str | None = None


class Publisher(Protocol):
    """The port that sends a request's records, and returns when Kafka has them."""

    async def start(self) -> None:
        """Begin to connect, in the background; returns at once, Kafka reachable or not."""

    async def stop(self, grace_s: float) -> None:
        """Wait for what is in flight, at most `grace_s` seconds, then disconnect."""

    @property
    def problem(self) -> str | None:
        """The reason why records cannot be sent at present, in one sentence; None when they can."""

    async def publish(self, messages: Sequence[Message]) -> None:
        """Send all; return once every record is acknowledged by all in-sync replicas.

        Records of one topic and key are sent in their order. Raises NotAcknowledged within a
        bounded time otherwise, and before anything is sent while too many bytes wait. Raises
        ValueError for a record that Kafka would never take: a bug, not an outage.
        """


def checked(value: bytes) -> bytes:
    """Return a record's value. Raises ValueError for one that Kafka would never take."""
    if len(value) > MAX_RECORD_BYTES:
        raise ValueError(f"a record of {len(value)} bytes is more than {MAX_RECORD_BYTES}")
    return value
