"""The context of a rebuild: its connections to Kafka and ClickHouse, and its child processes."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NamedTuple

from kafka.errors import KafkaError

from deploy.config.settings import Configuration
from deploy.kafka.control import Control, Generation, watch
from deploy.kafka.operator_publisher import OperatorPublisher
from deploy.kafka.topics import Cluster, KafkaNotReady
from deploy.kafka.topology import readers
from deploy.operations.rebuild.cleanup import remove_abandoned
from deploy.operations.rebuild.live_copy import LiveCopy
from deploy.operations.rebuild.processes import RebuildProcesses
from deploy.operations.rebuild.progress import GenerationProgress, Say
from deploy.operations.rebuild.replay import HistoryReplay
from deploy.runtime.signals import Interrupts
from schemas.errors import TouchlineError
from sinks.clickhouse.client import ClickHouse, ClickHouseError
from sinks.clickhouse.epochs import Epochs

#: Seconds to wait for the processes of an epoch to join their groups.
MEMBERS_S = 90.0
#: The name under which the publishers of a rebuild connect to Kafka.
CLIENT_ID = "touchline-rebuild"
_LOOK_S = 0.2


class RebuildError(TouchlineError):
    """The rebuild is impossible or was ended; the message is one line that says what to do."""


class Tools(NamedTuple):
    """The open publishers of an epoch."""

    progress: GenerationProgress
    replay: HistoryReplay
    copy: LiveCopy


class RebuildContext:
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
        self._processes = RebuildProcesses(configuration, self._interrupts, say)
        self._own: Generation | None = None
        self._overtaken = False

    def __enter__(self) -> RebuildContext:
        self._interrupts.install()
        return self

    def __exit__(self, *_: object) -> None:
        self._uninterrupted()
        self._processes.stop()
        self._interrupts.restore()

    def work_on(self, own: Generation) -> None:
        """Start the processes of an epoch and wait for them to join. Raises `RebuildError`."""
        self._own = own
        watch(self.settings.kafka, self.settings.namespace, self._heard)
        self._processes.start()
        if not self.members(own, 1):
            raise RebuildError(f"the processes do not start, see {self._processes.folder}")

    def abandon(self, own: Generation) -> None:
        """Stop the processes, and remove everything that was built."""
        self._uninterrupted()
        self._processes.stop()
        self.say("removing what was built")
        try:
            remove_abandoned(self.settings, self.store, self.cluster, own)
        except (KafkaError, KafkaNotReady, ClickHouseError):
            self.say("that did not succeed; the next rebuild does it")

    def beat(self) -> None:
        """Check the processes; call it often. Raises `RebuildError` once another rebuild begins."""
        self._processes.check()
        if self._overtaken:
            raise RebuildError("another rebuild has begun, this one ends")

    def progress(self, of: Generation) -> GenerationProgress:
        """Return the progress of the processes of an epoch."""
        return GenerationProgress(self.settings, of.namespace, self.say, self.beat)

    @contextmanager
    def tools(self, own: Generation) -> Iterator[Tools]:
        """Yield the publishers to an epoch: from the history, and from the generation before it."""
        progress = self.progress(own)
        before = own.before or self.settings.namespace
        with (
            OperatorPublisher(self.settings.kafka, own.namespace, CLIENT_ID) as publisher,
            LiveCopy(self.settings.kafka, before, own.namespace, publisher) as copy,
        ):
            yield Tools(progress, HistoryReplay(progress, publisher), copy)

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
        self._interrupts.redirect(lambda: None)
