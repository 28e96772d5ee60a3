"""Creation of all topics, and a report of the differences between cluster and declaration."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from kafka import KafkaAdminClient, KafkaProducer
from kafka.admin import ConfigResource, ConfigResourceType
from kafka.errors import KafkaError, TopicAlreadyExistsError, UnknownTopicOrPartitionError

from deploy.config.embedded import PARTITIONS as EMBEDDED_PARTITIONS
from deploy.config.sections import KafkaSettings
from deploy.kafka.clients import blocking
from schemas.errors import TouchlineError
from schemas.topics import PUBLIC, Topic, full_name


class KafkaNotReady(TouchlineError):
    """Kafka does not answer, or not as expected; the message is one line."""


@dataclass(frozen=True, slots=True)
class TopicSpec:
    """A topic as it must be on the broker, under its full name."""

    name: str
    partitions: int
    replication_factor: int
    config: dict[str, str]


@dataclass(frozen=True, slots=True)
class Outcome:
    """The result, or with `dry_run` the plan; `differing` lists deviations from the declaration."""

    created: list[str] = field(default_factory=list)
    unchanged: list[str] = field(default_factory=list)
    differing: list[str] = field(default_factory=list)


class Cluster(Protocol):
    """The operations of a broker that the administration uses."""

    def cluster_id(self) -> str:
        """Return the id of this cluster; with another cluster all offsets start again."""

    def partitions(self, names: Sequence[str]) -> dict[str, int]:
        """Return the number of partitions of those topics that exist."""

    def create(self, topics: Iterable[TopicSpec]) -> None:
        """Create topics; ignore one that has been created meanwhile."""

    def names(self) -> set[str]:
        """Return every topic that exists."""

    def configure(self, topics: Iterable[str], config: Mapping[str, str]) -> None:
        """Change the named settings of topics; keep the others."""

    def delete(self, topics: Sequence[str]) -> None:
        """Delete topics; ignore one that does not exist."""

    def members(self, groups: Sequence[str]) -> dict[str, int]:
        """Return the number of members of each consumer group."""

    def close(self) -> None:
        """Disconnect."""


def topic_specs(
    kafka: KafkaSettings,
    namespace: str,
    changelogs: Iterable[Topic],
    declared: Iterable[Topic] = PUBLIC,
) -> list[TopicSpec]:
    """Return all topics of a deployment. `changelogs` already have their names on the broker."""
    public = [(full_name(namespace, topic.name), topic) for topic in declared]
    return [
        TopicSpec(
            name,
            EMBEDDED_PARTITIONS if kafka.embedded else topic.partitions or kafka.partitions,
            kafka.replication_factor,
            topic.config(),
        )
        for name, topic in [*public, *((topic.name, topic) for topic in changelogs)]
    ]


def ensure(cluster: Cluster, topics: Sequence[TopicSpec], *, dry_run: bool = False) -> Outcome:
    """Create missing topics; never change existing ones. Safe to run again."""
    present = cluster.partitions([topic.name for topic in topics])
    missing = [topic for topic in topics if topic.name not in present]
    if missing and not dry_run:
        cluster.create(missing)
    return Outcome(
        created=[topic.name for topic in missing],
        unchanged=[t.name for t in topics if present.get(t.name) == t.partitions],
        differing=[
            f"topic {t.name} has {present[t.name]} partitions, but {t.partitions} are configured: "
            "touchline rebuild makes new topics with that number"
            for t in topics
            if t.name in present and present[t.name] != t.partitions
        ],
    )


def connect(kafka: KafkaSettings, timeout: float = 30.0) -> Cluster:
    """Connect to the configured cluster. Raises `KafkaNotReady` without an answer in `timeout`."""
    deadline = time.monotonic() + timeout
    while True:
        try:
            # At least half a second for one attempt.
            left_ms = int(1_000 * max(0.5, min(5.0, deadline - time.monotonic())))
            return _Embedded(kafka, left_ms) if kafka.embedded else _Server(kafka, left_ms)
        except (KafkaError, OSError) as error:
            if time.monotonic() > deadline:
                raise KafkaNotReady(
                    f"Kafka at {kafka.bootstrap_servers} does not answer: {type(error).__name__}"
                ) from error
            time.sleep(0.5)


class _Server:
    """Apache Kafka."""

    def __init__(self, kafka: KafkaSettings, timeout_ms: int) -> None:
        self._admin: Any = KafkaAdminClient(**blocking(kafka), bootstrap_timeout_ms=timeout_ms)

    def cluster_id(self) -> str:
        return str(self._admin.describe_cluster()["cluster_id"])

    def partitions(self, names: Sequence[str]) -> dict[str, int]:
        present = set(self._admin.list_topics()) & set(names)
        if not present:
            return {}
        described = self._admin.describe_topics(sorted(present))
        return {topic["name"]: len(topic["partitions"]) for topic in described}

    def create(self, topics: Iterable[TopicSpec]) -> None:
        requests = {
            topic.name: {
                "num_partitions": topic.partitions,
                "replication_factor": topic.replication_factor,
                "configs": topic.config,
            }
            for topic in topics
        }
        try:
            self._admin.create_topics(requests)
        except TopicAlreadyExistsError:
            # Another `setup` ran at the same time; the rest of the request was carried out.
            pass
        except KafkaError as error:
            raise KafkaNotReady(f"Kafka refused to create topics: {error}") from error
        self._admin.wait_for_topics(list(requests), timeout_ms=20_000)

    def names(self) -> set[str]:
        return set(self._admin.list_topics())

    def configure(self, topics: Iterable[str], config: Mapping[str, str]) -> None:
        resources = [
            ConfigResource(ConfigResourceType.TOPIC, name, configs=dict(config)) for name in topics
        ]
        try:
            self._admin.alter_configs(resources)
        except KafkaError as error:
            raise KafkaNotReady(f"Kafka refused to change topics: {error}") from error

    def delete(self, topics: Sequence[str]) -> None:
        present = sorted(self.names() & set(topics))
        try:
            if present:
                self._admin.delete_topics(present, timeout_ms=20_000)
        except UnknownTopicOrPartitionError:
            # Another process has deleted it already.
            pass
        except KafkaError as error:
            raise KafkaNotReady(f"Kafka refused to delete topics: {error}") from error

    def members(self, groups: Sequence[str]) -> dict[str, int]:
        described = self._admin.describe_groups(list(groups))
        return {group: len(described[group]["members"]) for group in groups}

    def close(self) -> None:
        self._admin.close()


class _Embedded(_Server):
    """The in-memory broker: a topic is created, with its 4 partitions, by a request for it."""

    def __init__(self, kafka: KafkaSettings, timeout_ms: int) -> None:
        super().__init__(kafka, timeout_ms)
        self._producer: Any = KafkaProducer(**blocking(kafka))

    def create(self, topics: Iterable[TopicSpec]) -> None:
        for topic in topics:
            self._producer.partitions_for(topic.name)

    def close(self) -> None:
        self._producer.close()
        super().close()
