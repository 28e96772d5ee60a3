"""The process that pulls the configured sources, each in a thread of its own."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from deploy.config.settings import Configuration, Settings
from deploy.kafka.cursors import cursors
from deploy.kafka.detect_embedded import detect_embedded
from deploy.kafka.operator_publisher import PresentPublisher
from deploy.runtime.factories.sources import batch_sources, limits
from deploy.runtime.metrics.counters import PullCounters
from deploy.runtime.observed import observed
from deploy.runtime.signals import stop_event
from ingest.connector import BatchConnector
from ingest.files.pull import Pull, PullMetrics
from ingest.files.reader import BatchSource, SourceReader
from schemas.errors import TouchlineError
from schemas.times import now_ms

_SEND_S = 60.0
#: Seconds that a batch in progress gets after a stop; then it is given up, and read again later.
_GRACE_S = 10.0


class PullProblem(TouchlineError):
    """There is nothing to pull. The message is one line."""


def pulled(loaded: Configuration) -> dict[str, BatchSource]:
    """Return the sources that are pulled. Raises `ConfigurationError`."""
    return {
        source.name: source
        for source in batch_sources(loaded)
        if isinstance(source.connector, BatchConnector) and source.connector.pulls
    }


def pulled_sources(loaded: Configuration, names: Sequence[str] = ()) -> list[BatchSource]:
    """Return all pulled sources, or those of these names. Raises PullProblem if there are none."""
    found = pulled(loaded)
    if unknown := [name for name in names if name not in found]:
        raise PullProblem(f"no source that is pulled has the name {', '.join(unknown)}")
    if not found:
        raise PullProblem("no source is configured that has to be pulled")
    return [found[name] for name in dict.fromkeys(names or found)]


def run(configuration: Configuration, names: Sequence[str], data: Path, *, once: bool) -> bool:
    """Pull all sources, or those of these names; return False if one could not be read to its end.

    `once` reads each to its end; otherwise this runs until SIGTERM or SIGINT. `data` is the folder
    of `up`. Raises PullProblem.
    """
    sources = pulled_sources(configuration, names)
    settings = detect_embedded(configuration.settings)
    counters = PullCounters(sources=[(one.name, one.connector.name) for one in sources])
    if once:
        puller = Puller(settings, data, counters, threading.Event())
        return all([puller.once(source) for source in sources])
    puller = Puller(settings, data, counters, stop_event())
    with observed(settings, settings.metrics.port) as health:
        health.started()
        puller.forever(sources)
    return True


@dataclass(frozen=True, slots=True)
class Puller:
    """A puller of sources into Kafka, which `settings` name; `data` is the folder of `up`."""

    settings: Settings
    data: Path
    metrics: PullMetrics
    stop: threading.Event

    def once(self, source: BatchSource) -> bool:
        """Read a source to its end; return True if it succeeded."""
        with self._pull(source) as pull:
            _, complete = pull.once()
        return complete

    def forever(self, sources: Sequence[BatchSource]) -> None:
        """Pull until `stop` is set."""
        threads = [
            threading.Thread(
                target=self._forever, args=(source,), name=f"pull-{source.name}", daemon=True
            )
            for source in sources
        ]
        for thread in threads:
            thread.start()
        self.stop.wait()
        for thread in threads:
            thread.join(_GRACE_S)

    def _forever(self, source: BatchSource) -> None:
        with self._pull(source) as pull:
            pull.forever(self.stop.wait)

    @contextlib.contextmanager
    def _pull(self, source: BatchSource) -> Iterator[Pull]:
        reader = SourceReader(source, limits(self.settings), now_ms)
        with (
            contextlib.closing(cursors(self.settings, self.data)) as kept,
            PresentPublisher(self.settings, "touchline-pull", _SEND_S) as outlet,
        ):
            yield Pull(reader, kept, outlet, self.metrics, self.stop.is_set)
