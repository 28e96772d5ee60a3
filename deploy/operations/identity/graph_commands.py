"""Operator commands to the graph, sent into its log, and the wait until the views show them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Self

from deploy.config.settings import Settings
from deploy.kafka.clients import kafka_connection
from deploy.kafka.control import present_generation
from deploy.kafka.lag import settled
from deploy.kafka.topology import readers
from ingest.publishing.blocking import BatchPublisher
from ingest.publishing.port import Message
from schemas.identifiers import identifier_id
from schemas.messages import SplitCommand, encode
from schemas.topics import LINK_REQUESTS, TOUCHPOINTS, full_name

#: The graph reads all links and commands in one order, from this partition.
_PARTITION = 0


class KafkaCommands:
    """`split.Commands` over Kafka; a context manager that disconnects."""

    def __init__(self, settings: Settings, wait_s: float) -> None:
        """Connect. `wait_s` bounds connecting, sending and settling, each.

        Raises `NotAcknowledged` or `deploy.kafka.topics.KafkaNotReady` when Kafka
        is not reachable.
        """
        self._settings = settings
        self._wait_s = wait_s
        self._namespace = present_generation(settings).namespace
        connection = kafka_connection(settings.kafka, self._namespace)
        self._publisher = BatchPublisher(
            connection, client_id="touchline-identity", deliver_s=wait_s
        )

    def send(self, commands: Sequence[SplitCommand]) -> None:
        """See `split.Commands`."""
        self._publisher.publish(_message(command) for command in commands)

    def settle(self) -> bool:
        """See `split.Commands`. Does not wait for touches that are still unread."""
        touches = full_name(self._namespace, TOUCHPOINTS.name)
        everybody = readers(self._namespace)
        behind = [reader for reader in everybody if reader.topic != touches]
        return settled(self._settings.kafka, behind, self._wait_s)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._publisher.close()


def _message(command: SplitCommand) -> Message:
    lead = command.lead_kind, command.lead_value
    key = identifier_id(*(lead if command.lead_kind else (command.kind, command.value)))
    return Message(LINK_REQUESTS.name, key.encode(), encode(command), partition=_PARTITION)
