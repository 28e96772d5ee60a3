"""The contenders: the setup and start of each, and the location of its results.

Each gets topics of its own with the same bytes in them. The settings that matter are the same for
all: RocksDB, a changelog, acks=all, at least once, commits every second, snappy.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from benchmarks.kafka import create
from benchmarks.ours import Deployment
from benchmarks.reference import Topics, ours_payload
from deploy.config.sections import KafkaSettings
from deploy.kafka.lag import Reader
from schemas import topics

ROOT = Path(__file__).resolve().parent.parent
_CACHE = Path.home() / ".cache" / "touchline"
_QUIX = "quixstreams==3.28.1"
_KAFKA_STREAMS = ROOT / "benchmarks" / "kafka_streams"


class Process(NamedTuple):
    """A process of a contender, optionally pinned to one core."""

    command: list[str]
    environment: dict[str, str]
    core: int | None = None


class Contender(NamedTuple):
    """One run of a contender: its topics exist, its processes do not."""

    #: Prefix of all names of its topics.
    prefix: str
    processes: list[Process]
    kafka: KafkaSettings
    input: str
    results: Topics
    #: All readers whose lag is zero when the work is done, those nearest to the source first.
    readers: list[Reader]
    #: Topics that are still written to when the work is done.
    endless: tuple[str, ...] = ()


#: (folder for state and logs, bootstrap servers, prefix of all topics) -> a run.
Maker = Callable[[Path, str, str], Contender]


def touchline(folder: Path, servers: str, prefix: str) -> Contender:
    """Return the worker with all its stages: identity, trails, profiles, segments and metrics."""
    ours = Deployment(folder, servers, prefix)
    ours.create()
    return Contender(
        prefix,
        [Process(ours.command("worker"), ours.environment())],
        ours.settings.kafka,
        ours.topic(topics.TOUCHPOINTS),
        Topics(
            ours.topic(topics.PROFILES),
            ours.topic(topics.SEGMENT_CHANGES),
            ours.topic(topics.REJECTED),
            ours_payload,
        ),
        ours.stage_readers(),
        # The topics of the watermarks, written every second.
        (ours.topic(topics.TRAILS), ours.topic(topics.CONTROL)),
    )


def pinned(contender: Contender, folder: Path, workers: int) -> Contender:
    """Return the contender with so many workers, each on one core, with a state of its own."""
    one = contender.processes[0]
    cores = os.cpu_count() or 1
    processes = [
        Process(
            one.command,
            {**one.environment, "TOUCHLINE_STATE": str(folder / f"state-{number}")},
            number % cores,
        )
        for number in range(workers)
    ]
    return contender._replace(processes=processes)


def quix(folder: Path, servers: str, prefix: str) -> Contender:
    """Return Quix Streams, one process."""
    command = [quix_python(), "-m", "benchmarks.quix", servers, prefix, prefix, str(folder)]
    return _peer(servers, prefix, command)


def plain_faust(folder: Path, servers: str, prefix: str) -> Contender:
    """Return Faust as its documentation shows it, one process."""
    command = [sys.executable, "-m", "benchmarks.plain_faust", servers, prefix, str(folder)]
    tables = [f"{prefix}-{name}-changelog" for name in ("seen", "profiles")]
    return _peer(servers, prefix, [*command, "worker"], tables)


def kafka_streams(folder: Path, servers: str, prefix: str) -> Contender:
    """Return Kafka Streams, two threads."""
    command = ["java", "-Xmx1g", "-XX:+UseParallelGC", "-cp", kafka_streams_classes()]
    return _peer(servers, prefix, [*command, "touchline.Profiles", servers, prefix, str(folder)])


MAKERS: dict[str, Maker] = {
    "touchline": touchline,
    "quix": quix,
    "faust": plain_faust,
    "kafka-streams": kafka_streams,
}


def _peer(
    servers: str, prefix: str, command: list[str], tables: list[str] | None = None
) -> Contender:
    results = Topics(*(f"{prefix}.{name}" for name in ("profiles", "changes", "dead")))
    touchpoints = f"{prefix}.touchpoints"
    create(servers, [touchpoints, *results[:3], *(tables or ())])
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    kafka = KafkaSettings(bootstrap_servers=servers)
    group = [Reader(prefix, touchpoints)]
    processes = [Process(command, environment)]
    return Contender(prefix, processes, kafka, touchpoints, results, group)


def quix_python() -> str:
    """Return the Python of a separate environment, created once: Quix Streams needs other packages.

    There is one for each interpreter: all contenders must run on the same.
    """
    ours = hashlib.sha256(f"{sys.base_prefix} {sys.version}".encode()).hexdigest()[:8]
    folder = _CACHE / f"{_QUIX.replace('==', '-')}-{ours}"
    python = folder / "bin" / "python"
    if not (folder / "complete").exists():
        _quietly([sys.executable, "-m", "venv", "--clear", str(folder)])
        install = ["-m", "pip", "install", "-q", "--disable-pip-version-check"]
        _quietly([str(python), *install, _QUIX, "msgspec>=0.22,<0.23"])
        (folder / "complete").touch()
    return str(python)


def kafka_streams_classes() -> str:
    """Return the class path of the Kafka Streams peer, compiled by Maven if its source is newer."""
    target = _KAFKA_STREAMS / "target"
    stamp = target / "complete"
    sources = [_KAFKA_STREAMS / "pom.xml", *_KAFKA_STREAMS.glob("src/**/*.java")]
    newest = max(source.stat().st_mtime for source in sources)
    if not stamp.exists() or stamp.stat().st_mtime < newest:
        goals = ["package", "dependency:copy-dependencies"]
        _quietly(["mvn", "-B", "-q", "-f", str(_KAFKA_STREAMS / "pom.xml"), *goals])
        stamp.touch()
    return f"{target}/classes:{target}/dependency/*"


def _quietly(command: list[str]) -> None:
    if shutil.which(command[0]) is None:
        raise SystemExit(f"{command[0]} is not installed; choose others with --contenders")
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        last = (done.stderr or done.stdout).strip().splitlines()[-1:]
        raise SystemExit(f"{command[0]} ended with status {done.returncode}: {' '.join(last)}")
