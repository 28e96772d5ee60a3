"""The lag of each consumer is measured from outside, also of one that does not run."""

from __future__ import annotations

from kafka import KafkaConsumer, KafkaProducer, TopicPartition
from kafka.structs import OffsetAndMetadata
from prometheus_client import CollectorRegistry

from deploy.config.sections import KafkaSettings
from deploy.kafka.clients import blocking
from deploy.kafka.topology import readers
from deploy.local.broker import EmbeddedBroker
from deploy.runtime.consumer_lag import ConsumerLagWatch
from deploy.runtime.metrics.exposition import text


def test_records_that_wait_for_a_consumer_are_counted_under_its_name_without_the_namespace():
    with EmbeddedBroker() as broker:
        kafka = KafkaSettings(bootstrap_servers=broker.bootstrap_servers, embedded=True)
        first = readers("shop")[0]
        producer = KafkaProducer(**blocking(kafka), acks="all")
        for reader in readers("shop"):
            producer.partitions_for(reader.topic)
        for number in range(5):
            producer.send(first.topic, b"touch", partition=number % 2).get(10)
        consumer = KafkaConsumer(**blocking(kafka), group_id=first.group, enable_auto_commit=False)
        done = TopicPartition(first.topic, 0)
        consumer.assign([done])
        consumer.commit({done: OffsetAndMetadata(2, "", -1)})
        registry = CollectorRegistry()
        watch = ConsumerLagWatch(kafka, registry=registry)
        watch.measure()
        assert "touchline_consumer_lag_records{" not in text(registry).decode(), "no epoch yet"
        watch.follow("shop")
        watch.measure()
        labels = f'consumer="{readers("")[0].group}",topic="{readers("")[0].topic}"'
        exposed = text(registry).decode().splitlines()
        assert f"touchline_consumer_lag_records{{{labels}}} 3.0" in exposed
        assert f"touchline_consumer_committed_records{{{labels}}} 2.0" in exposed
        consumer.close()
        producer.close()
