"""The progress of a generation's processes, and waits for it."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable

from deploy.config.settings import Settings
from deploy.kafka.lag import BrokerLags, Lag, Lags, Reader, drain
from deploy.kafka.topology import readers
from schemas.topics import ASSIGNMENTS, LINK_REQUESTS, full_name

#: Seconds after which a wait is reported; it then continues, because records in Kafka stay there.
_DRAIN_S = 30.0

Say = Callable[[str], None]


class GenerationProgress:
    """The progress of the processes of one generation through its topics."""

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

    def wait_until_answered(self) -> None:
        """Wait until all present links are decided and the `trails` stage has the answers."""
        names = {full_name(self.namespace, topic.name) for topic in (LINK_REQUESTS, ASSIGNMENTS)}
        self._wait(one for one in self.readers() if one.topic in names)

    def wait_until_drained(self) -> None:
        """Wait until all records that are present now have reached ClickHouse."""
        self._wait(self.readers())

    def processed_offsets(self, topic: str) -> dict[int, int]:
        """Return partition -> offset up to which a topic, by its logical name, is processed."""
        return {lag.partition: max(lag.committed, lag.start) for lag in self._lags(topic)}

    def end_offsets(self, topic: str) -> dict[int, int]:
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


def _unread(lags: Lags, namespace: str) -> str:
    """Describe the largest lag of any topic."""
    most: dict[str, int] = {}
    for lag in lags.read():
        by_reader = most.setdefault(lag.reader.topic, 0)
        most[lag.reader.topic] = by_reader + lag.records
    topic = max(most, key=lambda name: most[name])
    return f"{most[topic]:,} records of {topic.removeprefix(namespace).removeprefix('.')}"
