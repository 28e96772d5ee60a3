"""All stages under anything that can happen, one event after the other, against the references.

Hypothesis chooses: touches of all kinds and sources, repetitions, splits and lifts while touches
are under way, who processes how much and when, crashes at every step, records written once more,
hours that go by. What it comes to when all is quiet is what the slow references say.
"""

from __future__ import annotations

import random

from hypothesis import HealthCheck, note, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule

from schemas import messages, topics
from schemas.identifiers import Identifier
from schemas.times import MINUTE_MS
from tests.support import identity_world, pipeline_checks
from tests.support.pipeline import STEPS, Pipeline, Place

names = st.sampled_from(identity_world.NAMES)
sources = st.sampled_from((*identity_world.SOURCES, identity_world.KIOSK))
sizes = st.sampled_from((1, 2, 5, 1000))
numbers = st.integers(0, 1000)


class IdentityMachine(RuleBasedStateMachine):
    """The stages wired together, and everybody who may disturb them."""

    def __init__(self) -> None:
        super().__init__()
        self.pipeline = Pipeline()
        self.policy = ""
        self.received = []

    @initialize(policy=st.sampled_from(sorted(identity_world.POLICIES)), seed=st.integers(0, 99))
    def start(self, policy: str, seed: int) -> None:
        self.policy = policy
        self.pipeline = Pipeline(
            policy=identity_world.POLICIES[policy],
            segments=identity_world.segments(),
            untrusted=[identity_world.KIOSK],
            rng=random.Random(seed),
        )
        self.pipeline.now_ms = identity_world.START_MS

    # What comes in

    @rule(some=st.lists(names, min_size=1, max_size=4, unique=True), source=sources, what=numbers)
    def touch(self, some: list[str], source: str, what: int) -> None:
        one = identity_world.row(len(self.received), tuple(some), source, what, self.policy)
        self.received.append(one)
        self.pipeline.receive(one)

    @precondition(lambda self: self.received)
    @rule(number=numbers)
    def repeat_a_touch(self, number: int) -> None:
        self.pipeline.receive(self.received[number % len(self.received)])

    @rule(name=names)
    def split(self, name: str) -> None:
        self.pipeline.split(*identity_world.IDENTIFIERS[name])

    @rule(name=names, others=st.lists(names, min_size=1, max_size=2, unique=True))
    def split_from(self, name: str, others: list[str]) -> None:
        against = [identity_world.IDENTIFIERS[other] for other in others if other != name]
        self.pipeline.split(*identity_world.IDENTIFIERS[name], against=against)

    @rule(name=names)
    def lift(self, name: str) -> None:
        self.pipeline.lift(*identity_world.IDENTIFIERS[name])

    @precondition(lambda self: self.links())
    @rule(number=numbers, source=st.sampled_from(("", *identity_world.SOURCES)))
    def split_a_link(self, number: int, source: str) -> None:
        lead, other = self.links()[number % len(self.links())]
        note(f"that link is {identity_world.SHORT[lead]} - {identity_world.SHORT[other]}")
        self.pipeline.split(*other, lead=lead, source=source)

    @precondition(lambda self: self.links())
    @rule(number=numbers)
    def lift_a_link(self, number: int) -> None:
        lead, other = self.links()[number % len(self.links())]
        note(f"that link is {identity_world.SHORT[lead]} - {identity_world.SHORT[other]}")
        self.pipeline.lift(*other, lead=lead)

    def links(self) -> list[tuple[Identifier, Identifier]]:
        found = {}
        for record in self.pipeline.logs.get((topics.LINK_REQUESTS.name, 0), ()):
            one = messages.decode_link(record.value)
            if one.lead_kind:
                pair = Identifier(one.lead_kind, one.lead_value), Identifier(one.kind, one.value)
                found[pair] = None
        return list(found)

    # What goes on inside

    @precondition(lambda self: self.pipeline.pending())
    @rule(number=numbers, size=sizes, commit=st.booleans())
    def process(self, number: int, size: int, commit: bool) -> None:
        self.pipeline.process(self.place(number), size, commit=commit)

    @rule(turns=st.integers(1, 40))
    def go_on(self, turns: int) -> None:
        for _ in range(turns):
            self.pipeline.step()

    @precondition(lambda self: self.pipeline.pending())
    @rule(number=numbers, size=sizes, step=st.sampled_from(STEPS))
    def crash(self, number: int, size: int, step: str) -> None:
        self.pipeline.process(self.place(number), size, step)

    @rule(number=numbers, crash=st.sampled_from((None, None, *STEPS)))
    def tick(self, number: int, crash: str | None) -> None:
        stage = self.pipeline.stages[number % 3]
        self.pipeline.tick(stage, number // 3 % self.pipeline.partitions, crash)

    @precondition(lambda self: self.pipeline.logs)
    @rule(number=numbers, offset=numbers)
    def echo(self, number: int, offset: int) -> None:
        written = [place for place in self.pipeline.places if self.pipeline.log(place)]
        place = written[number % len(written)]
        self.pipeline.echo(place, offset % len(self.pipeline.log(place)))

    @rule(milliseconds=st.sampled_from((1, MINUTE_MS, identity_world.STEP_MS)))
    def wait(self, milliseconds: int) -> None:
        self.pipeline.now_ms += milliseconds

    def place(self, number: int) -> Place:
        pending = self.pipeline.pending()
        return pending[number % len(pending)]

    def teardown(self) -> None:
        self.pipeline.calm()
        note("the log of links:\n" + "\n".join(pipeline_checks.log_of_links(self.pipeline)))
        pipeline_checks.check(self.pipeline, [identity_world.KIOSK], answered=False)


IdentityMachine.TestCase.settings = settings(
    max_examples=1000,
    stateful_step_count=40,
    deadline=None,
    suppress_health_check=list(HealthCheck),
)
test_identity_under_anything_that_can_happen = IdentityMachine.TestCase
