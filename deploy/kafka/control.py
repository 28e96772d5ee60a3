"""The epoch: `setup` and `rebuild` write it to the topic `control`, all processes read it there.

An epoch works on a *generation*: Kafka topics, consumer groups and changelogs of its own. The first
generation has the plain names of the deployment; one that is built beside it has the prefix
`g<epoch>.`. The topic `control` is outside of the generations, under the plain name. It says which
epoch is present, and during a rebuild which one is next.
"""

from __future__ import annotations

import contextlib
import json
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from typing import Any

import msgspec
import structlog
from kafka import KafkaConsumer, KafkaProducer, TopicPartition
from kafka.errors import KafkaError

from deploy.config.sections import KafkaSettings
from deploy.config.settings import Settings
from deploy.kafka.clients import blocking
from deploy.kafka.topics import KafkaNotReady
from schemas.topics import CONTROL, full_name

PRESENT, NEXT = "epoch", "next"
#: One fixed partition, regardless of the number of partitions that the broker gave the topic.
_PARTITION = 0
_RETRY = 2.0
#: A Kafka that does not answer within this time counts as unreachable.
_BOOTSTRAP_MS = 5_000
_POLL_MS = 1_000
_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Present:
    """An epoch, with everything that its processes need to know of it."""

    epoch: int
    cluster_id: str
    #: Prefix of the names of its topics and groups: the deployment's namespace, followed by that of
    #: the generation if it has one of its own.
    namespace: str
    #: Number of partitions of its topics; 0 if unknown: as configured.
    partitions: int = 0
    #: Its identity policy (`deploy.config.identity_policy.described`), '' if unknown.
    policy: str = ""
    #: The namespace of the epoch that it replaces, if it was built beside another one.
    before: str | None = None


@dataclass(frozen=True, slots=True)
class Control:
    """The content of the topic `control`."""

    present: Present | None = None
    next: Present | None = None

    def names(self, number: int) -> bool:
        """Return True if an epoch is the present or the next one."""
        return any(one is not None and one.epoch == number for one in (self.present, self.next))


def namespace_of(namespace: str, number: int) -> str:
    """Return the Kafka namespace of the generation that belongs to an epoch of this deployment."""
    return full_name(namespace, f"g{number}")


def encode(what: Present) -> bytes:
    """Return the record's value, one line of JSON."""
    return json.dumps(asdict(what)).encode()


def decode(value: bytes, namespace: str) -> Present:
    """Decode a record of a deployment with this namespace.

    A record of an older release lacks some fields. Unknown fields of a later release are ignored:
    gateways read the record while the other processes are being upgraded.
    """
    return msgspec.convert({"namespace": namespace, **json.loads(value)}, Present)


def announce(
    kafka: KafkaSettings, namespace: str, what: Present | None, setting: str = PRESENT
) -> None:
    """Write the present or next epoch; None deletes it. Raises `KafkaNotReady`."""
    value = None if what is None else encode(what)
    try:
        with contextlib.closing(KafkaProducer(**blocking(kafka), acks="all")) as producer:
            topic = full_name(namespace, CONTROL.name)
            sent = producer.send(topic, value, setting.encode(), partition=_PARTITION)
            sent.get(timeout=20)
    except KafkaError as error:
        raise KafkaNotReady(f"Kafka did not take the epoch: {type(error).__name__}") from error


def wait_for(kafka: KafkaSettings, namespace: str, setting: str = PRESENT) -> Present:
    """Return the present epoch; wait for Kafka and for `setup`, and log each wait once."""
    said = ""
    while True:
        try:
            if (found := read(kafka, namespace, setting)) is not None:
                return found
            event, fields = "no_epoch", {"hint": "run touchline setup"}
        except (KafkaError, OSError) as error:
            event = "kafka_unreachable"
            fields = {"servers": kafka.bootstrap_servers, "error": type(error).__name__}
        if event != said:
            _log.warning(event, **fields, retry_in=_RETRY)
            said = event
        time.sleep(_RETRY)


