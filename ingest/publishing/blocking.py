"""The synchronous publisher over kafka-python, for imports, pulls, replays and rebuilds.

It has the same topics, keys, partitions and records as the gateway's publisher.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self

from kafka import KafkaProducer
from kafka.errors import KafkaError

from ingest.publishing.port import (
    MAX_RECORD_BYTES,
    KafkaConnection,
    Message,
    NotAcknowledged,
    checked,
)
from schemas.topics import full_name, partition_of


@dataclass(frozen=True, slots=True)
class Delivery:
    """The records that Kafka has acknowledged, and the bytes of their values."""

    records: int
    bytes: int


class BatchPublisher:
    """A publisher that waits until each batch is delivered; a context manager that disconnects."""

    def __init__(
        self,
        connection: KafkaConnection,
        *,
        client_id: str = "touchline-batch",
        deliver_s: float = 60.0,
    ) -> None:
        """Connect. Raises NotAcknowledged when Kafka is not reachable within `deliver_s`."""
        self._namespace = connection.namespace
        self._deliver_s = deliver_s
        options: dict[str, Any] = dict(connection.security)
        if connection.api_version is not None:
            options["api_version"] = tuple(int(n) for n in connection.api_version.split("."))
        milliseconds = int(deliver_s * 1000)
        try:
            self._producer: Any = KafkaProducer(
                bootstrap_servers=connection.bootstrap_servers.split(","),
                client_id=client_id,
                acks="all",
                enable_idempotence=True,
                compression_type="snappy",
                linger_ms=5,
                batch_size=256 * 1024,
                max_request_size=MAX_RECORD_BYTES,
                max_block_ms=milliseconds,
                delivery_timeout_ms=milliseconds,
                request_timeout_ms=min(30_000, milliseconds // 2),
                bootstrap_timeout_ms=milliseconds,
                **options,
            )
        except KafkaError as error:
            raise NotAcknowledged(
                f"Kafka at {connection.bootstrap_servers} is not reachable ({type(error).__name__})"
            ) from None

    def publish(self, messages: Iterable[Message]) -> Delivery:
        """Send a batch and wait until Kafka has it.

        The caller bounds the batch; all of it is held in memory. Raises NotAcknowledged unless
        every record was acknowledged; the batch as a whole is then to be published again. Raises
        ValueError for a record that Kafka would never take.
        """
        futures: list[Any] = []
        size = 0
        try:
            for message in messages:
                futures.append(self._send(message))
                size += len(message.value)
            self._producer.flush(timeout=self._deliver_s)
            for future in futures:
                future.get(timeout=0)
        except KafkaError as error:
            raise NotAcknowledged(
                f"Kafka did not acknowledge a batch ({type(error).__name__})"
            ) from None
        return Delivery(len(futures), size)

    def _send(self, message: Message) -> Any:
        name = full_name(self._namespace, message.topic)
        partition = message.partition
        if partition is None:
            partition = partition_of(message.key, len(self._producer.partitions_for(name)))
        return self._producer.send(
            name,
            checked(message.value),
            message.key,
            partition=partition,
            timestamp_ms=message.timestamp_ms,
        )

    def close(self) -> None:
        """Disconnect; records that are not delivered by now are dropped."""
        self._producer.close(timeout=0)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()
