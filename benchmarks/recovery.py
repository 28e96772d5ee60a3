"""How long a worker takes that has lost its local state: `python -m benchmarks.recovery`.

    python -m benchmarks.recovery [--profiles N] [--partitions N]

A real Apache Kafka gets a touch of each of N customers, a worker processes them and is stopped, its
folder is deleted, and it starts again: everything comes back from the changelogs, three rows for
each customer (trail, seen event id, profile). Then a sample of customers comes once more, and each
must have exactly two touches.
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import msgspec
import yaml
from kafka import KafkaConsumer, TopicPartition

from benchmarks.kafka import broker, fill, timed
from benchmarks.workload import Event
from deploy import epoch
from deploy.lag import BrokerLags, drain
from deploy.local.processes import Ports, fetch, stop
from deploy.settings import child_environment, load
from deploy.stages import STAGE_NAMES, control_topic, generation_topics, readers
from deploy.topics_admin import connect, ensure
from schemas import topics, touchpoint_row
from schemas.identifiers import identifier_id
from schemas.times import rfc3339
from schemas.touchpoint_row import TouchpointRow

SEGMENTS = Path(__file__).resolve().parent.parent / "deploy" / "segments"
_SAMPLE = 1000
_TIMEOUT = 7200
#: Below those that the system gives to clients.
_PORT = 20_464


def main() -> None:
    """Run it and print what was measured."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.recovery", description=__doc__)
    parser.add_argument("--profiles", type=int, default=1_000_000)
    parser.add_argument("--partitions", type=int, default=4)
    given = parser.parse_args()
    with (
        tempfile.TemporaryDirectory(prefix="touchline-recovery-") as name,
        broker(Path(name) / "kafka") as node,
    ):
        folder = Path(name)
        file = _configure(folder, node.bootstrap_servers, given.partitions)
        began = time.monotonic()
        _process(file, folder, given.profiles, given.partitions)
        print(f"{given.profiles:,} profiles made in {time.monotonic() - began:.0f} s", flush=True)
        size = sum(f.stat().st_size for f in (folder / "state").rglob("*") if f.is_file())
        shutil.rmtree(folder / "state")
        seconds = _recover(file, folder, given.partitions)
        rows = {"trails": 2 * given.profiles, "graph": 0, "profiles": given.profiles}
        for stage, took in seconds.items():
            print(f"{stage}: {rows[stage]:,} rows in {took:.1f} s")
        longest = max(seconds.values())
        print(
            f"all: {sum(rows.values()):,} rows, {size / 1e6:.0f} MB, in {longest:.1f} s, start "
            f"included: {sum(rows.values()) / longest:,.0f} rows/s"
        )


def _configure(folder: Path, servers: str, partitions: int) -> Path:
    file = folder / "touchline.yaml"
    ports = Ports()
    first = ports.take(_PORT, len(STAGE_NAMES))
    ports.release()
    content = {
        "kafka": {"bootstrap_servers": servers, "partitions": partitions},
        "segments": str(SEGMENTS),
        "metrics": {"port": first},
        "state": "state",
    }
    file.write_text(yaml.safe_dump(content))
    settings = load(file).settings
    cluster = connect(settings.kafka)
    ensure(cluster, [control_topic(settings), *generation_topics(settings, "")])
    epoch.announce(settings.kafka, "", epoch.Present(1, cluster.cluster_id(), ""))
    cluster.close()
    return file


def _touches(numbers: Iterable[int], round_number: int) -> Iterator[Event]:
    now = rfc3339(int(time.time() * 1000))
    for number in numbers:
        name = f"c{number}"
        row = TouchpointRow(
            event_id=f"event-{number}-{round_number}",
            channel="web",
            type="page_viewed",
            source="benchmark",
            occurred_at=now,
            received_at=now,
            lead_kind="customer_id",
            lead_value=name,
            lead_id=identifier_id("customer_id", name),
            identifiers={"customer_id": [name]},
            traits={"city": "Tokyo"},
            value_amount=None,
            value_currency="",
            url="https://shop.example.com/products/1234",
            properties='{"library":"analytics","title":"A page of the shop"}',
        )
        yield Event(row.lead_id.encode(), touchpoint_row.encode(row))


def _process(file: Path, folder: Path, profiles: int, partitions: int) -> None:
    settings = load(file).settings
    touches = _touches(range(profiles), 1)
    fill(settings.kafka.bootstrap_servers, topics.TOUCHPOINTS.name, touches, partitions)
    lags = _lags(file)
    command = ["-m", "deploy", "worker"]
    timed(command, _environment(file), lambda: True, lambda: drain(lags, _TIMEOUT), _TIMEOUT)
    lags.close()


def _recover(file: Path, folder: Path, partitions: int) -> dict[str, float]:
    """Stage -> seconds from its start until it does its work."""
    settings = load(file).settings
    began, seconds = time.monotonic(), dict[str, float]()
    command = [sys.executable, "-m", "deploy", "worker"]
    worker = subprocess.Popen(command, env=_environment(file))
    try:
        while len(seconds) < len(STAGE_NAMES) and time.monotonic() - began < _TIMEOUT:
            for number, stage in enumerate(STAGE_NAMES):
                text = fetch(f"http://127.0.0.1:{settings.metrics.port + number}/metrics") or b""
                if stage not in seconds and b"\ntouchline_ready 1.0" in text:
                    seconds[stage] = time.monotonic() - began
            time.sleep(0.1)
        sample = range(_SAMPLE)
        fill(
            settings.kafka.bootstrap_servers,
            topics.TOUCHPOINTS.name,
            _touches(sample, 2),
            partitions,
        )
        lags = _lags(file)
        drain(lags, _TIMEOUT)
        lags.close()
    finally:
        stop(worker, 30)
    _check(settings.kafka.bootstrap_servers, partitions)
    return seconds


def _environment(file: Path) -> dict[str, str]:
    return child_environment(file, {})


def _lags(file: Path) -> BrokerLags:
    settings = load(file).settings
    return BrokerLags(settings.kafka, [r for r in readers(settings, "") if "sink" not in r.group])


def _check(servers: str, partitions: int) -> None:
    """The last rows published are those of the sample, with two touches each."""
    consumer: Any = KafkaConsumer(bootstrap_servers=servers)
    tps = [TopicPartition(topics.PROFILES.name, number) for number in range(partitions)]
    consumer.assign(tps)
    ends = consumer.end_offsets(tps)
    newest: dict[str, int] = {}
    for tp in tps:
        consumer.seek(tp, max(0, ends[tp] - 2 * _SAMPLE))
    while any(consumer.position(tp) < ends[tp] for tp in tps):
        for records in consumer.poll(1000).values():
            for record in records:
                row = msgspec.json.decode(record.value)
                newest[row["customer_id"]] = row["touchpoints"]
    consumer.close()
    wrong = [number for number in range(_SAMPLE) if newest.get(f"c{number}") != 2]
    if wrong:
        raise SystemExit(f"{len(wrong)} of {_SAMPLE} customers do not have two touches")


if __name__ == "__main__":
    main()
