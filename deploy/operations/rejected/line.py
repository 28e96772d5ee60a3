"""The Kafka connection of a replay, to the topics of one epoch and only while that is present."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Self

from kafka.errors import KafkaError

from deploy.config.identity_policy import order_problem
from deploy.config.settings import Settings
from deploy.kafka.clients import kafka_connection
from deploy.kafka.control import present_generation, read_control
from deploy.kafka.lag import settled
from deploy.kafka.outlet import deliver
from deploy.kafka.topics import KafkaNotReady
from deploy.kafka.topology import readers
from deploy.operations.rejected.replay import ReplayError
from ingest.publishing.blocking import BatchPublisher
from ingest.publishing.port import Message


class KafkaLine:
    """`deploy.operations.rejected.replay.Line` over Kafka; a context manager that disconnects."""

    def __init__(self, settings: Settings, shown: int, wait_s: float) -> None:
        """Connect. `shown`: the epoch of the views. `wait_s` bounds connecting, sending, settling.

        Raises `ReplayError`, `ingest.publishing.port.NotAcknowledged` and
        `deploy.kafka.topics.KafkaNotReady`.
        """
        self._settings = settings
        self._shown = shown
        self._wait_s = wait_s
        present = present_generation(settings)
        if problem := order_problem(settings.identity.policy(), present.policy):
            raise ReplayError(problem)
        self._namespace = present.namespace
        self.check()
        connection = kafka_connection(settings.kafka, present.namespace)
        self._publisher = BatchPublisher(
            connection, client_id="touchline-rejected", deliver_s=wait_s
        )

    def check(self) -> None:
        """See `deploy.operations.rejected.replay.Line`."""
        try:
            control = read_control(self._settings.kafka, self._settings.namespace)
        except (KafkaError, OSError) as error:
            raise KafkaNotReady(
                f"Kafka at {self._settings.kafka.bootstrap_servers} does not answer: "
                f"{type(error).__name__}"
            ) from error
        present = control.present
        if control.next is not None or present is None or present.epoch != self._shown:
            raise ReplayError("a rebuild is under way, replay once its epoch is shown")

    def send(self, records: Sequence[Message]) -> None:
        """See `deploy.operations.rejected.replay.Line`."""
        deliver(self._publisher, self._settings, self._namespace, records, self._wait_s)

    def settle(self) -> bool:
        """Wait until all sent records have reached ClickHouse; return False on timeout."""
        everybody = readers(self._namespace)
        return settled(self._settings.kafka, everybody, self._wait_s)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._publisher.close()
