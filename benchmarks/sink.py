"""The sink: rows into ClickHouse's engine, alone, and as a process from a real Apache Kafka.

    python -m benchmarks.sink [--events N] [--customers N]

ClickHouse is the local one, chDB in a process of its own, on the same cores as all else; CPU
microseconds a row tell the sink's work from the engine's. A run that does not end in the distinct
events of the workload is not counted.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import yaml
from rich.console import Console
from rich.table import Table

from benchmarks.kafka import broker, fill, usage
from benchmarks.stages import Timing
from benchmarks.workload import Event, batches, workload
from deploy import epoch
from deploy.lag import BrokerLags, drain, sink_readers
from deploy.local.processes import die_with_parent, stop, wait_until
from deploy.settings import child_environment, load
from deploy.stages import control_topic, generation_topics
from deploy.topics_admin import connect, ensure
from schemas import topics
from sinks.clickhouse import ClickHouse, ClickHouseConfig
from sinks.migrate import migrate
from sinks.sink import MAX_ROWS
from sinks.tables import TOUCHPOINTS, databases
from tests.fixtures_clickhouse import LocalClickHouse

PARTITIONS = 4
console = Console(width=110)


class Figures(NamedTuple):
    """Rows that went in, wall seconds, CPU seconds of the sink and of the engine."""

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
    events, expected = workload(options.events, options.customers, int(time.time() * 1000))
    figures = [inserted(events), consumed(events, expected.events)]
    table = Table(title="sink: rows of touchpoints into the local ClickHouse")
    columns = ("", "rows", "rows/s wall", "CPU µs a row, sink", "CPU µs a row, engine")
    for column in columns:
        table.add_column(column, justify="right" if column else "left")
    for one in figures:
        table.add_row(
            one.name,
            f"{one.rows:,}",
            f"{one.rows / one.seconds:,.0f}",
            f"{one.sink_cpu / one.rows * 1e6:.1f}",
            f"{one.engine_cpu / one.rows * 1e6:.1f}",
        )
    console.print(table)
    print(json.dumps({one.name: round(one.rows / one.seconds) for one in figures}))


def measure(events: Sequence[Event]) -> Timing:
    """Wall time of inserting the events through HTTP into a fresh database."""
    figures = inserted(events)
    return Timing("sink", figures.rows, figures.seconds, "wall time, ClickHouse included")


@contextlib.contextmanager
def _clickhouse() -> Iterator[tuple[LocalClickHouse, ClickHouse]]:
    """A fresh database and a client."""
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
    """Bytes of rows, in batches as the sink makes them, one after another."""
    database, table = databases("").storage, TOUCHPOINTS.name
    rows = [event.value for event in events]
    with _clickhouse() as (server, client):
        client.insert(database, table, rows[:1000])
        begin, engine, own = time.monotonic(), usage(server.pid), time.process_time()
        for batch in batches(rows, MAX_ROWS):
            client.insert(database, table, batch)
        seconds, own = time.monotonic() - begin, time.process_time() - own
        cpu = usage(server.pid).cpu_seconds - engine.cpu_seconds
    return Figures("inserts, one after another", len(rows), seconds, own, cpu)


def consumed(events: Sequence[Event], distinct: int) -> Figures:
    """`touchline sink` as a process, from its first insert until it has committed all."""
    with _clickhouse() as (server, client), tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        with broker(folder / "kafka") as node:
            file = folder / "touchline.yaml"
            kafka = {"bootstrap_servers": node.bootstrap_servers, "partitions": PARTITIONS}
            clickhouse = {"url": server.url}
            metrics = {"port": 0}
            file.write_text(
                yaml.safe_dump({"kafka": kafka, "clickhouse": clickhouse, "metrics": metrics})
            )
            settings = load(file).settings
            cluster = connect(settings.kafka)
            ensure(cluster, [control_topic(settings), *generation_topics(settings, "")])
            epoch.announce(settings.kafka, "", epoch.Present(1, cluster.cluster_id(), ""))
            cluster.close()
            fill(node.bootstrap_servers, topics.ACCEPTED.name, events, PARTITIONS)
            readers = [r for r in sink_readers("") if r.topic == topics.ACCEPTED.name]
            lags = BrokerLags(settings.kafka, readers)
            process = subprocess.Popen(
                [sys.executable, "-m", "deploy", "sink"],
                env=child_environment(file, {}),
                preexec_fn=die_with_parent,  # noqa: PLW1509 - only a system call, no Python state
            )
            try:
                if not wait_until(lambda: _left(lags) < len(events), 60, 0.01):
                    raise SystemExit("the sink did not begin")
                begin, left = time.monotonic(), _left(lags)
                own, engine = usage(process.pid), usage(server.pid)
                if not drain(lags, 300, sleep=lambda _: time.sleep(0.02)):
                    raise SystemExit("the sink did not end in time")
                seconds = time.monotonic() - begin
                sink_cpu = usage(process.pid).cpu_seconds - own.cpu_seconds
                engine_cpu = usage(server.pid).cpu_seconds - engine.cpu_seconds
            finally:
                stop(process, 20)
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
