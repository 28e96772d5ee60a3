"""Positions of imports and pulls: text by key, in the compacted topic `cursors`.

The embedded broker loses its topics when it ends, while ClickHouse keeps the records that came
through them. With that broker a file in the folder of `touchline up` therefore replaces the topic.

A key consists of the kind of input (`file` or `pull`), its source, and more: `file/crm/4f1c…`.
"""

from __future__ import annotations

import contextlib
import json
import os
from pathlib import Path
from typing import Any, Protocol

from kafka import KafkaConsumer, KafkaProducer, TopicPartition
from kafka.errors import KafkaError

from deploy.config.settings import Settings
from deploy.kafka.clients import blocking
from ingest.publishing.port import NotAcknowledged
from schemas.topics import CURSORS, full_name

_PARTITION = 0
_WAIT_S = 20
_POLL_MS = 1_000


class Cursors(Protocol):
    """A store of cursors."""

    def of(self, prefix: str) -> dict[str, bytes]:
        """Return the cursors whose keys start with `prefix`. Raises `NotAcknowledged`."""

    def move(self, key: str, value: bytes) -> None:
        """Store one cursor; return when it is durable. Raises `NotAcknowledged`."""

    def close(self) -> None:
        """Disconnect."""


def cursors(settings: Settings, data: Path) -> Cursors:
    """Return this deployment's store of cursors. `data`: the folder of `touchline up`."""
    if settings.kafka.embedded:
        return FolderCursors(data / f"{full_name(settings.namespace, CURSORS.name)}.json")
    return TopicCursors(settings)


class TopicCursors:
    """`Cursors` in the Kafka topic."""

    def __init__(self, settings: Settings) -> None:
        self._kafka = settings.kafka
        self._topic = full_name(settings.namespace, CURSORS.name)
        self._producer: Any = None

    def of(self, prefix: str) -> dict[str, bytes]:
        """See `Cursors`."""
        try:
            with contextlib.closing(self._consumer()) as consumer:
                return self._read(consumer, prefix)
        except (KafkaError, OSError) as error:
            raise self._problem(error) from error

    def _consumer(self) -> Any:
        return KafkaConsumer(
            **blocking(self._kafka),
            enable_auto_commit=False,
            auto_offset_reset="earliest",
            bootstrap_timeout_ms=5_000,
        )

    def _read(self, consumer: Any, prefix: str) -> dict[str, bytes]:
        partition = TopicPartition(self._topic, _PARTITION)
        if _PARTITION not in (consumer.partitions_for_topic(self._topic) or ()):
            raise NotAcknowledged(f"there is no topic {self._topic}: run touchline setup")
        consumer.assign([partition])
        consumer.seek_to_beginning(partition)
        end = consumer.end_offsets([partition])[partition]
        found: dict[str, bytes] = {}
        while consumer.position(partition) < end:
            for record in consumer.poll(_POLL_MS).get(partition, ()):
                key = record.key.decode()
                if key.startswith(prefix):
                    found[key] = record.value or b""
        return {key: value for key, value in found.items() if value}

    def move(self, key: str, value: bytes) -> None:
        """See `Cursors`."""
        try:
            if self._producer is None:
                self._producer = KafkaProducer(**blocking(self._kafka), acks="all")
            sent = self._producer.send(self._topic, value, key.encode(), partition=_PARTITION)
            sent.get(timeout=_WAIT_S)
        except (KafkaError, OSError) as error:
            raise self._problem(error) from error

    def close(self) -> None:
        """See `Cursors`."""
        producer, self._producer = self._producer, None
        if producer is not None:
            producer.close(timeout=1)

    def _problem(self, error: Exception) -> NotAcknowledged:
        return NotAcknowledged(
            f"Kafka at {self._kafka.bootstrap_servers} does not answer for the topic "
            f"{self._topic}: {type(error).__name__}"
        )


class FolderCursors:
    """`Cursors` in a JSON file that is replaced atomically. For one machine."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def of(self, prefix: str) -> dict[str, bytes]:
        """See `Cursors`."""
        return {k: v.encode() for k, v in self._all().items() if k.startswith(prefix)}

    def move(self, key: str, value: bytes) -> None:
        """See `Cursors`. Raises OSError."""
        content = {**self._all(), key: value.decode()}
        self._path.parent.mkdir(parents=True, exist_ok=True)
        draft = self._path.with_suffix(f".{os.getpid()}.tmp")
        draft.write_text(json.dumps(content, indent=1), encoding="utf-8")
        draft.replace(self._path)

    def close(self) -> None:
        """See `Cursors`."""

    def _all(self) -> dict[str, str]:
        try:
            content: dict[str, str] = json.loads(self._path.read_text(encoding="utf-8"))
        except FileNotFoundError:
            return {}
        return content
