"""Recovery time of a worker whose local state is lost, from Kafka, stage by stage."""

from __future__ import annotations

import itertools
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from kafka import KafkaConsumer, KafkaProducer, TopicPartition

from benchmarks.contenders import touchline
from benchmarks.kafka import Ends
from benchmarks.measure import load
from benchmarks.ours import Deployment
from benchmarks.report import Cell, Table
from benchmarks.usage import running
from benchmarks.workload import once_each, workload
from deploy.kafka.lag import BrokerLags, Reader
from deploy.kafka.topology import STAGE_NAMES
from deploy.local.kafka import LocalKafka
from schemas import times

_TIMEOUT = 1800.0


def recovery(customers: int, node: LocalKafka) -> Table:
    """Measure the seconds until a record is processed, with the local state and without it."""
    servers = node.bootstrap_servers
    rows: list[list[Cell]] = []
    with tempfile.TemporaryDirectory(prefix="touchline-bench-recovery-") as name:
        folder = Path(name)
        one = touchline(folder, servers, "recovery")
        now_ms = times.now_ms()
        touches = workload(customers, customers, now_ms, "uniform").readable()
        load(one, folder, node, itertools.chain(once_each(customers, now_ms), touches))
        ours = Deployment(folder, servers, "recovery")
        for stage in STAGE_NAMES:
            reads = ours.stage_readers(stage)
            logged = Ends(servers, [f"{reads[0].group}-rows-changelog"])
            count = logged.count()
            kept = _until_processed(ours, stage, reads, "state")
            lost = _until_processed(ours, stage, reads, f"lost-{stage}")
            logged.close()
            rows.append([stage, count, kept, lost, count / max(0.1, lost - kept)])
    columns = ("stage", "rows logged", "s, state kept", "s, state lost", "rows/s")
    return Table(
        f"Recovery of {customers:,} profiles, start of the process included", columns, rows
    )


def _until_processed(ours: Deployment, stage: str, reads: Sequence[Reader], state: str) -> float:
    _once_more(ours.settings.kafka.bootstrap_servers, reads[0].topic)
    lags = BrokerLags(ours.settings.kafka, reads)
    command = ours.command("worker", "--stage", stage)
    start = time.monotonic()
    with running(command, ours.environment(state), ours.folder / "output") as process:
        while any(lag.records for lag in lags.read()):
            if process.poll() is not None or time.monotonic() > start + _TIMEOUT:
                raise SystemExit(f"{stage} did not get on, its local state being {state}")
            time.sleep(0.1)
        seconds = time.monotonic() - start
    lags.close()
    return seconds


def _once_more(servers: str, topic: str) -> None:
    """Publish the last record of a topic's first partition again: it changes nothing."""
    consumer: Any = KafkaConsumer(bootstrap_servers=servers)
    first = TopicPartition(topic, 0)
    consumer.assign([first])
    consumer.seek(first, consumer.end_offsets([first])[first] - 1)
    while not (found := consumer.poll(1000)):
        pass
    consumer.close()
    record = found[first][-1]
    producer: Any = KafkaProducer(bootstrap_servers=servers, acks="all")
    producer.send(topic, record.value, record.key, partition=0)
    producer.flush()
    producer.close()
