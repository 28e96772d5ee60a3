"""A real Apache Kafka with the workload in it, and how far somebody has read."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from kafka import KafkaAdminClient, KafkaConsumer, KafkaProducer, TopicPartition
from kafka.admin import NewTopic

from benchmarks.workload import Event
from deploy.local.kafka import KafkaNode, LocalKafka
from deploy.local.processes import free_port, stop
from schemas.topics import partition_of


class Usage(NamedTuple):
    """Of a process and its children: CPU seconds, and the largest one's peak memory in MB."""

    cpu_seconds: float
    peak_mb: float


class Progress(NamedTuple):
    """From the first output to the end: wall seconds, and what the processes used meanwhile."""

    seconds: float
    usage: Usage


@contextlib.contextmanager
def broker(data: Path) -> Iterator[LocalKafka]:
    """Apache Kafka on the same cores, as small as in the tests."""
    with LocalKafka(KafkaNode(data, free_port(), heap="768m")) as node:
        yield node


def create(servers: str, names: Sequence[str], partitions: int) -> None:
    """Topics of one replica."""
    admin: Any = KafkaAdminClient(bootstrap_servers=servers)
    admin.create_topics([NewTopic(name, partitions, 1) for name in names])
    admin.close()


def fill(servers: str, topic: str, events: Iterable[Event], partitions: int) -> None:
    """Publish the workload."""
    producer: Any = KafkaProducer(
        bootstrap_servers=servers, acks="all", linger_ms=20, batch_size=500_000
    )
    for event in events:
        producer.send(topic, event.value, event.key, partition=partition_of(event.key, partitions))
    producer.flush()
    producer.close()


class Ends:
    """How many records a topic has."""

    def __init__(self, servers: str, topic: str, partitions: int) -> None:
        self._consumer: Any = KafkaConsumer(bootstrap_servers=servers)
        self._partitions = [TopicPartition(topic, number) for number in range(partitions)]

    def count(self) -> int:
        """Records published so far."""
        return sum(self._consumer.end_offsets(self._partitions).values())

    def close(self) -> None:
        """Disconnect."""
        self._consumer.close()


def timed(
    command: Sequence[str],
    environment: dict[str, str] | None,
    begun: Callable[[], bool],
    ended: Callable[[], bool],
    timeout: float,
) -> Progress:
    """Run a contender from its first output to its end, then stop it.

    Start-up (imports, joining the group) is not counted.
    """
    process = subprocess.Popen([sys.executable, *command], env=environment)
    deadline = time.monotonic() + timeout
    try:
        _wait(begun, process, deadline)
        start, before = time.monotonic(), _usage(process.pid)
        _wait(ended, process, deadline)
        seconds, after = time.monotonic() - start, _usage(process.pid)
    finally:
        stop(process, 30)
    used = Usage(after.cpu_seconds - before.cpu_seconds, after.peak_mb)
    return Progress(seconds, used)


def _usage(pid: int) -> Usage:
    """What a process and its descendants have used so far."""
    cpu, peak = 0.0, 0.0
    for one in _tree(pid):
        fields = Path(f"/proc/{one}/stat").read_text().rpartition(")")[2].split()
        cpu += (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
        status = Path(f"/proc/{one}/status").read_text()
        peak = max(peak, int(status.partition("VmHWM:")[2].split()[0]) / 1024)
    return Usage(cpu, peak)


def _tree(pid: int) -> list[int]:
    files = Path(f"/proc/{pid}/task").glob("*/children")
    children = [child for file in files for child in file.read_text().split()]
    return [pid, *(one for child in children for one in _tree(int(child)))]


def _wait(condition: Callable[[], bool], process: subprocess.Popen[bytes], deadline: float) -> None:
    while not condition():
        if process.poll() is not None:
            raise SystemExit(f"the contender ended with status {process.returncode}")
        if time.monotonic() > deadline:
            raise SystemExit("the contender did not end in time")
        time.sleep(0.05)
