"""The Kafka publisher of a replay, to the topics of one epoch and only while that is present."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Self

from deploy.config.identity_policy import order_problem
from deploy.config.settings import Settings
from deploy.kafka.control import load_control, present_generation
from deploy.kafka.operator_publisher import OperatorPublisher
from deploy.operations.rejected.replay import ReplayError
from ingest.publishing.port import Message


class KafkaReplayPublisher:
    """`deploy.operations.rejected.replay.ReplayPublisher` over Kafka; a context manager."""

    def __init__(self, settings: Settings, shown: int, wait_s: float) -> None:
        """Connect. `shown`: the epoch of the views. `wait_s` bounds connecting, sending, settling.

        Raises `ReplayError`, `ingest.publishing.port.NotAcknowledged` and
        `deploy.kafka.topics.KafkaNotReady`.
        """
        self._settings = settings
        self._shown = shown
        present = present_generation(settings)
        if problem := order_problem(settings.identity.policy(), present.policy):
            raise ReplayError(problem)
        self.check()
        self._publisher = OperatorPublisher(
            settings.kafka, present.namespace, "touchline-rejected", wait_s
        )

    def check(self) -> None:
        """See `deploy.operations.rejected.replay.ReplayPublisher`."""
        control = load_control(self._settings)
        present = control.present
        if control.next is not None or present is None or present.epoch != self._shown:
            raise ReplayError("a rebuild is under way, replay once its epoch is shown")

    def send(self, records: Sequence[Message]) -> None:
        """See `deploy.operations.rejected.replay.ReplayPublisher`."""
        self._publisher.publish_durably(records)

    def settle(self) -> bool:
        """Wait until all sent records have reached ClickHouse; return False on timeout."""
        return self._publisher.settle()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._publisher.close()
