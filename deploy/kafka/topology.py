"""The topics of a deployment, and the consumer groups that read them.

Topics are lasting, or belong to a generation (`deploy.kafka.control`); all of the latter, and the
groups that read them, have the generation's namespace in front of their names.
"""

from __future__ import annotations

from collections.abc import Iterable

from deploy.config.settings import Settings
from deploy.kafka.control import Generation
from deploy.kafka.lag import Reader
from deploy.kafka.topics import TopicSpec, topic_specs
from processors.graph.stage import GraphStage
from processors.profiles.stage import ProfilesStage
from processors.stage_topics import StageShape, changelogs, group
from processors.trails.stage import TrailsStage
from schemas.topics import GLOBAL, PUBLIC, full_name
from sinks.clickhouse.tables import TABLES

#: The stages in the order of the data flow.
STAGES: tuple[StageShape, ...] = (TrailsStage, GraphStage, ProfilesStage)
STAGE_NAMES = tuple(stage.name for stage in STAGES)


def partitions_of(settings: Settings, present: Generation) -> int:
    """Return the number of partitions of the topics of an epoch."""
    return present.partitions or settings.topic_partitions


def generation_topics(settings: Settings, namespace: str, partitions: int = 0) -> list[TopicSpec]:
    """Return every topic of a generation, changelogs too, under its name on the broker.

    `partitions`: their number of partitions; 0: as configured.
    """
    kafka = settings.kafka
    if partitions:
        kafka = kafka.model_copy(update={"partitions": partitions})
    logs = [topic for stage in STAGES for topic in changelogs(stage, namespace)]
    return topic_specs(kafka, namespace, logs, (topic for topic in PUBLIC if topic not in GLOBAL))


def lasting_topics(settings: Settings) -> list[TopicSpec]:
    """Return the topics outside of all generations."""
    return topic_specs(settings.kafka, settings.namespace, (), GLOBAL)


def readers(namespace: str) -> list[Reader]:
    """Return all readers of topics of a generation, those nearest to the source first."""

    def of(stage: StageShape, topics: Iterable[str]) -> list[Reader]:
        return [Reader(group(stage, namespace), full_name(namespace, topic)) for topic in topics]

    # The trails stage has the answers to its links behind the graph.
    touches, assignments = TrailsStage.inputs
    return [
        *of(TrailsStage, [touches]),
        *of(GraphStage, GraphStage.inputs),
        *of(TrailsStage, [assignments]),
        *of(ProfilesStage, ProfilesStage.inputs),
        *sink_readers(namespace),
    ]


def sink_readers(namespace: str) -> list[Reader]:
    """Return the readers of the sinks."""
    return [
        Reader(table.group(namespace), full_name(namespace, table.topic.name)) for table in TABLES
    ]
