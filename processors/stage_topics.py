"""The consumer group, tables and changelog topics of a stage.

They follow from the stage alone, so `setup` and the readers of lags know them without the engine.
"""

from __future__ import annotations

from typing import Protocol

from schemas import topics

ROWS = "rows"
SEEN = "seen"
_PARTITIONS = {topic.name: topic.partitions for topic in topics.PUBLIC}


class StageShape(Protocol):
    """The part of `processors.stage.Stage` that names follow from; a stage's class has it too."""

    @property
    def name(self) -> str:
        """Return the name of the stage."""

    @property
    def inputs(self) -> tuple[str, ...]:
        """Return the logical names of the input topics."""

    @property
    def deduplicates(self) -> bool:
        """Return True if the stage remembers the ids of events."""


def declared_partitions(topic: str) -> int | None:
    """Return the number of partitions that a logical topic always has; None if it is configured."""
    return _PARTITIONS.get(topic)


def group(stage: StageShape, namespace: str) -> str:
    """Return the stage's consumer group, prefixed by the deployment's namespace."""
    return topics.full_name(namespace, f"touchline-{stage.name}")


def tables(stage: StageShape) -> tuple[str, ...]:
    """Return the tables of a stage."""
    return (ROWS, SEEN) if stage.deduplicates else (ROWS,)


def changelogs(stage: StageShape, namespace: str) -> tuple[topics.Topic, ...]:
    """Return the changelog topics that `setup` creates for a stage, by their broker names."""
    return tuple(
        topics.changelog(
            group(stage, namespace),
            table,
            declared_partitions(stage.inputs[0]),
            expires=table == SEEN,
        )
        for table in tables(stage)
    )
