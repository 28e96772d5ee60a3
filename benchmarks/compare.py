"""Comparison of ours and its peers, one after another on one broker, on the same events.

A wrong result has no figures.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from statistics import median
from typing import NamedTuple

from benchmarks.contenders import MAKERS
from benchmarks.kafka import delete, topics_of
from benchmarks.measure import Measured, measure
from benchmarks.reference import WrongResult, check, published
from benchmarks.report import Table
from benchmarks.workload import Regime, Workload, workload
from deploy.local.kafka import LocalKafka
from schemas import times


class Run(NamedTuple):
    """One run of a contender on a number of events, or the median of several."""

    contender: str
    events: int
    measured: Measured

    @property
    def per_second(self) -> float:
        """Return events per second."""
        return self.events / self.measured.seconds


class Plan(NamedTuple):
    """The runs to do. Plain Faust gets fewer events: they take it as long."""

    contenders: Sequence[str] = tuple(MAKERS)
    events: int = 500_000
    faust_events: int = 30_000
    customers: int = 50_000
    repeat: int = 1


def compare(plan: Plan, regime: Regime, node: LocalKafka, wrong: list[str]) -> Iterator[Run]:
    """Yield the median run of every contender.

    `wrong` collects the contenders without figures, with reasons.
    """
    now_ms = times.now_ms()
    made: dict[int, Workload] = {}
    for name in plan.contenders:
        count = plan.faust_events if name == "faust" else plan.events
        if count not in made:
            made[count] = workload(count, plan.customers, now_ms, regime)
        try:
            runs = [_run(name, made[count], now_ms, node) for _ in range(plan.repeat)]
        except WrongResult as problem:
            wrong.append(f"{name}, {regime}: wrong result: {problem}")
        else:
            yield _median(runs)


def _median(runs: Sequence[Run]) -> Run:
    """Return each figure's median."""
    figures = zip(*(run.measured for run in runs), strict=True)
    return runs[0]._replace(measured=Measured(*map(median, figures)))


_numbers = iter(range(1, 1_000_000))


def _run(name: str, work: Workload, now_ms: int, node: LocalKafka) -> Run:
    prefix = f"{name.replace('-', '')}{next(_numbers)}"
    servers = node.bootstrap_servers
    with tempfile.TemporaryDirectory(prefix=f"touchline-bench-{prefix}-") as folder:
        contender = MAKERS[name](Path(folder), servers, prefix)
        measured = measure(contender, Path(folder), node, work.events)
    check(published(servers, contender.results), work, now_ms)
    delete(servers, topics_of(servers, prefix))
    return Run(name, len(work.events), measured)


def table(regime: Regime, runs: Sequence[Run]) -> Table:
    """Return a regime's runs, with the ratios of the others to the first."""
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
            run.measured.cpu_seconds / run.events * 1e6,
            run.measured.peak_mb,
            run.measured.broker_seconds / run.events * 1e6,
        ]
        for run in runs
    ]
    return Table(f"Against its peers, {regime}", columns, rows)
