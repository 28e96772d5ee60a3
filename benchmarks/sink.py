"""The sink: rows into ClickHouse's engine, alone, and as a process from a real Apache Kafka.

    python -m benchmarks.sink [--events N] [--customers N]

ClickHouse is the local one, chDB in a process of its own, on the same cores as all else; CPU
microseconds a row separate the sink's work from the engine's. A run that does not end in the
distinct events of the workload is not counted.
"""

from __future__ import annotations

import argparse
import contextlib
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from benchmarks.kafka import broker, fill
from benchmarks.ours import Deployment
from benchmarks.report import Table
from benchmarks.usage import running, sample
from benchmarks.workload import Event, batches, workload
from deploy.kafka.lag import BrokerLags, drain
from deploy.kafka.topology import sink_readers
from deploy.local.readiness import wait_until
from schemas import topics
from schemas.times import now_ms
from sinks.clickhouse.client import ClickHouse, ClickHouseConfig
from sinks.clickhouse.config import MAX_ROWS
from sinks.clickhouse.migrate import migrate
from sinks.clickhouse.tables import TOUCHPOINTS, databases
from tests.support.clickhouse import LocalClickHouse


class Figures(NamedTuple):
    """Rows inserted, wall seconds, CPU seconds of the sink and of the engine."""

    name: str
    rows: int
    seconds: float
    sink_cpu: float
    engine_cpu: float


def main() -> None:
    """Run both ways and print a table."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.sink", description=__doc__)
    parser.add_argument("--events", type=int, default=500_000)
    parser.add_argument("--customers", type=int, default=30_000)
    options = parser.parse_args()
    print(run(options.events, options.customers).markdown())


def run(count: int, customers: int) -> Table:
    """Run both ways, one after another."""
    work = workload(count, customers, now_ms())
    events = work.readable()
    figures = [inserted(events), consumed(events, len(work.touches))]
    columns = ("", "rows", "rows/s, wall", "CPU µs a row, sink", "CPU µs a row, engine")
    return Table(
        "Sink: rows of touchpoints into the local ClickHouse",
        columns,
        [
            [
                one.name,
                one.rows,
                one.rows / one.seconds,
                one.sink_cpu / one.rows * 1e6,
                one.engine_cpu / one.rows * 1e6,
            ]
            for one in figures
        ],
    )


@contextlib.contextmanager
def _clickhouse() -> Iterator[tuple[LocalClickHouse, ClickHouse]]:
    """Yield a fresh database and a client."""
    with tempfile.TemporaryDirectory(prefix="touchline-bench-sink-") as folder:
        server = LocalClickHouse(Path(folder)).start()
        client = ClickHouse(ClickHouseConfig(server.url))
        try:
            migrate(client, "")
            yield server, client
        finally:
            client.close()
            server.stop()


def inserted(events: Sequence[Event]) -> Figures:
    """Measure inserts of bytes of rows, in batches as the sink makes them, one after another."""
    database, table = databases("").storage, TOUCHPOINTS.name
    rows = [event.value for event in events]
    with _clickhouse() as (server, client):
        client.insert(database, table, rows[:1000])
        begin, engine, own = time.monotonic(), sample(server.pid), time.process_time()
        for batch in batches(rows, MAX_ROWS):
            client.insert(database, table, batch)
        seconds, own = time.monotonic() - begin, time.process_time() - own
        cpu = sample(server.pid).cpu - engine.cpu
    return Figures("inserts, one after another", len(rows), seconds, own, cpu)


def consumed(events: Sequence[Event], distinct: int) -> Figures:
    """Measure `touchline sink` as a process, from its first insert until it has committed all."""
    with _clickhouse() as (server, client), tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        with broker(folder / "kafka") as node:
            servers = node.bootstrap_servers
            ours = Deployment(folder, servers, "", {"clickhouse": {"url": server.url}})
            ours.create()
            fill(servers, topics.DEDUPLICATED.name, events)
            readers = [r for r in sink_readers("") if r.topic == topics.DEDUPLICATED.name]
            lags = BrokerLags(ours.settings.kafka, readers)
            log = folder / "sink.log"
            with running(ours.command("sink"), ours.environment(), log) as process:
                if not wait_until(lambda: _left(lags) < len(events), 60, 0.01):
                    raise SystemExit("the sink did not begin")
                begin, left = time.monotonic(), _left(lags)
                if not left:
                    raise SystemExit("too few events: the sink took all of them at once")
                own, engine = sample(process.pid), sample(server.pid)
                if not drain(lags, 300, sleep=lambda _: time.sleep(0.02)):
                    raise SystemExit("the sink did not end in time")
                seconds = time.monotonic() - begin
                sink_cpu = sample(process.pid).cpu - own.cpu
                engine_cpu = sample(server.pid).cpu - engine.cpu
            lags.close()
        table = f"{databases('').storage}.{TOUCHPOINTS.name}"
        (row,) = client.rows(f"SELECT count() AS n FROM {table} FINAL")
        if row["n"] != distinct:
            raise SystemExit(f"{row['n']} distinct rows stored, expected {distinct}")
    return Figures("process, from Kafka", left, seconds, sink_cpu, engine_cpu)


def _left(lags: BrokerLags) -> int:
    return sum(lag.records for lag in lags.read())


if __name__ == "__main__":
    main()
