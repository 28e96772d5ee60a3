"""Local state is lost."""

from __future__ import annotations

import random
from collections.abc import Iterator

from deploy.kafka.topology import STAGE_NAMES
from tests.faults.faults.fault import fault
from tests.faults.target import Target


def _lost(target: Target, names: list[str], stage: str) -> Iterator[None]:
    for name in names:
        target.kill(name)
        target.lose_state(name, stage)
    yield
    for name in names:
        target.start(name)


@fault("lose state of a stage")
def lose_a_stage(target: Target, rng: random.Random) -> Iterator[None]:
    """kill -9 of a worker and its rows of one stage deleted: recovered from the changelog"""
    with target.one_of(rng, "worker") as name:
        yield from _lost(target, [name] if name else [], rng.choice(STAGE_NAMES))


@fault("lose all state")
def lose_all(target: Target, rng: random.Random) -> Iterator[None]:
    """kill -9 of all workers and their folders deleted: all comes back from changelogs"""
    names = [name for name in ("worker-1", "worker-2") if target.runs(name)]
    yield from _lost(target, names, "*")


FAULTS = (lose_a_stage, lose_all)
