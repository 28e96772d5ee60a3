"""Positions of imports and pulls: text by key, in the compacted topic `cursors`.

The embedded broker loses its topics when it ends, while ClickHouse keeps the records that came
through them. With that broker a file in the folder of `touchline up` therefore replaces the topic.

A key consists of the kind of input (`file` or `pull`), its source, and more: `file/crm/4f1c…`.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Protocol

from kafka.errors import KafkaError

from deploy.config.settings import Settings
from deploy.kafka import compacted_topic
from ingest.publishing.port import NotAcknowledged
from schemas.topics import CURSORS, full_name


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
        self._writer = compacted_topic.Writer(self._kafka, self._topic)

    def of(self, prefix: str) -> dict[str, bytes]:
        """See `Cursors`."""
        try:
            content = compacted_topic.read(self._kafka, self._topic)
        except (KafkaError, OSError) as error:
            raise self._problem(error) from error
        if content is None:
            raise NotAcknowledged(f"there is no topic {self._topic}: run touchline setup")
        return {key: value for key, value in content.items() if key.startswith(prefix)}

    def move(self, key: str, value: bytes) -> None:
        """See `Cursors`."""
        try:
            self._writer.write(key, value)
        except (KafkaError, OSError) as error:
            raise self._problem(error) from error

    def close(self) -> None:
        """See `Cursors`."""
        self._writer.close()

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
        draft.touch(mode=0o600)
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
