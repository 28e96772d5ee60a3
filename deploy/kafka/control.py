"""The epoch, as `setup` and `rebuild` write it to the topic `control` and all processes read it.

An epoch works on a *generation*: Kafka topics, consumer groups and changelogs of its own. The first
has the plain names of the deployment; one that is built beside it has `g<epoch>.` in front. The
topic `control` is outside of them, under the plain name. It says which epoch is present, and while
a rebuild is under way which one is next.
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
#: Whatever number of partitions the broker gave it.
_PARTITION = 0
_RETRY = 2.0
#: A Kafka that does not answer within this time is away.
_BOOTSTRAP_MS = 5_000
_POLL_MS = 1_000
_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Present:
    """An epoch and what its processes have to know of it."""

    epoch: int
    cluster_id: str
    #: In front of the names of its topics and groups: the deployment's namespace, and with a
    #: generation of its own that too.
    namespace: str
    #: Of its topics; 0 where that is not known: as configured.
    partitions: int = 0
    #: Its identity policy (`deploy.config.identity_policy.described`), '' where that is not known.
    policy: str = ""
    #: The namespace that it takes over from, if it was built beside another one.
    before: str | None = None


@dataclass(frozen=True, slots=True)
class Control:
    """What the topic says."""

    present: Present | None = None
    next: Present | None = None

    def names(self, number: int) -> bool:
        """Whether an epoch is worked on, shown or to be."""
        return any(one is not None and one.epoch == number for one in (self.present, self.next))


def namespace_of(namespace: str, number: int) -> str:
    """The Kafka namespace of the generation that an epoch of this deployment brings with it."""
    return full_name(namespace, f"g{number}")


def encode(what: Present) -> bytes:
    """The record's value, one line of JSON."""
    return json.dumps(asdict(what)).encode()


def decode(value: bytes, namespace: str) -> Present:
    """What a record says, of a deployment with this namespace.

    What an older release wrote says less. What a later one says besides is passed over: gateways
    read this while the others are replaced.
    """
    return msgspec.convert({"namespace": namespace, **json.loads(value)}, Present)


def announce(
    kafka: KafkaSettings, namespace: str, what: Present | None, setting: str = PRESENT
) -> None:
    """Write the epoch that is present or next; None: there is none. Raises `KafkaNotReady`."""
    value = None if what is None else encode(what)
    try:
        with contextlib.closing(KafkaProducer(**blocking(kafka), acks="all")) as producer:
            topic = full_name(namespace, CONTROL.name)
            sent = producer.send(topic, value, setting.encode(), partition=_PARTITION)
            sent.get(timeout=20)
    except KafkaError as error:
        raise KafkaNotReady(f"Kafka did not take the epoch: {type(error).__name__}") from error


def wait_for(kafka: KafkaSettings, namespace: str, setting: str = PRESENT) -> Present:
    """The present epoch; waits for Kafka and for somebody to run `setup`, and says so once each."""
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
    """The present epoch; `namespace` is where its topics are.

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
    """The epoch written last; None if there is none. Raises kafka-python's KafkaError, soon.

    With `NEXT` the one that is built, which becomes the present one when it is complete.
    """
    control = read_control(kafka, namespace)
    return control.present if setting == PRESENT else control.next or control.present


def read_control(kafka: KafkaSettings, namespace: str) -> Control:
    """All that the topic says. Raises kafka-python's KafkaError, soon."""
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
    """What the topic says, now and whenever that changes; never ends, waits out outages.

    Says what it waits for only as long as it never knew anything.
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
    """Call `changed` with what the topic says, from a thread of its own, as long as we live."""

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
