"""Topics of generations that are over."""

from __future__ import annotations

from deploy.config.settings import Settings
from deploy.kafka.control import Control, Generation
from deploy.kafka.topics import ensure
from deploy.kafka.topology import generation_topics, lasting_topics
from deploy.operations.rebuild.cleanup import obsolete
from tests.support.memory_cluster import MemoryCluster


def names(settings: Settings, namespace: str) -> set[str]:
    return {topic.name for topic in generation_topics(settings, namespace)}


def test_only_topics_of_generations_that_are_over_are_obsolete():
    settings = Settings(namespace="shop")
    cluster = MemoryCluster()
    for namespace in ("shop", "shop.g2", "shop.g3", "shop.g4"):
        ensure(cluster, generation_topics(settings, namespace))
    ensure(cluster, lasting_topics(settings))
    ensure(cluster, generation_topics(Settings(namespace="other"), "other.g1"))
    cluster.topics["shop.g2.somebody-elses"] = 1
    control = Control(Generation(3, "cluster", "shop.g3"), Generation(4, "cluster", "shop.g4"))
    assert set(obsolete(settings, cluster, control)) == (
        names(settings, "shop") | names(settings, "shop.g2")
    )
    assert not obsolete(settings, cluster, Control())
