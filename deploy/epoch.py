"""The epoch, as `setup` writes it to the topic `control` and the workers read it there."""

from __future__ import annotations

import contextlib
import json
import time
from typing import Any

import structlog
from kafka import KafkaConsumer, KafkaProducer, TopicPartition
from kafka.errors import KafkaError

from deploy.kafka_clients import blocking
from deploy.sections import KafkaSettings
from deploy.topics_admin import KafkaNotReady
from schemas.topics import CONTROL, full_name

_KEY = b"epoch"
#: Whatever number of partitions the broker gave it.
_PARTITION = 0
_RETRY = 2.0
_log = structlog.get_logger(__name__)


def announce(kafka: KafkaSettings, namespace: str, number: int, cluster_id: str) -> None:
    """Write the epoch. Raises `KafkaNotReady`."""
    value = json.dumps({"epoch": number, "cluster_id": cluster_id}).encode()
    try:
        with contextlib.closing(KafkaProducer(**blocking(kafka), acks="all")) as producer:
            topic = full_name(namespace, CONTROL.name)
            producer.send(topic, value, _KEY, partition=_PARTITION).get(timeout=20)
    except KafkaError as error:
        raise KafkaNotReady(f"Kafka did not take the epoch: {type(error).__name__}") from error


def wait_for(kafka: KafkaSettings, namespace: str) -> int:
    """The present epoch; waits, saying so, for Kafka and for somebody to run `setup`."""
    while True:
        try:
            if (number := read(kafka, namespace)) is not None:
                return number
            _log.warning("no_epoch", hint="run touchline setup", retry_in=_RETRY)
        except (KafkaError, OSError) as error:
            _log.warning(
                "kafka_unreachable",
                servers=kafka.bootstrap_servers,
                error=type(error).__name__,
                retry_in=_RETRY,
            )
        time.sleep(_RETRY)


def read(kafka: KafkaSettings, namespace: str) -> int | None:
    """The epoch written last; None if there is none. Raises kafka-python's KafkaError."""
    consumer: Any = KafkaConsumer(
        **blocking(kafka), enable_auto_commit=False, auto_offset_reset="earliest"
    )
    with contextlib.closing(consumer):
        partition = TopicPartition(full_name(namespace, CONTROL.name), _PARTITION)
        if partition.partition not in (consumer.partitions_for_topic(partition.topic) or ()):
            return None
        consumer.assign([partition])
        consumer.seek_to_beginning(partition)
        end = consumer.end_offsets([partition])[partition]
        number: int | None = None
        while consumer.position(partition) < end:
            for record in consumer.poll(1_000).get(partition, ()):
                if record.key == _KEY:
                    number = json.loads(record.value)["epoch"]
        return number
