"""The stages wired through an in-memory log, for tests that need no broker.

Kafka's promises are kept (order within a partition, at least once) and everything else is free:
which stage runs next on which partition, how much it reads, how long a partition waits, when it
commits, and where the process ends. A process that ends loses its memory and what it had not
logged, may have published a prefix of each partition, and is given again all records since its
last commit. An echo is an old record that a producer thought dead writes once more. Every choice
comes from `rng`: the same seed gives the same schedule.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import NamedTuple

from msgspec import structs

from ingest.intake.accept import Accepted, SourcePolicy, accept
from processors.graph.stage import GraphStage
from processors.profiles.stage import ProfilesStage
from processors.segments import Segment, required_features
from processors.stage import Decision, Output, Record, Stage, Tick
from processors.trails.stage import TrailsStage
from schemas import messages, topics, touchpoint_row
from schemas.identifiers import IdentityPolicy, identifier_id
from schemas.messages import SplitCommand
from schemas.times import HOUR_MS, MINUTE_MS, SECOND_MS, rfc3339
from schemas.touchpoint import Touchpoint
from schemas.touchpoint_row import TouchpointRow
from tests.support.memory_store import MemoryStore
from tests.support.shown import Shown

__all__ = ["STEPS", "MemoryStore", "Pipeline", "Place", "accepted"]

#: Where a process may end: before it logs, in or after each step, before it commits.
STEPS = ("decide", "log", "apply", "publish", "commit")
START_MS = 1_780_000_000_000
#: How many turns of the others a partition that is held back waits.
WAITS = (2, 10, 50, 400)


class Place(NamedTuple):
    """A place where a stage reads: one partition of one of its inputs."""

    stage: str
    topic: str
    partition: int


def accepted(
    touch: Touchpoint, source: str, policy: IdentityPolicy, received_ms: int = START_MS
) -> TouchpointRow:
    """The row of a touch as the gateway would accept it, Japan being the region of its source."""
    found = accept(touch, SourcePolicy(source, policy, region="JP"), received_ms, b"{}")
    assert isinstance(found, Accepted), found
    return touchpoint_row.decode(found.value)


def host_of(stage: Stage, partition: int) -> str:
    """Return the host of a stage's partition."""
    return f"{stage.name} {partition}"


