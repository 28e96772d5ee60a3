"""A deployment of Touchline on the benchmark's broker, under a namespace of its own."""

from __future__ import annotations

import subprocess
import sys
import urllib.request
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from benchmarks.workload import PARTITIONS
from deploy.config.settings import Settings, child_environment, load
from deploy.kafka import control
from deploy.kafka.lag import Reader
from deploy.kafka.topics import connect, ensure
from deploy.kafka.topology import generation_topics, lasting_topics, readers
from schemas.topics import Topic, full_name

#: The five definitions of the job for comparison.
SEGMENTS = Path(__file__).resolve().parent / "segments"


class Deployment:
    """The configuration and the topics of a deployment; `folder` keeps the state and the logs."""

    def __init__(
        self,
        folder: Path,
        servers: str,
        namespace: str,
        sections: Mapping[str, Any] | None = None,
    ) -> None:
        self.folder = folder
        self.namespace = namespace
        self.file = folder / "touchline.yaml"
        content = {
            "kafka": {"bootstrap_servers": servers, "partitions": PARTITIONS},
            "namespace": namespace,
            "segments": str(SEGMENTS),
            "metrics": {"port": 0},
            **(sections or {}),
        }
        self.file.write_text(yaml.safe_dump(content))
        self.settings: Settings = load(self.file).settings

    def create(self) -> None:
        """Create topics and the epoch, without ClickHouse."""
        cluster = connect(self.settings.kafka)
        wanted = [*lasting_topics(self.settings), *generation_topics(self.settings, self.namespace)]
        ensure(cluster, wanted)
        present = control.Generation(1, cluster.cluster_id(), self.namespace)
        control.announce(self.settings.kafka, self.namespace, present)
        cluster.close()

    def setup(self) -> None:
        """Create everything that `touchline setup` makes, ClickHouse's tables too."""
        with (self.folder / "setup.log").open("wb") as log:
            command = self.command("setup")
            done = subprocess.run(
                command, env=self.environment(), stdout=log, stderr=log, check=False
            )
        if done.returncode:
            raise SystemExit(f"touchline setup failed, see {log.name}")

    def topic(self, topic: Topic) -> str:
        """Return a topic's name on the broker."""
        return full_name(self.namespace, topic.name)

    def stage_readers(self, stage: str = "") -> list[Reader]:
        """Return the readers of a stage, or of all stages, those nearest to the source first."""
        found = readers(self.namespace)
        return [r for r in found if "touchline-sink" not in r.group and r.group.endswith(stage)]

    def command(self, *arguments: str) -> list[str]:
        """Return a command of Touchline's."""
        return [sys.executable, "-m", "deploy", *arguments]

    def environment(self, state: str = "state") -> dict[str, str]:
        """Return the environment of a process, with its local state in a folder of this name."""
        return child_environment(self.file, {"state": str(self.folder / state)})


def ready(port: int) -> bool:
    """Return True if the gateway on this port accepts touches."""
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/readyz", timeout=2):
            return True
    except OSError:
        return False
