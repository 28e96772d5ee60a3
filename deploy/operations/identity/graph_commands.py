"""Operator commands to the graph, sent into its log, and the wait until the views show them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Self

from deploy.config.settings import Settings
from deploy.kafka.control import present_generation
from deploy.kafka.operator_publisher import OperatorPublisher
from ingest.publishing.port import Message
from schemas.identifiers import identifier_id
from schemas.messages import SplitCommand, encode
from schemas.topics import LINK_REQUESTS, TOUCHPOINTS

#: The graph reads all links and commands in one order, from this partition.
_PARTITION = 0


class KafkaCommands:
    """`split.Commands` over Kafka; a context manager that disconnects."""

    def __init__(self, settings: Settings, wait_s: float) -> None:
        """Connect. `wait_s` bounds connecting, sending and settling, each.

        Raises `NotAcknowledged` or `deploy.kafka.topics.KafkaNotReady` when Kafka
        is not reachable.
        """
        namespace = present_generation(settings).namespace
        self._publisher = OperatorPublisher(settings.kafka, namespace, "touchline-identity", wait_s)

    def send(self, commands: Sequence[SplitCommand]) -> None:
        """See `split.Commands`."""
        self._publisher.publish(_message(command) for command in commands)

    def settle(self) -> bool:
        """See `split.Commands`. Does not wait for touches that are still unread."""
        return self._publisher.settle(without=[TOUCHPOINTS.name])

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._publisher.close()


def _message(command: SplitCommand) -> Message:
    lead = command.lead_kind, command.lead_value
    key = identifier_id(*(lead if command.lead_kind else (command.kind, command.value)))
    return Message(LINK_REQUESTS.name, key.encode(), encode(command), partition=_PARTITION)