class Pipeline(Shown):
    """Trails, graph and profiles over an in-memory log.

    Of each turn, `crashes` is the probability that the process ends in it, `echoes` that an old
    record comes before it, `delays` that a partition is held back from now on while hours may go
    by, `ticks` that a stage is told the time instead.
    """

    def __init__(
        self,
        *,
        partitions: int = 2,
        segments: Sequence[Segment] = (),
        policy: IdentityPolicy | None = None,
        untrusted: Iterable[str] = (),
        rng: random.Random | None = None,
        crashes: float = 0.0,
        echoes: float = 0.0,
        delays: float = 0.0,
        ticks: float = 0.0,
    ) -> None:
        policy = policy or IdentityPolicy()
        self.policy = policy
        self.partitions = partitions
        self.rng = rng or random.Random(0)
        self.crashes = crashes
        self.echoes = echoes
        self.delays = delays
        self.ticks = ticks
        self.now_ms = START_MS
        #: How far hosts' clocks are ahead (ms): of a gateway, or of who has a stage's partition.
        self.ahead: dict[str, int] = {}
        self.stages: tuple[Stage, ...] = (
            TrailsStage(1, partitions, required_features(segments)),
            GraphStage(1, policy, frozenset(untrusted)),
            ProfilesStage.of(1, partitions, segments, policy),
        )
        self.logs: dict[tuple[str, int], list[Record]] = {}
        self.stores: dict[tuple[str, int], MemoryStore] = {}
        #: How far each place is read, and how far of it would survive the process.
        self.positions: dict[Place, int] = {}
        self.committed: dict[Place, int] = {}
        self.held: dict[Place, int] = {}
        #: What happened how often: "done", "echo", "hold", "crash in log", …
        self.counts: Counter[str] = Counter()
        self.places = [
            Place(stage.name, topic, partition)
            for stage in self.stages
            for topic in stage.inputs
            for partition in range(1 if topic == topics.LINK_REQUESTS.name else partitions)
        ]

    def clock_ms(self, host: str) -> int:
        """The time by a host's clock."""
        return self.now_ms + self.ahead.get(host, 0)

    # Kafka

    def publish(
        self,
        topic: str,
        key: bytes,
        value: bytes,
        partition: int | None = None,
        *,
        host: str = "",
    ) -> None:
        """Append a record, whose time is that of the host that sends it."""
        number = self._partition(topic, key, partition)
        log = self.logs.setdefault((topic, number), [])
        log.append(Record(topic, number, len(log), self.clock_ms(host), key, value))

    def _partition(self, topic: str, key: bytes, chosen: int | None) -> int:
        count = 1 if topic == topics.LINK_REQUESTS.name else self.partitions
        return topics.partition_of(key, count) if chosen is None else chosen

    def log(self, place: Place) -> list[Record]:
        return self.logs.get((place.topic, place.partition), [])

    def echo(self, place: Place, offset: int) -> None:
        """A producer that was thought dead writes an old record once more."""
        self.counts["echo"] += 1
        old = self.log(place)[offset]
        self.publish(place.topic, old.key or b"", old.value, place.partition)

    # What comes in

    def touch(self, touch: Touchpoint, source: str = "test", gateway: str = "gateway") -> None:
        """Accept a touchpoint at the gateway's edge and publish it."""
        received_ms = self.clock_ms(gateway)
        self.receive(accepted(touch, source, self.policy, received_ms), gateway)

    def receive(self, row: TouchpointRow, gateway: str = "gateway") -> None:
        """Publish a touch that the gateway has accepted, as of now."""
        row = structs.replace(row, received_at=rfc3339(self.clock_ms(gateway)))
        key, value = row.lead_id.encode(), touchpoint_row.encode(row)
        self.publish(topics.TOUCHPOINTS.name, key, value, host=gateway)

    def split(
        self,
        kind: str,
        value: str,
        *,
        lead: tuple[str, str] = ("", ""),
        source: str = "",
        against: Iterable[tuple[str, str]] = (),
        split_id: str = "",
        lift: bool = False,
    ) -> str:
        """An operator splits an identifier, or with `lead` one link; the id of the command."""
        number = len(self.logs.get((topics.LINK_REQUESTS.name, 0), ()))
        split_id = split_id or f"00000000-0000-4000-8000-{number:012d}"
        command = SplitCommand(
            split_id, lift, self.now_ms, kind, value, *lead, source, list(against), "for the test"
        )
        key = identifier_id(kind, value).encode()
        self.publish(topics.LINK_REQUESTS.name, key, messages.encode(command), 0)
        return split_id

    def lift(self, kind: str, value: str, *, lead: tuple[str, str] = ("", "")) -> str:
        """An operator lifts what stands of splits of an identifier, or of one link."""
        return self.split(kind, value, lead=lead, lift=True)

    # The engine

    def pending(self) -> list[Place]:
        """Return the places where something waits to be read."""
        return [p for p in self.places if len(self.log(p)) > self.positions.get(p, 0)]

    def store(self, stage: Stage, partition: int) -> MemoryStore:
        return self.stores.setdefault((stage.name, partition), MemoryStore(stage))

    def step(self) -> bool:
        """One turn of whoever comes next; False when nothing is pending."""
        choices = self.pending()
        if not choices:
            return False
        rng = self.rng
        if self.ticks and rng.random() < self.ticks:
            self.tick(rng.choice(self.stages), rng.randrange(self.partitions))
            return True
        place = rng.choice(self._free(choices))
        if rng.random() < self.echoes:
            self.echo(place, rng.randrange(len(self.log(place))))
        commit = not self.crashes or rng.random() < 0.5
        self.process(place, rng.choice((1, 1, 2, 3, 10, 1000)), self._crash(), commit=commit)
        return True

    def _crash(self) -> str | None:
        return self.rng.choice(STEPS) if self.rng.random() < self.crashes else None

    def _free(self, choices: list[Place]) -> list[Place]:
        """Those of the places that are not held back; all, when they all are."""
        if self.delays and self.rng.random() < self.delays:
            self.counts["hold"] += 1
            self.held[self.rng.choice(choices)] = self.rng.choice(WAITS)
            self.now_ms += self.rng.choice((0, SECOND_MS, MINUTE_MS, 7 * HOUR_MS))
        if not self.held:
            return choices
        self.held = {place: left - 1 for place, left in self.held.items() if left}
        free = [place for place in choices if place not in self.held]
        if not free:
            self.held.clear()
        return free or choices

    def process(
        self, place: Place, size: int = 1000, crash: str | None = None, *, commit: bool = True
    ) -> None:
        """One batch of one place, to its end or to a crash at one of `STEPS`.

        Without `commit` it is read again after a crash in a later batch.
        """
        stage = next(one for one in self.stages if one.name == place.stage)
        start = self.positions.get(place, 0)
        batch = self.log(place)[start : start + size]
        decision = stage.decide(batch, self.store(stage, place.partition))
        if self._perform(stage, place.partition, decision, crash):
            self.positions[place] = start + len(batch)
            if commit:
                self.committed[place] = start + len(batch)

    def tick(self, stage: Stage, partition: int, crash: str | None = None) -> bool:
        """Tell a stage the time, as far as it has read its inputs; whether that changed rows."""
        now_ms = self.clock_ms(host_of(stage, partition))
        moments = [now_ms]
        for place in self.places:
            if place.stage == stage.name and place.partition == partition:
                position, log = self.positions.get(place, 0), self.log(place)
                if position < len(log):
                    moments.append(log[position - 1].timestamp_ms if position else 0)
        tick = Tick(partition, now_ms, min(moments))
        decision = stage.tick(tick, self.store(stage, partition))
        done = self._perform(stage, partition, decision, crash or self._crash())
        return bool(decision.rows) or not done

    def _perform(self, stage: Stage, partition: int, decision: Decision, crash: str | None) -> bool:
        """Log, apply and publish; False if the process ended before the commit."""
        store = self.store(stage, partition)
        self.counts[f"crash in {crash}" if crash else "done"] += 1
        if crash == "log":
            decision = self._partly_logged(stage, decision)
        if crash != "decide":
            # Logged is applied: a restart recovers it from the changelog.
            store.apply(decision)
        if crash in (None, "publish", "commit"):
            host = host_of(stage, partition)
            self._publish(decision.outputs, host, partly=crash == "publish")
        if crash is not None:
            store.forget()
            for place in self.places:
                if place.stage == stage.name and place.partition == partition:
                    self.positions[place] = self.committed.get(place, 0)
            return False
        for entry in decision.fired:
            store.index.pop(entry, None)
        return True

    def _partly_logged(self, stage: Stage, decision: Decision) -> Decision:
        """Log in part, as a crash leaves it: rows and seen ids have their own topics."""
        rows: Mapping[bytes, bytes | None] = decision.rows
        if not stage.atomic:
            rows = dict(list(rows.items())[: self.rng.randint(0, len(rows))])
        seen = decision.seen if self.rng.random() < 0.5 else {}
        return replace(decision, rows=dict(rows), seen=seen)

    def _publish(self, outputs: Sequence[Output], host: str, *, partly: bool) -> None:
        """Publish everything, or of each partition what comes first."""
        queues: dict[tuple[str, int], list[Output]] = {}
        for out in outputs:
            number = self._partition(out.topic, out.key, out.partition)
            queues.setdefault((out.topic, number), []).append(out)
        for (topic, number), queue in queues.items():
            count = self.rng.randint(0, len(queue)) if partly else len(queue)
            for out in queue[:count]:
                self.publish(topic, out.key, out.value, number, host=host)

    def run(self) -> None:
        """Process everything, bring the clock to all profiles, fire what is due."""
        while True:
            while self.step():
                pass
            if not self._tick_all():
                return

    def _tick_all(self) -> bool:
        """One tick everywhere; whether it changed any row."""
        changed = False
        for stage in self.stages:
            for partition in range(self.partitions):
                changed = self.tick(stage, partition) or changed
            while self.step():
                pass
        return changed

    def sleep(self, milliseconds: int) -> None:
        """Move the clock and let time do its work."""
        self.now_ms += milliseconds
        self.run()
        self.run()

    def calm(self) -> None:
        """Let nothing fail from here on and nothing is held back: drain, and tell all the time."""
        self.crashes = self.echoes = self.delays = self.ticks = 0.0
        self.held.clear()
        self.run()
        self.sleep(SECOND_MS)
