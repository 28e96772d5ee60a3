"""Thousands of schedules: small cases, every legal order, everything that can fail.

A seed chooses the case and every turn of its schedule, so a failure is repeated by its seed:
`TOUCHLINE_SEED=123 pytest tests/properties/test_schedules.py`. `TOUCHLINE_SCHEDULES` says how many
seeds a run takes.
"""

from __future__ import annotations

import os
import random
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache

import pytest

from schemas import topics
from schemas.identifiers import IdentityPolicy
from schemas.times import MINUTE_MS
from schemas.touchpoint_row import TouchpointRow
from tests.support import identity_world, pipeline_checks
from tests.support.identity_stories import STORIES
from tests.support.pipeline import STEPS, Pipeline
from tests.support.story import Command

SCHEDULES = int(os.environ.get("TOUCHLINE_SCHEDULES", "6000"))
BLOCKS = 3
SEED = os.environ.get("TOUCHLINE_SEED")
#: Longer ones take their time, and are told by themselves in `tests.scenarios`.
MOST_STEPS = 12

#: What comes up in every thousand schedules.
EVERYTHING = {
    "done", "echo", "hold", *(f"crash in {step}" for step in STEPS), "holds", "voided split",
    "withdrawn split", "withdrawn lift",
    *(f"refused {reason}" for reason in ("unique", "limit", "rate", "split", "source")),
}  # fmt: skip

Step = TouchpointRow | Command


@dataclass(frozen=True)
class Case:
    """Steps in the order in which they come in; `text` shows them to a reader."""

    steps: Sequence[Step]
    policy: IdentityPolicy
    untrusted: tuple[str, ...]
    text: str


@lru_cache
def stories() -> list[Case]:
    """The stories with all their phases at once: nothing waits until it is quiet."""
    found = []
    for story in STORIES:
        steps = [step for phase in story.rows() for step in phase]
        if len(steps) <= MOST_STEPS:
            found.append(Case(steps, story.policy, story.untrusted, story.name))
    return found


def random_case(rng: random.Random) -> Case:
    """A few touches around a few identifiers, and in half of the cases splits and lifts."""
    policy = rng.choice(sorted(identity_world.POLICIES))
    some = rng.sample(identity_world.NAMES, rng.randint(3, 7))
    steps: list[tuple[str, Step]] = []
    pairs: list[list[str]] = []
    for number in range(rng.randint(3, 9)):
        names = tuple(rng.sample(some, rng.randint(1, min(3, len(some)))))
        source = rng.choice((*identity_world.SOURCES, identity_world.KIOSK))
        row = identity_world.row(number, names, source, rng.randrange(40), policy)
        steps.append((f"touch {' '.join(names)} by {source}", row))
        order = sorted(
            names,
            key=lambda n: identity_world.POLICIES[policy].strength(identity_world.IDENTIFIERS[n]),
        )
        pairs += [[order[0], other] for other in order[1:]]
    for _ in range(rng.choice((0, 0, 1, 2)) if pairs else 0):
        at = rng.randint(1, len(steps))
        for command in _commands(rng, rng.choice(pairs)):
            steps.insert(at, (_said(command), command))
            at = rng.randint(at + 1, len(steps))
    text = "\n".join([policy, *(said for said, _ in steps)])
    return Case(
        [step for _, step in steps], identity_world.POLICIES[policy], (identity_world.KIOSK,), text
    )


def _commands(rng: random.Random, pair: Sequence[str]) -> list[Command]:
    """A split of one of two linked identifiers or of their link, and often its lifting."""
    lead, other = (":".join(identity_world.IDENTIFIERS[name]) for name in pair)
    if rng.random() < 0.4:
        source = rng.choice(("", *identity_world.SOURCES))
        split = Command(other, lead, source)
    else:
        split = Command(rng.choice((lead, other)))
    return [split, replace(split, lift=True)] if rng.random() < 0.5 else [split]


def _said(one: Command) -> str:
    about = " - ".join(filter(None, (one.lead, one.what)))
    return f"{'lift' if one.lift else 'split'} {about} {one.source}".rstrip()


def run(case: Case, rng: random.Random, *, answered: bool = False) -> Pipeline:
    """One schedule of a case, until all is quiet.

    With `answered` nobody crashes, and every command comes to rest before the next touch.
    """
    pipeline = Pipeline(
        policy=case.policy,
        untrusted=case.untrusted,
        segments=identity_world.segments(),
        rng=rng,
        partitions=rng.choice((1, 2, 3)),
        crashes=0.0 if answered else rng.choice((0.0, 0.1, 0.3)),
        echoes=0.0 if answered else rng.choice((0.0, 0.1)),
        delays=rng.choice((0.0, 0.05, 0.3)),
        ticks=rng.choice((0.0, 0.1)),
    )
    pipeline.now_ms = identity_world.START_MS
    eagerness = rng.choice((0.0, 0.5, 0.9))
    for step in case.steps:
        pipeline.now_ms += rng.choice((0, 1, MINUTE_MS))
        if isinstance(step, Command):
            step.give(pipeline)
            while answered and pipeline.step():
                pass
        else:
            pipeline.receive(step)
        while rng.random() < eagerness and pipeline.step():
            pass
    pipeline.calm()
    return pipeline


def schedule(seed: int) -> Pipeline:
    """The case and the schedule of a seed, against the references; the pipeline at its end."""
    rng = random.Random(seed)
    case = rng.choice(stories()) if rng.random() < 0.3 else random_case(rng)
    answered, pipeline = rng.random() < 0.3, None
    try:
        pipeline = run(case, rng, answered=answered)
        pipeline_checks.check(pipeline, case.untrusted, answered=answered)
    except Exception as error:
        links = pipeline_checks.log_of_links(pipeline) if pipeline else []
        lines = [f"seed {seed}: {error}", case.text, "the log of links:", *links]
        raise AssertionError("\n".join(lines)) from error
    return pipeline


@pytest.mark.parametrize(
    "seeds",
    [range(block, SCHEDULES, BLOCKS) for block in range(BLOCKS)] if SEED is None else [[int(SEED)]],
    ids=str,
)
def test_every_schedule_ends_as_the_references_say(seeds: Sequence[int]):
    happened: Counter[str] = Counter()
    for seed in seeds:
        pipeline = schedule(seed)
        happened += pipeline.counts
        rows = pipeline.published(topics.LINK_VERDICTS.name)
        happened.update({f"{row['verdict']} {row['reason']}".rstrip() for row in rows})
    # All that the schedules are for came up.
    assert len(seeds) < 1000 or {name for name in EVERYTHING if not happened[name]} == set()


def test_a_seed_repeats_its_schedule_exactly():
    for seed in (1, 2, 3):
        one, other = (run(random_case(random.Random(seed)), random.Random(seed)) for _ in "ab")
        assert one.logs == other.logs
