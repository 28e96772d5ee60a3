"""One run of a contender: from the moment at which it may begin to the last record it publishes.

It is started on one record of each partition. When it has processed them it is paused (SIGSTOP),
the other events are published, and it is resumed. So neither its start nor the filling counts, and
its first batch does. The end is the last record by the broker's clock, changelogs included: the
wait until the broker reports that everything is committed does not count.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import time
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from benchmarks.contenders import Contender
from benchmarks.kafka import fill, positions, published_last, topics_of
from benchmarks.usage import Usage, running, tree
from benchmarks.workload import PARTITIONS, Event
from deploy.kafka.lag import BrokerLags, drain
from deploy.local.kafka import LocalKafka
from schemas.topics import partition_of

_TIMEOUT = 3600.0
#: The shortest session of a contender is 45 s.
_LONGEST_STOP_S = 40.0


class Measured(NamedTuple):
    """The figures of a run."""

    seconds: float
    cpu_seconds: float
    #: CPU seconds of the broker, meanwhile.
    broker_seconds: float
    #: All processes of the contender together.
    peak_mb: float


def load(contender: Contender, folder: Path, node: LocalKafka, events: Iterable[Event]) -> float:
    """Run all these events, without limit of number; return seconds, its start included."""
    fill(node.bootstrap_servers, contender.input, events)
    began = time.monotonic()
    with _started(contender, folder) as started:
        started.finish()
    return time.monotonic() - began


def measure(
    contender: Contender, folder: Path, node: LocalKafka, events: Iterable[Event]
) -> Measured:
    """Publish the events, run the contender until it has processed all of them, then stop it."""
    servers = node.bootstrap_servers
    waiting = iter(events)
    fill(servers, contender.input, _one_of_each_partition(waiting))
    with _started(contender, folder) as started:
        started.finish()
        with started.standing_still():
            fill(servers, contender.input, waiting)
            before = positions(servers, topics_of(servers, contender.prefix))
            usage, of_broker = Usage(started.pids), Usage([node.pid])
            begin = time.time()
        started.finish()
        usage.stop()
        of_broker.stop()
    names = topics_of(servers, contender.prefix)
    skipped = {contender.input, *contender.endless}
    end = published_last(servers, [name for name in names if name not in skipped], before)
    return Measured(end - begin, usage.cpu(begin, end), of_broker.cpu(begin, end), usage.peak_mb())


def _one_of_each_partition(events: Iterator[Event]) -> list[Event]:
    """Return the first events, up to the one with which every partition has one."""
    first, missing = list[Event](), set(range(PARTITIONS))
    for event in events:
        first.append(event)
        missing.discard(partition_of(event.key, PARTITIONS))
        if not missing:
            break
    return first


class _Started:
    """A running contender."""

    def __init__(
        self,
        contender: Contender,
        processes: Sequence[subprocess.Popen[bytes]],
        lags: BrokerLags,
        log: Path,
    ) -> None:
        self.pids = [one.pid for one in processes]
        self._contender = contender
        self._processes = processes
        self._lags = lags
        self._log = log

    def finish(self) -> None:
        """Wait until it has processed all published events."""
        done = drain(
            self._lags,
            _TIMEOUT,
            sleep=lambda _: time.sleep(0.5),
            give_up=lambda: any(one.poll() is not None for one in self._processes),
        )
        if not done:
            said = self._log.read_text(errors="replace").splitlines()[-15:]
            raise SystemExit("\n".join([*said, f"{self._contender.prefix} did not get to the end"]))

    @contextlib.contextmanager
    def standing_still(self) -> Iterator[None]:
        """Pause the processes meanwhile; for less time than Kafka waits for their heartbeats."""
        began = time.monotonic()
        pids = [one for pid in self.pids for one in tree(pid)]
        for pid in pids:
            os.kill(pid, signal.SIGSTOP)
        try:
            yield
        finally:
            for pid in pids:
                os.kill(pid, signal.SIGCONT)
        if time.monotonic() - began > _LONGEST_STOP_S:
            raise SystemExit("to publish so many events took too long on this machine; use fewer")


@contextlib.contextmanager
def _started(contender: Contender, folder: Path) -> Iterator[_Started]:
    log = folder / "output"
    with contextlib.ExitStack() as stack:
        lags = stack.enter_context(
            contextlib.closing(BrokerLags(contender.kafka, contender.readers))
        )
        processes = [
            stack.enter_context(running(one.command, one.environment, log, one.core))
            for one in contender.processes
        ]
        yield _Started(contender, processes, lags, log)
