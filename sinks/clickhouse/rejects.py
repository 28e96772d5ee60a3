"""Rows that ClickHouse cannot read, published to `touchpoints.rejected` with their bytes."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError

from schemas import topics
from schemas.rejection import Origin, Rejection, rejected_row
from schemas.topics import full_name, partition_of

#: The row, in base64, must stay below Kafka's usual limit of 1 MiB a message.
_MAX_PAYLOAD = 700_000


class Rejects:
    """A producer that is created for the first rejected row, and again after a failure."""

    def __init__(
        self, bootstrap_servers: str, namespace: str, kafka_options: Mapping[str, Any]
    ) -> None:
        self._bootstrap_servers = bootstrap_servers
        self._options = kafka_options
        self._topic = full_name(namespace, topics.REJECTED.name)
        self._producer: Any = None
        self._guard = asyncio.Lock()

    async def publish(
        self, *, rejected_id: str, payload: bytes, detail: str, received_ms: int, origin: Origin
    ) -> None:
        """Publish one row; return once Kafka has acknowledged it. Raises `KafkaError`, OSError."""
        if len(payload) > _MAX_PAYLOAD:
            detail += f"; the first {_MAX_PAYLOAD} of {len(payload)} bytes"
            origin = replace(origin, form="cut")
        value = rejected_row(
            Rejection("sink_rejected", detail, payload[:_MAX_PAYLOAD]),
            origin,
            rejected_id=rejected_id,
            received_ms=received_ms,
        )
        key = rejected_id.encode()
        async with self._guard:
            try:
                producer = await self._started()
                partitions = await producer.partitions_for(self._topic)
                partition = partition_of(key, len(partitions))
                await producer.send_and_wait(self._topic, value=value, key=key, partition=partition)
            except (KafkaError, OSError):
                # Kafka may have excluded this producer for good.
                await self.close()
                raise

    async def close(self) -> None:
        """Disconnect."""
        producer, self._producer = self._producer, None
        if producer is not None:
            with contextlib.suppress(KafkaError, OSError):
                await producer.stop()

    async def _started(self) -> Any:
        if self._producer is None:
            producer = AIOKafkaProducer(
                bootstrap_servers=self._bootstrap_servers,
                client_id="touchline-sink-rejects",
                acks="all",
                enable_idempotence=True,
                max_request_size=1024 * 1024,
                compression_type="snappy",
                **self._options,
            )
            try:
                await producer.start()
            except BaseException:
                await producer.stop()
                raise
            self._producer = producer
        return self._producer
