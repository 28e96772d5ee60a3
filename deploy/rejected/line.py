"""A replay's way to Kafka: to the topics of the present epoch, and only while it stays that."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Self

from kafka.errors import KafkaError

from deploy import epoch
from deploy.lag import settled
from deploy.policy import order_problem
from deploy.rejected.replay import ReplayError
from deploy.settings import Settings
from deploy.stages import readers
from deploy.topics_admin import KafkaNotReady
from deploy.wiring import kafka_connection
from ingest.batch_publisher import BatchPublisher
from ingest.publisher import Message, NotAcknowledged

#: The embedded broker holds 5 MB a partition, and so much at once leaves room for what comes in.
_EMBEDDED_BYTES = 1_000_000


class KafkaLine:
    """`deploy.rejected.replay.Line` over Kafka; a context manager that disconnects."""

    def __init__(self, settings: Settings, shown: int, wait_s: float) -> None:
        """`shown`: the epoch that the views show. `wait_s` bounds connecting, sending and settling.

        Raises `ReplayError`, `ingest.publisher.NotAcknowledged` and
        `deploy.topics_admin.KafkaNotReady`.
        """
        self._settings = settings
        self._shown = shown
        self._wait_s = wait_s
        present = epoch.present(settings)
        if problem := order_problem(settings.identity.policy(), present.policy):
            raise ReplayError(problem)
        self._namespace = present.namespace
        self.check()
        connection = kafka_connection(settings, present.namespace)
        self._publisher = BatchPublisher(
            connection, client_id="touchline-rejected", deliver_s=wait_s
        )

    def check(self) -> None:
        """See `deploy.rejected.replay.Line`."""
        try:
            control = epoch.read_control(self._settings.kafka, self._settings.namespace)
        except (KafkaError, OSError) as error:
            raise KafkaNotReady(
                f"Kafka at {self._settings.kafka.bootstrap_servers} does not answer: "
                f"{type(error).__name__}"
            ) from error
        present = control.present
        if control.next is not None or present is None or present.epoch != self._shown:
            raise ReplayError("a rebuild is under way, replay once its epoch is shown")

    def send(self, records: Sequence[Message]) -> None:
        """See `deploy.rejected.replay.Line`.

        The embedded broker forgets what it holds when it ends, so there only what has gone all the
        way into ClickHouse counts as sent.
        """
        if not self._settings.kafka.embedded:
            self._publisher.publish(records)
            return
        for some in _slices(records):
            self._publisher.publish(some)
            if not self.settle():
                raise NotAcknowledged(
                    f"what was sent is not in ClickHouse after {self._wait_s:g} s: see that worker "
                    "and sink run"
                )

    def settle(self) -> bool:
        """Wait until what was sent has gone all the way into ClickHouse; False if it has not."""
        everybody = readers(self._settings, self._namespace)
        return settled(self._settings.kafka, everybody, self._wait_s)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._publisher.close()


def _slices(records: Sequence[Message]) -> Iterator[list[Message]]:
    some: list[Message] = []
    size = 0
    for record in records:
        if some and size + len(record.value) > _EMBEDDED_BYTES:
            yield some
            some, size = [], 0
        some.append(record)
        size += len(record.value)
    yield some
