"""A real Apache Kafka with the workload in it, and how far somebody has read."""

from __future__ import annotations

import contextlib
import resource
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from kafka import KafkaAdminClient, KafkaConsumer, KafkaProducer, TopicPartition
from kafka.admin import NewTopic

from benchmarks.workload import Event
from deploy.local.kafka import KafkaNode, LocalKafka
from deploy.local.processes import free_port, stop
from schemas.topics import partition_of


class Usage(NamedTuple):
    """Of a group of processes that ended: CPU seconds, and the largest one's memory in MB."""

    cpu_seconds: float
    peak_mb: float


class Progress(NamedTuple):
    """From the first output to the end: wall seconds, and what the processes used in all."""

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


def fill(servers: str, topic: str, events: Sequence[Event], partitions: int) -> None:
    """Publish the workload."""
    producer: Any = KafkaProducer(
        bootstrap_servers=servers, acks="all", linger_ms=20, batch_size=500_000
    )
    for event in events:
        producer.send(topic, event.value, event.key, partition_of(event.key, partitions))
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

    Start-up (imports, joining the group) is not counted in the wall time; CPU counts it.
    """
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    process = subprocess.Popen([sys.executable, *command], env=environment)
    deadline = time.monotonic() + timeout
    try:
        _wait(begun, process, deadline)
        start = time.monotonic()
        _wait(ended, process, deadline)
        seconds = time.monotonic() - start
    finally:
        stop(process, 30)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return Progress(seconds, Usage(cpu, after.ru_maxrss / 1024))


def _wait(condition: Callable[[], bool], process: subprocess.Popen[bytes], deadline: float) -> None:
    while not condition():
        if process.poll() is not None:
            raise SystemExit(f"the contender ended with status {process.returncode}")
        if time.monotonic() > deadline:
            raise SystemExit("the contender did not end in time")
        time.sleep(0.05)
