"""Topics: created once, compared afterwards, on both brokers."""

import uuid
from collections.abc import Iterator

import pytest

from deploy.config.sections import KafkaSettings
from deploy.kafka.topics import Cluster, KafkaNotReady, connect, ensure, topic_specs
from deploy.local.broker import EmbeddedBroker
from deploy.local.kafka import LocalKafka
from schemas.topics import PUBLIC, changelog
from tests.support.memory_cluster import MemoryCluster


@pytest.fixture(
    params=[
        "memory",
        pytest.param("mock", marks=pytest.mark.integration),
        pytest.param("kafka", marks=pytest.mark.kafka),
    ]
)
def broker(request: pytest.FixtureRequest) -> Iterator[tuple[Cluster, KafkaSettings]]:
    if request.param == "memory":
        yield MemoryCluster(), KafkaSettings()
        return
    if request.param == "mock":
        mock: EmbeddedBroker = request.getfixturevalue("embedded_broker")
        kafka = KafkaSettings(bootstrap_servers=mock.bootstrap_servers, embedded=True)
    else:
        real: LocalKafka = request.getfixturevalue("kafka_broker")
        kafka = KafkaSettings(bootstrap_servers=real.bootstrap_servers, partitions=3)
    cluster = connect(kafka)
    yield cluster, kafka
    cluster.close()


def test_topics_are_created_once(broker: tuple[Cluster, KafkaSettings]):
    cluster, kafka = broker
    namespace = f"n{uuid.uuid4().hex[:8]}"
    group = f"{namespace}.touchline-trails"
    topics = topic_specs(kafka, namespace, [changelog(group, "rows", expires=False)])
    names = {topic.name for topic in topics}
    assert len(names) == len(PUBLIC) + 1

    assert set(ensure(cluster, topics, dry_run=True).created) == names
    assert cluster.partitions(sorted(names)) == {}
    assert set(ensure(cluster, topics).created) == names
    again = ensure(cluster, topics)
    assert not again.created
    assert not again.differing
    assert set(again.unchanged) == names
    assert cluster.cluster_id()


def test_another_number_of_partitions_is_said_and_left():
    cluster = MemoryCluster()
    ensure(cluster, topic_specs(KafkaSettings(partitions=4), "", []))
    outcome = ensure(cluster, topic_specs(KafkaSettings(partitions=6), "", []))
    assert "topic touchpoints has 4 partitions, but 6 are configured" in outcome.differing[0]
    assert cluster.topics["touchpoints"] == 4
    assert "identity.links" in outcome.unchanged


def test_no_broker_is_one_clear_line():
    with pytest.raises(KafkaNotReady, match=r"^Kafka at 127\.0\.0\.1:1 does not answer"):
        connect(KafkaSettings(bootstrap_servers="127.0.0.1:1"), timeout=0)
