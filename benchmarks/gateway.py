"""The gateway as a process, on a real Apache Kafka: requests of own systems, Segment, SendGrid.

    python -m benchmarks.gateway [--seconds S] [--customers N] [--unknown] [--case WORD]

Load, broker and gateway share the cores, so the relevant figure is the gateway's own CPU time: the
rate of a core is 1e6 over its microseconds. The wall rate is that of all three together. Latencies
are measured at a moderate rate. Every case ends with a count: all events answered 2xx are on the
topic.
"""

from __future__ import annotations

import argparse
import contextlib
import itertools
import multiprocessing
import random
import tempfile
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import NamedTuple

from benchmarks.calls import CASES, TOKEN, WRITE_KEY, Case, Keys, requests
from benchmarks.http_load import Answers, drive
from benchmarks.kafka import Ends, broker
from benchmarks.ours import Deployment, ready
from benchmarks.report import Cell, Table
from benchmarks.usage import Sample, running, sample
from deploy.local.ports import free_port
from deploy.local.readiness import wait_until
from schemas import topics

CONNECTIONS = 16
#: Events in the requests of a case; they are sent round and round.
EVENTS = 100_000
#: Latencies are measured at this fraction of the rate of a core.
MODERATE = 0.25


class Figures(NamedTuple):
    """The figures of one case: at full load, then latencies in milliseconds at a moderate rate."""

    case: Case
    full: Answers
    #: CPU seconds of the gateway, at full load.
    cpu_seconds: float
    #: Resident memory at the end of the full load.
    mb: float
    moderate: Answers
    rate: float

    @property
    def cpu_us(self) -> float:
        """Return CPU microseconds a request."""
        return self.cpu_seconds / self.full.good * 1e6


class Plan(NamedTuple):
    """The runs to do: seconds of a phase, customers with skew or each only once, which cases."""

    seconds: float = 10.0
    customers: int = 30_000
    unknown: bool = False
    case: str = ""


def main() -> None:
    """Run the cases and print a table."""
    print(run(_plan()).markdown())


def run(plan: Plan) -> Table:
    """Run the cases, one after another."""
    keys = Keys.new()
    with tempfile.TemporaryDirectory(prefix="touchline-bench-gateway-") as name:
        folder = Path(name)
        with broker(folder / "kafka") as node, gateway(folder, node.bootstrap_servers, keys) as at:
            figures = [
                measure(case, at, node.bootstrap_servers, keys, plan)
                for case in CASES
                if plan.case in case.name
            ]
    return _table(figures, plan.unknown)


def _plan() -> Plan:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.gateway", description=__doc__)
    parser.add_argument("--seconds", type=float, default=10)
    parser.add_argument("--customers", type=int, default=30_000)
    parser.add_argument("--unknown", action="store_true", help="no customer comes twice")
    parser.add_argument("--case", default="", help="only cases with this word in their name")
    return Plan(**vars(parser.parse_args()))


class Running(NamedTuple):
    """A gateway process."""

    pid: int
    port: int


@contextlib.contextmanager
def gateway(folder: Path, servers: str, keys: Keys) -> Iterator[Running]:
    """Yield a gateway that is ready, as `touchline gateway` runs it."""
    port = free_port()
    ours = Deployment(
        folder,
        servers,
        "",
        {
            "gateway": {"port": port},
            "sources": {
                "crm": {"connector": "touchpoint", "token": TOKEN},
                "shop": {"connector": "segment", "write_key": WRITE_KEY, "currency": "USD"},
                "mail": {"connector": "sendgrid", "public_key": keys.public},
            },
        },
    )
    ours.create()
    log = folder / "gateway.log"
    with running(ours.command("gateway"), ours.environment(), log) as process:
        if not wait_until(lambda: ready(port), 60):
            raise SystemExit("the gateway did not become ready")
        yield Running(process.pid, port)


def measure(case: Case, at: Running, servers: str, keys: Keys, plan: Plan) -> Figures:
    """Measure one case at full load, then at a moderate rate."""
    calls = requests(case, EVENTS, _customers(plan), keys)
    ends = Ends(servers, [topics.TOUCHPOINTS.name])
    before = ends.count()
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as generator:

        def run(seconds: float, rate: float | None) -> tuple[Answers, Sample, Sample]:
            begin = sample(at.pid)
            answers = generator.submit(drive, at.port, calls, CONNECTIONS, seconds, rate).result(
                seconds + 60
            )
            return answers, begin, sample(at.pid)

        warm, _, _ = run(2, None)
        full, begin, end = run(plan.seconds, None)
        cpu = end.cpu - begin.cpu
        rate = MODERATE * full.good / cpu
        moderate, _, _ = run(plan.seconds, rate)
    answered = (warm.good + full.good + moderate.good) * case.batch
    stored = ends.count() - before
    ends.close()
    if warm.bad + full.bad + moderate.bad or stored != answered:
        raise SystemExit(f"{case.name}: {stored} touchpoints stored, {answered} answered 2xx")
    return Figures(case, full, cpu, end.mb, moderate, rate)


def _customers(plan: Plan) -> Iterator[int]:
    """Yield customers, with skew, or each only once."""
    if plan.unknown:
        return itertools.count()
    rng = random.Random(2)
    return (int(plan.customers * rng.random() ** 2) for _ in itertools.count())


def _table(figures: list[Figures], unknown: bool) -> Table:
    who = "customers never seen before" if unknown else "customers with skew"
    columns = (
        *("", "CPU µs a request", "CPU µs a touchpoint", "touchpoints/s a core"),
        *("requests/s a core", "touchpoints/s, wall", "p50 ms", "p99 ms", "at requests/s", "MB"),
    )
    rows: list[list[Cell]] = []
    for one in figures:
        batch, cpu, moderate = one.case.batch, one.cpu_us, one.moderate
        wall = one.full.good * batch / one.full.seconds
        p50, p99 = moderate.percentile(50), moderate.percentile(99)
        a_core = (cpu, cpu / batch, batch * 1e6 / cpu, 1e6 / cpu)
        rows.append([one.case.name, *a_core, wall, p50, p99, one.rate, one.mb])
    return Table(f"Gateway, one process, {who}", columns, rows)


if __name__ == "__main__":
    main()
