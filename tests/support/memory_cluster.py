"""A double of `deploy.kafka.topics.Cluster`: topics in memory."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from deploy.kafka.topics import TopicSpec


class MemoryCluster:
    """A broker without a broker."""

    def __init__(self) -> None:
        self.topics: dict[str, int] = {}
        self.configured: dict[str, dict[str, str]] = {}

    def cluster_id(self) -> str:
        return "memory"

    def partitions(self, names: Sequence[str]) -> dict[str, int]:
        return {name: self.topics[name] for name in names if name in self.topics}

    def create(self, topics: Iterable[TopicSpec]) -> None:
        self.topics |= {topic.name: topic.partitions for topic in topics}

    def names(self) -> set[str]:
        return set(self.topics)

    def configure(self, topics: Iterable[str], config: Mapping[str, str]) -> None:
        self.configured |= {name: dict(config) for name in topics}

    def delete(self, topics: Sequence[str]) -> None:
        for name in topics:
            self.topics.pop(name, None)

    def members(self, groups: Sequence[str]) -> dict[str, int]:
        return dict.fromkeys(groups, 1)

    def close(self) -> None:
        pass
