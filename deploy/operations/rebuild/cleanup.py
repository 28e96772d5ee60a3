"""Removal of the remains of generations: of an interrupted rebuild, of an epoch that is over."""

from __future__ import annotations

import re

from deploy.config.settings import Settings
from deploy.kafka.control import NEXT, Control, Generation, announce, read_control
from deploy.kafka.topics import Cluster
from deploy.kafka.topology import generation_topics
from deploy.operations.rebuild.history import History
from schemas.topics import full_name
from sinks.clickhouse.client import ClickHouse
from sinks.clickhouse.epochs import Epochs


def ordered_table(number: int) -> str:
    """Return the name of the table in which the touches are sorted for an epoch."""
    return f"rebuild_{number}"


def remove_abandoned(
    settings: Settings, store: ClickHouse, cluster: Cluster, abandoned: Generation
) -> None:
    """Remove all that an interrupted rebuild has built, unless its epoch is the present one."""
    control = read_control(settings.kafka, settings.namespace)
    if control.present is None or control.present.epoch == abandoned.epoch:
        return
    if control.next is not None and control.next.epoch == abandoned.epoch:
        announce(settings.kafka, settings.namespace, None, NEXT)
    cluster.delete(_topics(settings, abandoned.namespace))
    History(store, settings.namespace, abandoned.epoch).drop(ordered_table(abandoned.epoch))
    Epochs(store, settings.namespace).discard(abandoned.epoch)


def obsolete(settings: Settings, cluster: Cluster, control: Control) -> list[str]:
    """Return the topics of generations on which no process works any more."""
    working = {one.namespace for one in (control.present, control.next) if one is not None}
    if control.present is None:
        return []
    present = cluster.names()
    prefix = re.escape(full_name(settings.namespace, "g"))
    found = {match[0] for name in present if (match := re.match(rf"{prefix}\d+(?=\.)", name))}
    return sorted(
        name
        for namespace in {settings.namespace, *found} - working
        for name in _topics(settings, namespace)
        if name in present
    )


def _topics(settings: Settings, namespace: str) -> list[str]:
    return [topic.name for topic in generation_topics(settings, namespace)]
