"""A deployment of Touchline on the benchmark's broker, under a namespace of its own."""

from __future__ import annotations

import sys
from pathlib import Path

import yaml

from deploy import epoch
from deploy.settings import Settings, child_environment, load
from deploy.stages import control_topic, generation_topics
from deploy.topics_admin import connect, ensure
from schemas.topics import Topic, full_name

#: The five definitions of the job for comparison.
SEGMENTS = Path(__file__).resolve().parent / "segments"


class Deployment:
    """Its configuration and its topics; `folder` keeps the state and the logs."""

    def __init__(
        self, folder: Path, servers: str, namespace: str, partitions: int = 4, clickhouse: str = ""
    ) -> None:
        self.folder = folder
        self.namespace = namespace
        self.file = folder / "touchline.yaml"
        content = {
            "kafka": {"bootstrap_servers": servers, "partitions": partitions},
            "namespace": namespace,
            "segments": str(SEGMENTS),
            "metrics": {"port": 0},
            "sources": {"benchmark": {"connector": "touchpoint", "token": "benchmark"}},
        }
        if clickhouse:
            content["clickhouse"] = {"url": clickhouse}
        self.file.write_text(yaml.safe_dump(content))
        self.settings: Settings = load(self.file).settings

    def create(self) -> None:
        """Topics and the epoch, without ClickHouse."""
        cluster = connect(self.settings.kafka)
        wanted = [control_topic(self.settings), *generation_topics(self.settings, self.namespace)]
        ensure(cluster, wanted)
        present = epoch.Present(1, cluster.cluster_id(), self.namespace)
        epoch.announce(self.settings.kafka, self.namespace, present)
        cluster.close()

    def topic(self, topic: Topic) -> str:
        """A topic's name on the broker."""
        return full_name(self.namespace, topic.name)

    def command(self, *arguments: str) -> list[str]:
        """A command of Touchline's."""
        return [sys.executable, "-m", "deploy", *arguments]

    def environment(self, state: str = "state") -> dict[str, str]:
        """The environment of a process, with its local state in a folder of this name."""
        return child_environment(self.file, {"state": str(self.folder / state)})
