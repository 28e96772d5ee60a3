"""Whatever the clocks of the hosts, and however long nothing was read: the same views, and no
change of a segment that was never true.

Hosts differ by at most `SKEW`, and partitions move from host to host. Customers have one identifier
each here where it is asked when something was true; who is who is left to the other properties.
"""

from __future__ import annotations

import random
from collections.abc import Iterator

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from schemas import topics, touchpoint_row
from schemas.identifiers import Identifier, identifier_id
from schemas.times import DAY_MS, MINUTE_MS, parse_ms, rfc3339
from schemas.touchpoint import Touchpoint
from schemas.touchpoint_row import TouchpointRow
from tests.support import identity_world, pipeline_checks
from tests.support.pipeline import Pipeline, host_of
from tests.support.profile_reference import Person
from tests.support.touches import order, touch

SKEW = 3 * MINUTE_MS
GATEWAYS = ("east", "west")
CUSTOMERS = tuple(Identifier("email", f"e{number}@example.com") for number in range(4))
#: So that no deadline is near to when touches come or when it ends.
START_MS = identity_world.START_MS + 20 * MINUTE_MS
#: Steps of the clock; touches come at these, and occurred half an hour before, days or years ago.
PAUSES = (0, 0, 0, 1, 1, 4, 9, 31)
LATE = (0, 0, 0, 0, 3, 20, 5_000)
SEEDS = st.integers(0, 2**32)
SLOW = [HealthCheck.too_slow]


def system(rng: random.Random, **faults: float) -> Pipeline:
    pipeline = Pipeline(segments=identity_world.segments(), rng=rng, **faults)
    pipeline.now_ms = START_MS
    set_clocks(pipeline)
    return pipeline


def set_clocks(pipeline: Pipeline) -> None:
    """Partitions and gateways are on other hosts from now on."""
    hosts = [host_of(stage, n) for stage in pipeline.stages for n in range(pipeline.partitions)]
    pipeline.ahead = {
        host: pipeline.rng.choice((-SKEW, 0, 0, SKEW)) for host in (*hosts, *GATEWAYS)
    }


def moved(pipeline: Pipeline) -> None:
    """The workers start anew, on other hosts."""
    for store in pipeline.stores.values():
        store.forget()
    pipeline.positions = dict(pipeline.committed)
    set_clocks(pipeline)


def some_steps(pipeline: Pipeline) -> None:
    while pipeline.rng.random() < 0.8 and pipeline.step():
        pass


@settings(max_examples=150, deadline=None, suppress_health_check=SLOW)
@given(seed=SEEDS, policy=st.sampled_from(sorted(identity_world.POLICIES)))
def test_views_are_those_of_the_reference_whatever_the_clocks(seed: int, policy: str) -> None:
    rng = random.Random(seed)
    pipeline = Pipeline(
        segments=identity_world.segments(), policy=identity_world.POLICIES[policy], rng=rng,
        crashes=0.1, echoes=0.1, ticks=0.2,
    )  # fmt: skip
    pipeline.now_ms = START_MS
    some = rng.sample(identity_world.NAMES, rng.randint(2, 6))
    for number in range(rng.randint(2, 10)):
        names = tuple(rng.sample(some, rng.randint(1, 2)))
        one = identity_world.row(
            number, names, rng.choice(identity_world.SOURCES), rng.randrange(40), policy
        )
        pipeline.receive(one, rng.choice(GATEWAYS))
        if rng.random() < 0.3:
            moved(pipeline)
        if rng.random() < 0.2:
            pipeline.now_ms += rng.choice((1, 5)) * identity_world.STEP_MS
        some_steps(pipeline)
    pipeline.calm()
    pipeline_checks.check(pipeline, answered=False)


@settings(max_examples=300, deadline=None, suppress_health_check=SLOW)
@given(seed=SEEDS)
def test_no_change_of_a_segment_was_never_true(seed: int) -> None:
    """By time, too early by at most as much as clocks differ; by touches, whatever was unread."""
    rng = random.Random(seed)
    pipeline = system(rng, ticks=0.5)
    for number in range(rng.randint(2, 12)):
        pipeline.now_ms += rng.choice(PAUSES) * identity_world.STEP_MS
        source = rng.choice(identity_world.SOURCES)
        pipeline.touch(made(pipeline, number), source, rng.choice(GATEWAYS))
        if rng.random() < 0.2:
            moved(pipeline)
        if rng.random() < 0.6:
            some_steps(pipeline)
    pipeline.now_ms += rng.choice(PAUSES) * identity_world.STEP_MS
    pipeline.run()
    pipeline.calm()
    pipeline_checks.check(pipeline, answered=False)
    for (segment, profile), changes in pipeline.changes().items():
        for change in changes:
            at_ms, is_member = parse_ms(change["changed_at"]), change["change"] == "entered"
            if change["cause"] == "time":
                assert (segment, is_member) in {("quiet", True), ("buyers", False)}
                # All that had come in by then, read or not.
                person = known(pipeline, profile, at_ms - 2 * SKEW)
                if person.touches:
                    assert person.segments(at_ms)[segment] == is_member, (segment, change)
            assert any(
                person.segments(moment)[segment] == is_member
                for moment, person in history(pipeline, profile)
                if moment <= at_ms + 2 * SKEW
            ), (segment, change)


def made(pipeline: Pipeline, number: int) -> Touchpoint:
    """A visit or an order of some customer."""
    rng = pipeline.rng
    one = rng.choice(CUSTOMERS)
    occurred = pipeline.now_ms - identity_world.STEP_MS // 12 - rng.choice(LATE) * DAY_MS
    changes = {"occurred_at": rfc3339(occurred), "traits": rng.choice(identity_world.TRAITS)}
    if rng.random() < 0.6:
        return order(f"t{number}", one, amount=str(rng.randrange(3000)), **changes)
    return touch(f"t{number}", one, **changes)


def arrivals(pipeline: Pipeline, profile: str) -> list[tuple[int, TouchpointRow]]:
    """The touches of a customer with their record times."""
    return [
        (record.timestamp_ms, touchpoint_row.decode(record.value))
        for number in range(pipeline.partitions)
        for record in pipeline.logs.get((topics.TOUCHPOINTS.name, number), ())
        if record.key == profile.encode()
    ]


def known(pipeline: Pipeline, profile: str, until_ms: int) -> Person:
    """The customer by the touches that had come in by then."""
    came = arrivals(pipeline, profile)
    return person_of(profile, [row for at_ms, row in came if at_ms <= until_ms])


def history(pipeline: Pipeline, profile: str) -> Iterator[tuple[int, Person]]:
    """The moments at which anything may have become true, and the customer as of then."""
    came = arrivals(pipeline, profile)
    ends = [at_ms + 2 * SKEW for at_ms in (*(at_ms for at_ms, _ in came[1:]), pipeline.now_ms)]
    for number, ((at_ms, _), end_ms) in enumerate(zip(came, ends, strict=True), 1):
        touches = [row for _, row in came[:number]]
        moments = {at_ms}
        for window in (2 * DAY_MS, 7 * DAY_MS + identity_world.STEP_MS // 6):
            moments |= {parse_ms(row.occurred_at) + window for row in touches}
        person = person_of(profile, touches)
        yield from ((moment, person) for moment in moments if at_ms <= moment <= end_ms)


def person_of(profile: str, touches: list[TouchpointRow]) -> Person:
    (one,) = (one for one in CUSTOMERS if identifier_id(*one) == profile)
    return Person([one], touches)
