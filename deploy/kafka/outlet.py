"""The Kafka publisher of imports and pulls, on the topics of the present epoch.

A rebuild may make another epoch present meanwhile; records that the broker then refuses on the
former topics go to the new ones.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Self

from deploy.config.identity_policy import order_problem
from deploy.config.settings import Settings
from deploy.kafka import control
from deploy.kafka.clients import kafka_connection
from deploy.kafka.lag import settled
from deploy.kafka.topics import KafkaNotReady
from deploy.kafka.topology import readers
from ingest.publishing.blocking import BatchPublisher
from ingest.publishing.port import Message, NotAcknowledged

#: Bytes sent at once to the embedded broker, which holds 5 MB per partition: the rest of that is
#: left for other traffic.
_EMBEDDED_BYTES = 1_000_000
#: Interval at which the present epoch is read.
_LOOK_S = 5.0
_PAUSE_S = 0.5


def deliver(
    publisher: BatchPublisher,
    settings: Settings,
    namespace: str,
    records: Sequence[Message],
    wait_s: float,
) -> None:
    """Publish; return once Kafka has all records. Raises NotAcknowledged.

    The embedded broker loses its records when it ends, so there only records that have reached
    ClickHouse count as sent.
    """
    if not settings.kafka.embedded:
        publisher.publish(records)
        return
    for some in _slices(records):
        publisher.publish(some)
        if not settled(settings.kafka, readers(namespace), wait_s):
            raise NotAcknowledged(
                f"what was sent is not in ClickHouse after {wait_s:g} s: see that worker and sink "
                "run"
            )


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


class KafkaOutlet:
    """`ingest.files.publish.Outlet` over Kafka; a context manager that disconnects."""

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
        self._publisher: BatchPublisher | None = None
        self._namespace = ""
        self._looked = 0.0

    def send(self, records: Sequence[Message]) -> None:
        """See `Outlet`. Raises NotAcknowledged if Kafka does not accept them within `wait_s`."""
        deadline = self._clock() + self._wait_s
        while True:
            try:
                publisher = self._connected()
                deliver(publisher, self._settings, self._namespace, records, self._wait_s)
                return
            except (NotAcknowledged, KafkaNotReady) as error:
                self.close()
                if self._clock() > deadline:
                    raise NotAcknowledged(str(error)) from error
            self._sleep(_PAUSE_S)

    def _connected(self) -> BatchPublisher:
        if self._publisher is None or self._clock() - self._looked > _LOOK_S:
            present = control.present_generation(self._settings)
            self._looked = self._clock()
            if problem := order_problem(self._settings.identity.policy(), present.policy):
                raise KafkaNotReady(problem)
            if present.namespace != self._namespace:
                self.close()
            self._namespace = present.namespace
        if self._publisher is None:
            self._publisher = BatchPublisher(
                kafka_connection(self._settings.kafka, self._namespace),
                client_id=self._client_id,
                deliver_s=self._wait_s,
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