def present(settings: Settings) -> Present:
    """Return the present epoch; its `namespace` is that of its topics.

    Raises `KafkaNotReady` if Kafka does not answer or `setup` never ran.
    """
    try:
        found = read(settings.kafka, settings.namespace)
    except (KafkaError, OSError) as error:
        raise KafkaNotReady(
            f"Kafka at {settings.kafka.bootstrap_servers} does not answer: {type(error).__name__}"
        ) from error
    if found is None:
        raise KafkaNotReady("there is no epoch yet: run touchline setup")
    return found


def read(kafka: KafkaSettings, namespace: str, setting: str = PRESENT) -> Present | None:
    """Return the epoch written last; None if there is none. Raises kafka-python's KafkaError, soon.

    `NEXT` returns the epoch that is being built, which becomes the present one when complete.
    """
    control = read_control(kafka, namespace)
    return control.present if setting == PRESENT else control.next or control.present


def read_control(kafka: KafkaSettings, namespace: str) -> Control:
    """Return the whole content of the topic. Raises kafka-python's KafkaError, soon."""
    with contextlib.closing(_consumer(kafka)) as consumer:
        partition = _begin(consumer, namespace)
        if partition is None:
            return Control()
        end = consumer.end_offsets([partition])[partition]
        values: dict[str, Present | None] = {}
        while consumer.position(partition) < end:
            _take(consumer, partition, namespace, values)
        return _control(values)


def follow(kafka: KafkaSettings, namespace: str) -> Iterator[Control]:
    """Yield the content of the topic, now and after each change; never end, wait out outages.

    Logs the reason for waiting only until the first content is known.
    """
    known: Control | None = None
    said = ""
    while True:
        event, fields = "no_epoch", {"hint": "run touchline setup"}
        try:
            with contextlib.closing(_consumer(kafka)) as consumer:
                for found in _changes(consumer, namespace, known):
                    known = found
                    yield found
        except (KafkaError, OSError) as error:
            event = "kafka_unreachable"
            fields = {"servers": kafka.bootstrap_servers, "error": type(error).__name__}
        if known is None and event != said:
            _log.warning(event, **fields, retry_in=_RETRY)
            said = event
        time.sleep(_RETRY)


def _changes(consumer: Any, namespace: str, known: Control | None) -> Iterator[Control]:
    partition = _begin(consumer, namespace)
    if partition is None:
        return
    end = consumer.end_offsets([partition])[partition]
    values: dict[str, Present | None] = {}
    while True:
        _take(consumer, partition, namespace, values)
        if consumer.position(partition) >= end and (found := _control(values)) != known:
            known = found
            yield found


def watch(kafka: KafkaSettings, namespace: str, changed: Callable[[Control], None]) -> None:
    """Call `changed` with each content of the topic, from a separate daemon thread."""

    def run() -> None:
        for control in follow(kafka, namespace):
            changed(control)

    threading.Thread(target=run, name="control", daemon=True).start()


def _consumer(kafka: KafkaSettings) -> Any:
    return KafkaConsumer(
        **blocking(kafka),
        enable_auto_commit=False,
        auto_offset_reset="earliest",
        bootstrap_timeout_ms=_BOOTSTRAP_MS,
    )


def _begin(consumer: Any, namespace: str) -> TopicPartition | None:
    partition = TopicPartition(full_name(namespace, CONTROL.name), _PARTITION)
    if partition.partition not in (consumer.partitions_for_topic(partition.topic) or ()):
        return None
    consumer.assign([partition])
    consumer.seek_to_beginning(partition)
    return partition


def _take(
    consumer: Any, partition: TopicPartition, namespace: str, values: dict[str, Present | None]
) -> None:
    for record in consumer.poll(_POLL_MS).get(partition, ()):
        value = None
        if record.value:
            value = decode(record.value, namespace)
        values[record.key.decode()] = value


def _control(values: dict[str, Present | None]) -> Control:
    return Control(values.get(PRESENT), values.get(NEXT))
