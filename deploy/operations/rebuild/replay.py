"""A replay of the history to the topics of an epoch: links first, then touches.

The links were decided in one order, and the graph decides them in that order again. Touches follow
once the answers have arrived, so no touch asks for one of these links, and every conflict has the
same result as before.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterable, Iterator, Sequence

from deploy.config.settings import Settings
from deploy.kafka.admission import Backlog
from deploy.kafka.lag import BrokerLags, Lag, Lags, Reader, drain
from deploy.kafka.topics import Cluster
from deploy.kafka.topology import readers
from deploy.operations.rebuild.history import History
from ingest.publishing.blocking import BatchPublisher
from ingest.publishing.port import Message
from schemas.topics import ASSIGNMENTS, LINK_REQUESTS, TOUCHPOINTS, TRAILS, full_name

#: Records sent, and acknowledged, at once.
_SLICE = 4_000
_PROGRESS_S = 10.0
#: Seconds after which a wait is reported; it then continues, because records in Kafka stay there.
_DRAIN_S = 30.0

#: Topics whose records are replayed with their original times, which may be years ago.
_REPLAYED = (TOUCHPOINTS, LINK_REQUESTS)

Say = Callable[[str], None]


def keep(cluster: Cluster, namespace: str) -> None:
    """Have Kafka keep replayed records however old they are, until `keep_no_longer`."""
    names = [full_name(namespace, topic.name) for topic in _REPLAYED]
    cluster.configure(names, {"retention.ms": "-1"})


def keep_no_longer(cluster: Cluster, namespace: str) -> None:
    """Restore the normal retention of those topics."""
    for topic in _REPLAYED:
        cluster.configure([full_name(namespace, topic.name)], topic.config())


class Processing:
    """The processes of one generation, and their progress."""

    def __init__(
        self,
        settings: Settings,
        namespace: str,
        say: Say,
        beat: Callable[[], None] = lambda: None,
    ) -> None:
        """Prepare. `beat` is called often during a wait; its exceptions end the wait."""
        self.settings = settings
        self.namespace = namespace
        self.say = say
        self.beat = beat

    def readers(self) -> list[Reader]:
        """Return all readers of topics of the generation."""
        return readers(self.namespace)

    def answered(self) -> None:
        """Wait until all present links are decided and the `trails` stage has the answers."""
        names = {full_name(self.namespace, topic.name) for topic in (LINK_REQUESTS, ASSIGNMENTS)}
        self._wait(one for one in self.readers() if one.topic in names)

    def drained(self) -> None:
        """Wait until all records that are present now have reached ClickHouse."""
        self._wait(self.readers())

    def reached(self, topic: str) -> dict[int, int]:
        """Return partition -> offset up to which a topic, by its logical name, is processed."""
        return {lag.partition: max(lag.committed, lag.start) for lag in self._lags(topic)}

    def ends(self, topic: str) -> dict[int, int]:
        """Return partition -> end offset of a topic, by its logical name, at this moment."""
        return {lag.partition: lag.end for lag in self._lags(topic)}

    def _lags(self, topic: str) -> list[Lag]:
        name = full_name(self.namespace, topic)
        whom = [one for one in self.readers() if one.topic == name]
        with contextlib.closing(BrokerLags(self.settings.kafka, whom)) as lags:
            return lags.read()

    def _wait(self, whom: Iterable[Reader]) -> None:
        def beat() -> bool:
            self.beat()
            return False

        with contextlib.closing(BrokerLags(self.settings.kafka, whom)) as lags:
            while not drain(lags, _DRAIN_S, give_up=beat):
                self.say(f"{_unread(lags, self.namespace)} still to be processed")


class Replay:
    """A publisher of the history to one generation."""

    def __init__(
        self,
        processing: Processing,
        publisher: BatchPublisher,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._processing = processing
        self._publisher = publisher
        self._clock = clock

    def links(self, history: History) -> int:
        """Publish the links and splits, and wait for the graph's answers; return how many."""
        counts = history.counts()
        total = counts.links + counts.splits
        if not total:
            return 0
        self._processing.say(f"deciding {counts.links:,} links and {counts.splits:,} splits again")
        self._publish(history.links(), total, "links")
        self._processing.answered()
        return total

    def touches(self, history: History, table: str) -> int:
        """Publish all touches by receipt, with that time; return how many. `table` is temporary."""
        try:
            total = history.put_in_order(table)
            if total:
                self._processing.say(f"processing {total:,} stored touchpoints again")
                self._publish(history.touches(table), total, "touchpoints")
        finally:
            history.drop(table)
        return total

    def _publish(self, pages: Iterator[Sequence[Message]], total: int, what: str) -> None:
        began = said = self._clock()
        done = 0
        with self._room() as until_room:
            for page in pages:
                for start in range(0, len(page), _SLICE):
                    part = page[start : start + _SLICE]
                    self._publisher.publish(part)
                    done += len(part)
                    until_room()
                    self._processing.beat()
                if self._clock() - said > _PROGRESS_S:
                    said = self._clock()
                    rate = done / (said - began)
                    self._processing.say(f"{done:,} of {total:,} {what} published, {rate:,.0f}/s")

    @contextlib.contextmanager
    def _room(self) -> Iterator[Callable[[], None]]:
        """Yield a function that waits until the embedded broker has room; a real one always has."""
        processing = self._processing
        kafka, namespace = processing.settings.kafka, processing.namespace
        if not kafka.embedded:
            yield lambda: None
            return
        source, between = (full_name(namespace, topic.name) for topic in (TOUCHPOINTS, TRAILS))
        with contextlib.closing(BrokerLags(kafka, processing.readers())) as lags:
            backlog = Backlog(lags, source, between)

            def until_room() -> None:
                while backlog.is_full():
                    processing.beat()
                    time.sleep(0.1)

            yield until_room


def _unread(lags: Lags, namespace: str) -> str:
    """Describe the largest lag of any topic."""
    most: dict[str, int] = {}
    for lag in lags.read():
        by_reader = most.setdefault(lag.reader.topic, 0)
        most[lag.reader.topic] = by_reader + lag.records
    topic = max(most, key=lambda name: most[name])
    return f"{most[topic]:,} records of {topic.removeprefix(namespace).removeprefix('.')}"
