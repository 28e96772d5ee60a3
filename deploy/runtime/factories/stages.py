"""The stages of a deployment, made from its configuration."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from deploy.config.identity_policy import parse_policy
from deploy.config.segments import load_segments
from deploy.config.settings import Settings
from deploy.kafka.control import Generation
from deploy.kafka.topology import partitions_of
from processors.graph.stage import GraphStage
from processors.profiles.stage import ProfilesStage
from processors.segments import Segment, required_features
from processors.stage import Stage
from processors.trails.stage import TrailsStage


def make_stage(
    name: str, settings: Settings, present: Generation, segments: Iterable[Segment] = ()
) -> Stage:
    """Make a stage by name, for an epoch and with the identity policy of that epoch."""
    policy = parse_policy(present.policy, settings.identity.policy())
    partitions = partitions_of(settings, present)
    segments = tuple(segments)
    makers: dict[str, Callable[[], Stage]] = {
        "trails": lambda: TrailsStage(present.epoch, partitions, required_features(segments)),
        "graph": lambda: GraphStage(present.epoch, policy, untrusted=untrusted(settings)),
        "profiles": lambda: ProfilesStage.of(present.epoch, partitions, segments, policy),
    }
    return makers[name]()


def untrusted(settings: Settings) -> frozenset[str]:
    """Return the sources whose touches never join people (`links: false`)."""
    return frozenset(name for name, source in settings.sources.items() if not source.links)


def segments_of(settings: Settings) -> tuple[Segment, ...]:
    """Return the configured segments. Raises `processors.segments.SegmentError`."""
    return load_segments(settings.segments) if settings.segments else ()
