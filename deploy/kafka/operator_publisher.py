"""The Kafka publishers of operators' commands: imports, pulls, replays, splits and rebuilds.

`OperatorPublisher` writes to the topics of one generation. `PresentPublisher` writes to those of
the present generation, and changes over when a rebuild makes another one present.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from typing import Self

from deploy.config.identity_policy import order_problem
from deploy.config.sections import KafkaSettings
from deploy.config.settings import Settings
from deploy.kafka.clients import kafka_connection
from deploy.kafka.control import present_generation
from deploy.kafka.lag import settled
from deploy.kafka.topics import KafkaNotReady
from deploy.kafka.topology import readers
from ingest.publishing.blocking import BatchPublisher
from ingest.publishing.port import Message, NotAcknowledged
from schemas.topics import full_name

#: Bytes sent at once to the embedded broker, which holds 5 MB per partition: the rest of that is
#: left for other traffic.
_EMBEDDED_BYTES = 1_000_000
#: Interval at which the present generation is read.
_CONTROL_S = 5.0
_PAUSE_S = 0.5


class OperatorPublisher:
    """A blocking publisher to the topics of one generation; a context manager that disconnects."""

    def __init__(
        self, kafka: KafkaSettings, namespace: str, client_id: str, wait_s: float = 60.0
    ) -> None:
        """Connect. `wait_s` bounds connecting, publishing and settling, each.

        Raises `NotAcknowledged` if Kafka is not reachable.
        """
        self._kafka = kafka
        self._namespace = namespace
        self._wait_s = wait_s
        self._publisher = BatchPublisher(
            kafka_connection(kafka, namespace), client_id=client_id, deliver_s=wait_s
        )

    def publish(self, records: Iterable[Message]) -> None:
        """Publish; return once Kafka has all records. Raises `NotAcknowledged`."""
        self._publisher.publish(records)

    def publish_durably(self, records: Sequence[Message]) -> None:
        """Publish; return once no record can be lost any more. Raises `NotAcknowledged`.

        The embedded broker loses its records when it ends, so there only records that have reached
        ClickHouse count as published.
        """
        if not self._kafka.embedded:
            self.publish(records)
            return
        for some in _slices(records):
            self.publish(some)
            if not self.settle():
                raise NotAcknowledged(
                    f"what was sent is not in ClickHouse after {self._wait_s:g} s: see that worker "
                    "and sink run"
                )

    def settle(self, without: Collection[str] = ()) -> bool:
        """Wait until all records now in the topics have reached ClickHouse; False on timeout.

        Does not wait for the readers of the topics `without`, logical names.
        """
        names = {full_name(self._namespace, topic) for topic in without}
        awaited = [reader for reader in readers(self._namespace) if reader.topic not in names]
        return settled(self._kafka, awaited, self._wait_s)

    def close(self) -> None:
        """Disconnect."""
        self._publisher.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


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


class PresentPublisher:
    """`ingest.files.publish.Outlet` to the present generation; a context manager, disconnects.

    Records that the broker refuses on the topics of a former generation go to the new ones.
    """

    def __init__(
        self,
        settings: Settings,
        client_id: str,
        wait_s: float,
        *,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        """Prepare; the first `send` connects. `wait_s` bounds connecting and each sending."""
        self._settings = settings
        self._client_id = client_id
        self._wait_s = wait_s
        self._clock = clock
        self._sleep = sleep
        self._publisher: OperatorPublisher | None = None
        self._namespace = ""
        self._control_read = 0.0

    def send(self, records: Sequence[Message]) -> None:
        """See `Outlet`. Raises NotAcknowledged if Kafka does not accept them within `wait_s`."""
        deadline = self._clock() + self._wait_s
        while True:
            try:
                self._connected().publish_durably(records)
                return
            except (NotAcknowledged, KafkaNotReady) as error:
                self.close()
                if self._clock() > deadline:
                    raise NotAcknowledged(str(error)) from error
            self._sleep(_PAUSE_S)

    def _connected(self) -> OperatorPublisher:
        if self._publisher is None or self._clock() - self._control_read > _CONTROL_S:
            generation = present_generation(self._settings)
            self._control_read = self._clock()
            if problem := order_problem(self._settings.identity.policy(), generation.policy):
                raise KafkaNotReady(problem)
            if generation.namespace != self._namespace:
                self.close()
            self._namespace = generation.namespace
        if self._publisher is None:
            self._publisher = OperatorPublisher(
                self._settings.kafka, self._namespace, self._client_id, self._wait_s
            )
        return self._publisher

    def close(self) -> None:
        """Disconnect; the next `send` connects again."""
        publisher, self._publisher = self._publisher, None
        if publisher is not None:
            with contextlib.suppress(Exception):
                publisher.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
