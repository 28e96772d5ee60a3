"""`make bench`: the stages, then the whole pipeline against plain Faust on one Apache Kafka.

    python -m benchmarks [--events N] [--peer-events N] [--customers N] [--stages-only]

All contenders get the same events in the same run, one after another, on the same cores as the
broker. A result that is not correct is not counted: every contender's profiles must add up to the
distinct events, orders and cents of the workload.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import yaml
from kafka import KafkaConsumer, TopicPartition
from rich.console import Console
from rich.table import Table

from benchmarks import plain_faust, sink, stages
from benchmarks.kafka import Ends, Progress, broker, create, fill, timed
from benchmarks.workload import Event, Expected, workload
from deploy import epoch
from deploy.lag import BrokerLags, drain
from deploy.settings import child_environment, load
from deploy.stages import control_topic, generation_topics, readers
from deploy.topics_admin import connect, ensure
from schemas import topics

PARTITIONS = 4
SEGMENTS = Path(__file__).resolve().parent.parent / "deploy" / "segments"
console = Console(width=110)


def main() -> None:
    """Run everything and print the tables."""
    options = _options()
    now_ms = int(time.time() * 1000)
    events, expected = workload(options.events, options.customers, now_ms)
    size = sum(len(event.value) for event in events) / len(events)
    console.print(
        f"{len(events):,} events of {size:.0f} bytes, {options.customers:,} customers with skew, "
        f"2 % redelivered"
    )
    _print_stages([*stages.measure(events, now_ms, SEGMENTS), sink.measure(events)])
    if options.stages_only:
        return
    few, few_expected = workload(options.peer_events, options.customers, now_ms)
    peer = _peer(few, few_expected)
    ours = _ours(events, expected)
    _print_contenders(
        [("Touchline", len(events), ours), ("plain Faust", len(few), peer)],
    )


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--events", type=int, default=300_000)
    parser.add_argument("--peer-events", type=int, default=30_000)
    parser.add_argument("--customers", type=int, default=30_000)
    parser.add_argument("--stages-only", action="store_true")
    return parser.parse_args()


@contextlib.contextmanager
def _temporary(name: str) -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix=f"touchline-bench-{name}-") as folder:
        yield Path(folder)


def _ours(events: list[Event], expected: Expected) -> Progress:
    """The worker with its three stages, as in production; identity included."""
    with _temporary("ours") as folder, broker(folder / "kafka") as node:
        file = folder / "touchline.yaml"
        file.write_text(
            yaml.safe_dump(
                {
                    "kafka": {"bootstrap_servers": node.bootstrap_servers, "partitions": 4},
                    "segments": str(SEGMENTS),
                    "metrics": {"port": 0},
                }
            )
        )
        settings = load(file).settings
        cluster = connect(settings.kafka)
        ensure(cluster, [control_topic(settings), *generation_topics(settings, "")])
        epoch.announce(settings.kafka, "", epoch.Present(1, cluster.cluster_id(), ""))
        cluster.close()
        fill(node.bootstrap_servers, topics.TOUCHPOINTS.name, events, PARTITIONS)
        accepted = Ends(node.bootstrap_servers, topics.ACCEPTED.name, PARTITIONS)
        stage_readers = [r for r in readers(settings, "") if "sink" not in r.group]
        lags = BrokerLags(settings.kafka, stage_readers)
        environment = child_environment(file, {"state": str(folder / "state")})
        progress = timed(
            ["-m", "deploy", "worker"],
            environment,
            lambda: accepted.count() > 0,
            lambda: drain(lags, 600),
            900,
        )
        accepted.close()
        lags.close()
        _check(node.bootstrap_servers, topics.PROFILES.name, expected)
        return progress


def _peer(events: list[Event], expected: Expected) -> Progress:
    """Plain Faust with the profile job alone."""
    with _temporary("peer") as folder, broker(folder / "kafka") as node:
        tables = [f"plain-{name}-changelog" for name in ("seen", "trails", "members", "counters")]
        names = ["touchpoints", plain_faust.PROFILES, plain_faust.CHANGES, *tables]
        create(node.bootstrap_servers, names, PARTITIONS)
        fill(node.bootstrap_servers, "touchpoints", events, PARTITIONS)
        done = Ends(node.bootstrap_servers, plain_faust.PROFILES, PARTITIONS)
        command = ["-m", "benchmarks.plain_faust", node.bootstrap_servers]
        command += [str(folder / "data"), str(SEGMENTS), "worker"]
        progress = timed(
            command,
            None,
            lambda: done.count() > 0,
            lambda: done.count() >= expected.events,
            900,
        )
        done.close()
        _check(node.bootstrap_servers, plain_faust.PROFILES, expected)
        return progress


def _check(servers: str, topic: str, expected: Expected) -> None:
    """The newest row of every profile adds up to the workload, or the run does not count."""
    consumer: Any = KafkaConsumer(bootstrap_servers=servers, auto_offset_reset="earliest")
    partitions = [TopicPartition(topic, number) for number in range(PARTITIONS)]
    consumer.assign(partitions)
    consumer.seek_to_beginning()
    left = sum(consumer.end_offsets(partitions).values())
    newest: dict[str, dict[str, Any]] = {}
    while left:
        for records in consumer.poll(1000).values():
            left -= len(records)
            for record in records:
                row = msgspec.json.decode(record.value)
                old = newest.get(row["profile_id"])
                if old is None or row.get("version", 0) >= old.get("version", 0):
                    newest[row["profile_id"]] = row
    consumer.close()
    found = Expected(
        sum(row["touchpoints"] for row in newest.values()),
        sum(row["orders"] for row in newest.values()),
        sum(round(float(row["revenue"].get("USD", 0)) * 100) for row in newest.values()),
    )
    if found != expected:
        raise SystemExit(f"{topic}: wrong result {found}, expected {expected}")


def _print_stages(timings: list[stages.Timing]) -> None:
    table = Table(title="one stage at a time, one core")
    for column in ("stage", "records", "records/s", "µs a record", ""):
        table.add_column(column, justify="left" if column in ("stage", "") else "right")
    for timing in timings:
        table.add_row(
            timing.name,
            f"{timing.records:,}",
            f"{timing.per_second:,.0f}",
            f"{timing.microseconds:.1f}",
            timing.note,
        )
    console.print(table)


def _print_contenders(contenders: list[tuple[str, int, Progress]]) -> None:
    table = Table(title="whole pipeline, Apache Kafka on the same cores")
    columns = ("", "events", "events/s", "ratio", "CPU µs an event", "peak MB a process")
    for column in columns:
        table.add_column(column, justify="right" if column else "left")
    _, slowest_events, slowest = contenders[-1]
    base = slowest_events / slowest.seconds
    figures = {}
    for name, count, progress in contenders:
        rate = count / progress.seconds
        cpu = progress.usage.cpu_seconds / count * 1e6
        table.add_row(
            name,
            f"{count:,}",
            f"{rate:,.0f}",
            f"{rate / base:.1f}",
            f"{cpu:.0f}",
            f"{progress.usage.peak_mb:.0f}",
        )
        figures[name] = {"events_per_second": round(rate), "ratio": round(rate / base, 2)}
    console.print(table)
    print(json.dumps(figures))


if __name__ == "__main__":
    main()
