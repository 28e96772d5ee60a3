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
#: A Kafka that does not answer within this time is away.
_BOOTSTRAP_MS = 5_000
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
    """The present epoch; waits for Kafka and for somebody to run `setup`, and says so once each."""
    said = ""
    while True:
        try:
            if (number := read(kafka, namespace)) is not None:
                return number
            event, fields = "no_epoch", {"hint": "run touchline setup"}
        except (KafkaError, OSError) as error:
            event = "kafka_unreachable"
            fields = {"servers": kafka.bootstrap_servers, "error": type(error).__name__}
        if event != said:
            _log.warning(event, **fields, retry_in=_RETRY)
            said = event
        time.sleep(_RETRY)


def read(kafka: KafkaSettings, namespace: str) -> int | None:
    """The epoch written last; None if there is none. Raises kafka-python's KafkaError, soon."""
    consumer: Any = KafkaConsumer(
        **blocking(kafka),
        enable_auto_commit=False,
        auto_offset_reset="earliest",
        bootstrap_timeout_ms=_BOOTSTRAP_MS,
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
