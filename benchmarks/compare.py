"""Ours and its peers, one after another on one broker, on the same events.

From the first record that a contender publishes to the last, by the broker's clock; changelogs
count as published. Start-up is not counted. A wrong result has no figures.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from statistics import median
from typing import NamedTuple

from benchmarks.contenders import MAKERS, Contender
from benchmarks.kafka import delete, fill, span, topics_of
from benchmarks.reference import check
from benchmarks.report import Table
from benchmarks.usage import Usage, running
from benchmarks.workload import REGIMES, Regime, Workload, workload
from deploy.lag import BrokerLags, drain
from deploy.local.kafka import LocalKafka

_TIMEOUT = 1800.0


class Run(NamedTuple):
    """One run of a contender on so many events."""

    contender: str
    regime: Regime
    events: int
    seconds: float
    cpu_seconds: float
    #: Of the broker, meanwhile.
    broker_seconds: float
    peak_mb: float

    @property
    def per_second(self) -> float:
        """Events per second."""
        return self.events / self.seconds

    @property
    def microseconds(self) -> float:
        """CPU µs an event, of the contender's processes."""
        return self.cpu_seconds / self.events * 1e6


class Plan(NamedTuple):
    """What to run. Plain Faust gets fewer events: it takes as long for them."""

    contenders: Sequence[str] = tuple(MAKERS)
    regimes: Sequence[Regime] = REGIMES
    events: int = 500_000
    faust_events: int = 30_000
    customers: int = 50_000
    repeat: int = 1


def compare(plan: Plan, node: LocalKafka) -> Iterator[Run]:
    """Every contender in every regime; the median run of each."""
    for regime in plan.regimes:
        now_ms = int(time.time() * 1000)
        made: dict[int, Workload] = {}
        for name in plan.contenders:
            count = plan.faust_events if name == "faust" else plan.events
            if count not in made:
                made[count] = workload(count, plan.customers, now_ms, regime)
            runs = [_run(name, regime, made[count], now_ms, node) for _ in range(plan.repeat)]
            yield _median(runs)


def _median(runs: Sequence[Run]) -> Run:
    """Each figure's median."""
    first = runs[0]
    return first._replace(
        **{name: median(getattr(run, name) for run in runs) for name in Run._fields[3:]}
    )


_numbers = iter(range(1, 1_000_000))


def _run(name: str, regime: Regime, work: Workload, now_ms: int, node: LocalKafka) -> Run:
    prefix = f"{name.replace('-', '')}{next(_numbers)}"
    servers = node.bootstrap_servers
    with tempfile.TemporaryDirectory(prefix=f"touchline-bench-{prefix}-") as folder:
        contender = MAKERS[name](Path(folder), servers, prefix)
        fill(servers, contender.input, work.events)
        usage, broker_usage = _carry_out(contender, Path(folder), node)
    names = topics_of(servers, prefix)
    outputs = [name for name in names if name not in (contender.input, *contender.endless)]
    begin, end = span(servers, outputs)
    check(servers, contender.results, work, now_ms)
    delete(servers, names)
    return Run(
        name,
        regime,
        len(work.events),
        end - begin,
        usage.cpu(begin, end),
        broker_usage.cpu(begin, end),
        usage.peak_mb(),
    )


def _carry_out(contender: Contender, folder: Path, node: LocalKafka) -> tuple[Usage, Usage]:
    """Run it until it has done everything."""
    log = folder / "output"
    lags = BrokerLags(contender.kafka, contender.readers)
    with running(contender.command, contender.environment, log) as process:
        usages = Usage(process.pid), Usage(node.pid)
        done = drain(
            lags,
            _TIMEOUT,
            sleep=lambda _: time.sleep(0.5),
            give_up=lambda: process.poll() is not None,
        )
        for usage in usages:
            usage.stop()
    lags.close()
    if not done:
        said = log.read_text(errors="replace").splitlines()[-15:]
        raise SystemExit("\n".join([*said, f"{contender.command} did not get to the end"]))
    return usages


def table(regime: Regime, runs: Sequence[Run]) -> Table:
    """A regime's runs, with what the others are to the first."""
    columns = (
        "",
        "events",
        "events/s",
        "ratio",
        "CPU µs an event",
        "peak MB",
        "broker µs an event",
    )
    base = runs[0].per_second
    rows = [
        [
            run.contender,
            run.events,
            run.per_second,
            base / run.per_second,
            run.microseconds,
            run.peak_mb,
            run.broker_seconds / run.events * 1e6,
        ]
        for run in runs
    ]
    return Table(f"Against its peers, {regime}", columns, rows)
