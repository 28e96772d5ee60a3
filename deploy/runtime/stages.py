"""The stages of a deployment, made from its configuration."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from deploy.config.identity_policy import restored
from deploy.config.settings import Settings
from deploy.kafka.control import Present
from deploy.kafka.lag import Reader, sink_readers
from deploy.kafka.topics import Wanted, wanted
from processors.engine import changelogs, group
from processors.graph.stage import GraphStage
from processors.profiles.stage import ProfilesStage
from processors.segments import Segment, load_segments, required_features
from processors.stage import Stage
from processors.trails.stage import TrailsStage
from schemas.topics import GLOBAL, PUBLIC, full_name

#: The stages in the order of the data flow.
STAGE_NAMES = ("trails", "graph", "profiles")


def make(
    name: str, settings: Settings, present: Present, segments: Iterable[Segment] = ()
) -> Stage:
    """Make a stage by name, for an epoch and with the identity policy of that epoch."""
    policy = restored(present.policy, settings.identity.policy())
    partitions = partitions_of(settings, present)
    segments = tuple(segments)
    makers: dict[str, Callable[[], Stage]] = {
        "trails": lambda: TrailsStage(present.epoch, partitions, required_features(segments)),
        "graph": lambda: GraphStage(present.epoch, policy, untrusted=untrusted(settings)),
        "profiles": lambda: ProfilesStage.of(present.epoch, partitions, segments, policy),
    }
    return makers[name]()


def partitions_of(settings: Settings, present: Present) -> int:
    """Return the number of partitions of the topics of an epoch."""
    return present.partitions or settings.topic_partitions


def untrusted(settings: Settings) -> frozenset[str]:
    """Return the sources whose touches never join people (`links: false`)."""
    return frozenset(name for name, source in settings.sources.items() if not source.links)


def segments_of(settings: Settings) -> tuple[Segment, ...]:
    """Return the configured segments. Raises `processors.segments.SegmentError`."""
    return load_segments(settings.segments) if settings.segments else ()


def generation_topics(settings: Settings, namespace: str, partitions: int = 0) -> list[Wanted]:
    """Return every topic of a generation, changelogs too, under its name on the broker.

    `partitions`: their number of partitions; 0: as configured.
    """
    kafka = settings.kafka
    if partitions:
        kafka = kafka.model_copy(update={"partitions": partitions})
    logs = [topic for stage in _named(settings) for topic in changelogs(stage, namespace)]
    return wanted(kafka, namespace, logs, (topic for topic in PUBLIC if topic not in GLOBAL))


def lasting_topics(settings: Settings) -> list[Wanted]:
    """Return the topics outside of all generations."""
    return wanted(settings.kafka, settings.namespace, (), GLOBAL)


def readers(settings: Settings, namespace: str) -> list[Reader]:
    """Return all readers of topics of a generation, those nearest to the source first."""
    stages = {stage.name: stage for stage in _named(settings)}

    def reader(name: str, topic: str) -> Reader:
        return Reader(group(stages[name], namespace), full_name(namespace, topic))

    touches, assignments = stages["trails"].inputs
    return [
        reader("trails", touches),
        *(reader("graph", topic) for topic in stages["graph"].inputs),
        reader("trails", assignments),
        *(reader("profiles", topic) for topic in stages["profiles"].inputs),
        *sink_readers(namespace),
    ]


def _named(settings: Settings) -> list[Stage]:
    """Return the stages, only to read names from them."""
    return [make(name, settings, Present(0, "", "")) for name in STAGE_NAMES]
