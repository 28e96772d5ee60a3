"""The context of a rebuild: its connections to Kafka and ClickHouse, and its child processes."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NamedTuple

from kafka.errors import KafkaError

from deploy.config.settings import Configuration
from deploy.kafka.clients import kafka_connection
from deploy.kafka.control import Control, Generation, watch
from deploy.kafka.topics import Cluster, KafkaNotReady
from deploy.kafka.topology import readers
from deploy.operations.rebuild.leftovers import remove_abandoned
from deploy.operations.rebuild.live_copy import LiveCopy
from deploy.operations.rebuild.processes import Crew
from deploy.operations.rebuild.replay import Processing, Replay, Say
from deploy.runtime.signals import Interrupts
from ingest.publishing.blocking import BatchPublisher
from schemas.errors import TouchlineError
from sinks.clickhouse.client import ClickHouse, ClickHouseError
from sinks.clickhouse.epochs import Epochs

#: Seconds to wait for the processes of an epoch to join their groups.
MEMBERS_S = 90.0
_LOOK_S = 0.2


class RebuildError(TouchlineError):
    """The rebuild is impossible or was ended; the message is one line that says what to do."""


class Tools(NamedTuple):
    """The open publishers of an epoch."""

    processing: Processing
    replay: Replay
    copy: LiveCopy


class Site:
    """The context of a rebuild, for the main thread; at its end no process is left.

    While it is entered, SIGTERM raises KeyboardInterrupt too.
    """

    def __init__(
        self, configuration: Configuration, store: ClickHouse, cluster: Cluster, say: Say
    ) -> None:
        self.settings = configuration.settings
        self.store = store
        self.cluster = cluster
        self.say = say
        self.epochs = Epochs(store, self.settings.namespace)
        self._interrupts = Interrupts()
        self._crew = Crew(configuration, self._interrupts, say)
        self._own: Generation | None = None
        self._overtaken = False

    def __enter__(self) -> Site:
        self._interrupts.take()
        return self

    def __exit__(self, *_: object) -> None:
        self._uninterrupted()
        self._crew.stop()
        self._interrupts.give_back()

    def work_on(self, own: Generation) -> None:
        """Start the processes of an epoch and wait for them to join. Raises `RebuildError`."""
        self._own = own
        watch(self.settings.kafka, self.settings.namespace, self._heard)
        self._crew.start()
        if not self.members(own, 1):
            raise RebuildError(f"the processes do not start, see {self._crew.folder}")

    def abandon(self, own: Generation) -> None:
        """Stop the processes, and remove everything that was built."""
        self._uninterrupted()
        self._crew.stop()
        self.say("removing what was built")
        try:
            remove_abandoned(self.settings, self.store, self.cluster, own)
        except (KafkaError, KafkaNotReady, ClickHouseError):
            self.say("that did not succeed; the next rebuild does it")

    def beat(self) -> None:
        """Check the processes; call it often. Raises `RebuildError` once another rebuild begins."""
        self._crew.check()
        if self._overtaken:
            raise RebuildError("another rebuild has begun, this one ends")

    def processing(self, of: Generation) -> Processing:
        """Return the processes of an epoch."""
        return Processing(self.settings, of.namespace, self.say, self.beat)

    @contextmanager
    def tools(self, own: Generation) -> Iterator[Tools]:
        """Yield the publishers to an epoch: from the history, and from the generation before it."""
        processing = self.processing(own)
        connection = kafka_connection(self.settings.kafka, own.namespace)
        before = own.before or self.settings.namespace
        with (
            BatchPublisher(connection, client_id="touchline-rebuild") as publisher,
            LiveCopy(self.settings.kafka, before, own.namespace, publisher) as copy,
        ):
            yield Tools(processing, Replay(processing, publisher), copy)

    def members(self, of: Generation, count: int, within: float = MEMBERS_S) -> bool:
        """Wait until every consumer group of an epoch has `count` members; False on timeout."""
        groups = sorted({one.group for one in readers(of.namespace)})
        deadline = time.monotonic() + within
        while min(self.cluster.members(groups).values()) < count:
            if time.monotonic() > deadline:
                return False
            self.beat()
            time.sleep(_LOOK_S)
        return True

    def _heard(self, control: Control) -> None:
        if self._own is not None and control.present is not None:
            self._overtaken = not control.names(self._own.epoch)

    def _uninterrupted(self) -> None:
        """Ignore further signals, so that they cannot interrupt the following steps."""
        self._interrupts.call_instead(lambda: None)
