"""A replay of the history to the topics of an epoch: links first, then touches.

The links were decided in one order, and the graph decides them in that order again. Touches follow
once the answers have arrived, so no touch asks for one of these links, and every conflict has the
same result as before.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator, Sequence

from deploy.kafka.admission import Backlog
from deploy.kafka.lag import BrokerLags
from deploy.kafka.operator_publisher import OperatorPublisher
from deploy.kafka.topics import Cluster
from deploy.operations.rebuild.history import History
from deploy.operations.rebuild.progress import GenerationProgress
from ingest.publishing.port import Message
from schemas.topics import LINK_REQUESTS, TOUCHPOINTS, TRAILS, full_name

#: Records sent, and acknowledged, at once.
_SLICE = 4_000
_PROGRESS_S = 10.0

#: Topics whose records are replayed with their original times, which may be years ago.
_REPLAYED = (TOUCHPOINTS, LINK_REQUESTS)


def suspend_retention(cluster: Cluster, namespace: str) -> None:
    """Have Kafka keep replayed records however old they are, until `restore_retention`."""
    names = [full_name(namespace, topic.name) for topic in _REPLAYED]
    cluster.configure(names, {"retention.ms": "-1"})


def restore_retention(cluster: Cluster, namespace: str) -> None:
    """Restore the normal retention of those topics."""
    for topic in _REPLAYED:
        cluster.configure([full_name(namespace, topic.name)], topic.config())


class HistoryReplay:
    """A publisher of the history to one generation."""

    def __init__(
        self,
        progress: GenerationProgress,
        publisher: OperatorPublisher,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._progress = progress
        self._publisher = publisher
        self._clock = clock

    def links(self, history: History) -> int:
        """Publish the links and splits, and wait for the graph's answers; return how many."""
        counts = history.counts()
        total = counts.links + counts.splits
        if not total:
            return 0
        self._progress.say(f"deciding {counts.links:,} links and {counts.splits:,} splits again")
        self._publish(history.links(), total, "links")
        self._progress.wait_until_answered()
        return total

    def touches(self, history: History, table: str) -> int:
        """Publish all touches by receipt, with that time; return how many. `table` is temporary."""
        try:
            total = history.put_in_order(table)
            if total:
                self._progress.say(f"processing {total:,} stored touchpoints again")
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
                    self._progress.beat()
                if self._clock() - said > _PROGRESS_S:
                    said = self._clock()
                    rate = done / (said - began)
                    self._progress.say(f"{done:,} of {total:,} {what} published, {rate:,.0f}/s")

    @contextlib.contextmanager
    def _room(self) -> Iterator[Callable[[], None]]:
        """Yield a function that waits until the embedded broker has room; a real one always has."""
        progress = self._progress
        kafka, namespace = progress.settings.kafka, progress.namespace
        if not kafka.embedded:
            yield lambda: None
            return
        source, between = (full_name(namespace, topic.name) for topic in (TOUCHPOINTS, TRAILS))
        with contextlib.closing(BrokerLags(kafka, progress.readers())) as lags:
            backlog = Backlog(lags, source, between)

            def until_room() -> None:
                while backlog.is_full():
                    progress.beat()
                    time.sleep(0.1)

            yield until_room
