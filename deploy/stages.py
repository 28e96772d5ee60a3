"""The stages of a deployment, made from its configuration."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from deploy.lag import Reader, sink_readers
from deploy.settings import Settings
from processors.engine import changelogs, group
from processors.graph import GraphStage
from processors.profiles import ProfilesStage
from processors.segments import Segment, load_segments, required_features
from processors.stage import Stage
from processors.trails import TrailsStage
from schemas.topics import Topic, full_name

#: In the order of the flow.
STAGE_NAMES = ("trails", "graph", "profiles")


def make(name: str, settings: Settings, epoch: int, segments: Iterable[Segment] = ()) -> Stage:
    """A stage by name."""
    policy = settings.identity.policy()
    segments = tuple(segments)
    makers: dict[str, Callable[[], Stage]] = {
        "trails": lambda: TrailsStage(
            epoch,
            settings.topic_partitions,
            required_features(segments),
        ),
        "graph": lambda: GraphStage(epoch, policy, untrusted=untrusted(settings)),
        "profiles": lambda: ProfilesStage.of(epoch, settings.topic_partitions, segments, policy),
    }
    return makers[name]()


def untrusted(settings: Settings) -> frozenset[str]:
    """The sources whose touches never join people (`links: false`)."""
    return frozenset(name for name, source in settings.sources.items() if not source.links)


def segments_of(settings: Settings) -> tuple[Segment, ...]:
    """The segments that are configured. Raises `processors.segments.SegmentError`."""
    return load_segments(settings.segments) if settings.segments else ()


def all_changelogs(settings: Settings) -> list[Topic]:
    """Every changelog topic, under its name on the broker."""
    return [
        topic
        for name in STAGE_NAMES
        for topic in changelogs(make(name, settings, epoch=0), settings.namespace)
    ]


def readers(settings: Settings) -> list[Reader]:
    """Everybody who reads a topic, those nearest to the source first."""
    stages = {name: make(name, settings, epoch=0) for name in STAGE_NAMES}

    def reader(name: str, topic: str) -> Reader:
        stage = stages[name]
        return Reader(group(stage, settings.namespace), full_name(settings.namespace, topic))

    touches, assignments = stages["trails"].inputs
    return [
        reader("trails", touches),
        *(reader("graph", topic) for topic in stages["graph"].inputs),
        reader("trails", assignments),
        *(reader("profiles", topic) for topic in stages["profiles"].inputs),
        *sink_readers(settings.namespace),
    ]
