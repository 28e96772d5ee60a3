"""The history, published to the topics of an epoch: links first, then touches.

The links were decided in one order, and the graph decides them in that order again. When their
answers have arrived, no touch asks for one of them, and every conflict comes out as it did.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterable, Iterator, Sequence

from deploy.config.settings import Settings
from deploy.kafka.lag import BrokerLags, Lag, Lags, Reader, drain
from deploy.kafka.topics import Cluster
from deploy.local.admission import HIGH, fill
from deploy.operations.rebuild.history import History
from deploy.runtime.stages import readers
from ingest.publishing.blocking import BatchPublisher
from ingest.publishing.port import Message
from schemas.topics import ASSIGNMENTS, LINKS, TOUCHPOINTS, TRAILS, full_name

#: Sent, and waited for, at once.
_SLICE = 4_000
_PROGRESS_S = 10.0
#: A stage that does not run is said, not waited for less: what is in Kafka stays there.
_DRAIN_S = 30.0

#: What is replayed at the times at which it came in, which may be years ago.
_REPLAYED = (TOUCHPOINTS, LINKS)

Say = Callable[[str], None]


def keep(cluster: Cluster, namespace: str) -> None:
    """Have Kafka keep what is replayed however old it is, until `keep_no_longer`."""
    names = [full_name(namespace, topic.name) for topic in _REPLAYED]
    cluster.configure(names, {"retention.ms": "-1"})


def keep_no_longer(cluster: Cluster, namespace: str) -> None:
    """Have Kafka delete from those topics as from others."""
    for topic in _REPLAYED:
        cluster.configure([full_name(namespace, topic.name)], topic.config())


class Processing:
    """The processes of one generation, and how far they are."""

    def __init__(
        self,
        settings: Settings,
        namespace: str,
        say: Say,
        beat: Callable[[], None] = lambda: None,
    ) -> None:
        """`beat` is called often while something is waited for; what it raises ends the waiting."""
        self.settings = settings
        self.namespace = namespace
        self.say = say
        self.beat = beat

    def readers(self) -> list[Reader]:
        """Everybody who reads a topic of it."""
        return readers(self.settings, self.namespace)

    def answered(self) -> None:
        """Wait until the links that are there are decided and the homes know the answers."""
        names = {full_name(self.namespace, topic.name) for topic in (LINKS, ASSIGNMENTS)}
        self._wait(one for one in self.readers() if one.topic in names)

    def drained(self) -> None:
        """Wait until everything that is there now has gone all the way into ClickHouse."""
        self._wait(self.readers())

    def reached(self, topic: str) -> dict[int, int]:
        """Partition -> offset up to which a topic, by its logical name, is processed."""
        return {lag.partition: max(lag.committed, lag.start) for lag in self._lags(topic)}

    def ends(self, topic: str) -> dict[int, int]:
        """Partition -> where a topic, by its logical name, ends at this moment."""
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
    """Publishes the history to one generation."""

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
        """Publish what the graph decided about, and wait for its answers; how many."""
        counts = history.counts()
        total = counts.links + counts.splits
        if not total:
            return 0
        self._processing.say(f"deciding {counts.links:,} links and {counts.splits:,} splits again")
        self._publish(history.links(), total, "links")
        self._processing.answered()
        return total

    def touches(self, history: History, table: str) -> int:
        """Publish all touches by receipt, each at that time; how many. `table` is made for it."""
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
        """Waits until the embedded broker can hold more; another one always can."""
        processing = self._processing
        kafka, namespace = processing.settings.kafka, processing.namespace
        if not kafka.embedded:
            yield lambda: None
            return
        source, between = (full_name(namespace, topic.name) for topic in (TOUCHPOINTS, TRAILS))
        with contextlib.closing(BrokerLags(kafka, processing.readers())) as lags:

            def until_room() -> None:
                while fill(lags.read(), source, between) > HIGH:
                    processing.beat()
                    time.sleep(0.1)

            yield until_room


def _unread(lags: Lags, namespace: str) -> str:
    """The most that anybody has to read yet, by topic."""
    most: dict[str, int] = {}
    for lag in lags.read():
        by_reader = most.setdefault(lag.reader.topic, 0)
        most[lag.reader.topic] = by_reader + lag.records
    topic = max(most, key=lambda name: most[name])
    return f"{most[topic]:,} records of {topic.removeprefix(namespace).removeprefix('.')}"
