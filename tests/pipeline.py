"""The stages wired through an in-memory log, for tests that need no broker.

Kafka's promises are kept (order within a partition, at least once) and everything else is free:
which stage runs next, how much it reads, and where it crashes. A crash between *log* and *commit*
leaves what was logged, loses what was not, and delivers the batch again. An echo is an old record
that a producer thought dead writes once more.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from typing import Any

import msgspec

from ingest.accept import Accepted, SourcePolicy, accept
from processors.graph import GraphStage
from processors.profiles import ProfilesStage
from processors.segments import Segment, required_features
from processors.stage import Decision, Record, Stage, Tick
from processors.trails import TrailsStage
from schemas import topics
from schemas.identifiers import IdentityPolicy
from schemas.touchpoint import Touchpoint

STEPS = ("decide", "log", "apply", "publish")


class MemoryStore:
    """`processors.stage.Store` in memory."""

    def __init__(self, stage: Stage) -> None:
        self.stage = stage
        self.rows: dict[bytes, bytes] = {}
        self.seen: dict[bytes, int] = {}
        self.index: dict[bytes, bytes] = {}
        self.memory: dict[str, Any] = {}

    def get(self, key: bytes) -> bytes | None:
        return self.rows.get(key)

    def get_many(self, keys: Sequence[bytes]) -> list[bytes | None]:
        return [self.rows.get(key) for key in keys]

    def scan(self, prefix: bytes, limit: int, after: bytes = b"") -> list[tuple[bytes, bytes]]:
        keys = sorted(key for key in self.rows if key.startswith(prefix) and key > after)
        return [(key, self.rows[key]) for key in keys[:limit]]

    def seen_many(self, hashes: Sequence[bytes]) -> list[int | None]:
        return [self.seen.get(one) for one in hashes]

    def due(self, until: int, limit: int) -> Iterator[tuple[bytes, bytes]]:
        ready = sorted(entry for entry in self.index if int.from_bytes(entry[:8], "big") <= until)
        return iter([(entry, self.index[entry]) for entry in ready[:limit]])

    def apply(self, decision: Decision) -> None:
        fired = set(decision.fired)
        for key, value in decision.rows.items():
            old = self.rows.pop(key, None)
            for row, change in ((old, self._forget(fired)), (value, self.index.__setitem__)):
                moment = None if row is None else self.stage.deadline(key, row)
                if moment is not None:
                    change(moment.to_bytes(8, "big") + key, key)
            if value is not None:
                self.rows[key] = value
        self.seen.update(decision.seen)

    def _forget(self, fired: set[bytes]) -> Any:
        def forget(entry: bytes, _: bytes) -> None:
            if entry not in fired:
                self.index.pop(entry, None)

        return forget


class Pipeline:
    """Trails, graph and profiles over an in-memory log."""

    def __init__(
        self,
        *,
        partitions: int = 2,
        segments: Sequence[Segment] = (),
        policy: IdentityPolicy | None = None,
        rng: random.Random | None = None,
        crashes: float = 0.0,
        echoes: float = 0.0,
    ) -> None:
        policy = policy or IdentityPolicy()
        self.policy = policy
        self.partitions = partitions
        self.rng = rng or random.Random(0)
        self.crashes = crashes
        self.echoes = echoes
        self.now_ms = 1_780_000_000_000
        self.stages: tuple[Stage, ...] = (
            TrailsStage(1, partitions, required_features(segments)),
            GraphStage(1, policy),
            ProfilesStage.of(1, partitions, segments, policy),
        )
        self.logs: dict[tuple[str, int], list[Record]] = {}
        self.committed: dict[tuple[str, str, int], int] = {}
        self.stores: dict[tuple[str, int], MemoryStore] = {}

    # Kafka

    def publish(self, topic: str, key: bytes, value: bytes, partition: int | None = None) -> None:
        count = 1 if topic == topics.LINKS.name else self.partitions
        number = topics.partition_of(key, count) if partition is None else partition
        log = self.logs.setdefault((topic, number), [])
        log.append(Record(topic, number, len(log), self.now_ms, key, value))

    def touch(self, touch: Touchpoint, source: str = "test") -> None:
        """Accept a touchpoint at the gateway's edge and publish it."""
        accepted = accept(touch, SourcePolicy(source, self.policy, region="JP"), self.now_ms, b"{}")
        assert isinstance(accepted, Accepted), accepted
        self.publish(topics.TOUCHPOINTS.name, accepted.key, accepted.value)

    def store(self, stage: Stage, partition: int) -> MemoryStore:
        return self.stores.setdefault((stage.name, partition), MemoryStore(stage))

    def pending(self) -> list[tuple[Stage, str, int]]:
        return [
            (stage, topic, partition)
            for stage in self.stages
            for topic in stage.inputs
            for partition in range(self.partitions)
            if len(self.logs.get((topic, partition), ()))
            > self.committed.get((stage.name, topic, partition), 0)
        ]

    # The engine

    def step(self) -> bool:
        """Let one stage process one batch, or crash in it; False when nothing is pending."""
        choices = self.pending()
        if not choices:
            return False
        stage, topic, partition = self.rng.choice(choices)
        if self.rng.random() < self.echoes:
            # A producer that was thought dead writes an old record once more.
            old = self.rng.choice(self.logs[topic, partition])
            self.publish(topic, old.key or b"", old.value, partition)
        place = (stage.name, topic, partition)
        start = self.committed.get(place, 0)
        size = self.rng.choice((1, 2, 3, 10, 1000))
        batch = self.logs[topic, partition][start : start + size]
        store = self.store(stage, partition)
        decision = stage.decide(batch, store)
        if self._perform(stage, store, decision):
            self.committed[place] = start + len(batch)
        return True

    def _perform(self, stage: Stage, store: MemoryStore, decision: Decision) -> bool:
        """Log, apply and publish; False if the process crashed before the commit."""
        crash = self.rng.choice(STEPS) if self.rng.random() < self.crashes else None
        if crash is not None:
            store.memory.clear()
        if crash == "decide":
            return False
        # Logged is applied: a restart recovers it from the changelog.
        store.apply(decision)
        if crash in ("log", "apply"):
            return False
        outputs = decision.outputs
        if crash == "publish":
            outputs = outputs[: self.rng.randint(0, len(outputs))]
        for topic, key, value, partition in outputs:
            self.publish(topic, key, value, partition)
        if crash is None:
            for entry in decision.fired:
                store.index.pop(entry, None)
        return crash is None

    def run(self) -> None:
        """Process everything, bring the clock to all profiles, fire what is due."""
        while True:
            while self.step():
                pass
            if not self._tick():
                return

    def _tick(self) -> bool:
        """One tick everywhere; whether it changed any row."""
        changed = False
        for stage in self.stages:
            for partition in range(self.partitions):
                store = self.store(stage, partition)
                decision = stage.tick(Tick(partition, self.now_ms, self.now_ms), store)
                changed = changed or bool(decision.rows)
                if not self._perform(stage, store, decision):
                    changed = True
            while self.step():
                pass
        return changed

    def sleep(self, milliseconds: int) -> None:
        """Move the clock and let time do its work."""
        self.now_ms += milliseconds
        self.run()
        self.run()

    # What ClickHouse would show

    def rows(self, topic: str, *key: str) -> dict[tuple[Any, ...], dict[str, Any]]:
        """The newest version of each row of a topic, by its sorting key."""
        newest: dict[tuple[Any, ...], dict[str, Any]] = {}
        for (name, _), log in self.logs.items():
            for record in log if name == topic else ():
                row = msgspec.json.decode(record.value)
                at = tuple(row[column] for column in key)
                if at not in newest or row.get("version", 0) >= newest[at].get("version", 0):
                    newest[at] = row
        return newest

    def touchpoints(self) -> dict[tuple[Any, ...], dict[str, Any]]:
        return self.rows(topics.ACCEPTED.name, "source", "event_id", "lead_id")

    def profiles(self) -> dict[str, dict[str, Any]]:
        found = self.rows(topics.PROFILES.name, "profile_id")
        return {row["profile_id"]: row for row in found.values() if row["touchpoints"]}

    def identities(self) -> dict[tuple[str, str], str]:
        found = self.rows(topics.IDENTITIES.name, "identifier_id")
        return {(row["kind"], row["value"]): row["profile_id"] for row in found.values()}

    def members(self) -> set[tuple[str, str]]:
        found = self.rows(topics.SEGMENT_CHANGES.name, "segment", "profile_id")
        return {key for key, row in found.items() if row["change"] == "entered"}

    def engagement(self) -> dict[tuple[Any, ...], tuple[int, float, float]]:
        columns = ("window_start", "channel", "type", "source", "campaign_name", "value_currency")
        total: dict[tuple[Any, ...], tuple[int, float, float]] = {}
        for row in self.rows(topics.ENGAGEMENT.name, *columns, "home").values():
            at = tuple(row[column] for column in columns)
            touches, amount, duration = total.get(at, (0, 0.0, 0.0))
            total[at] = (
                touches + row["touchpoints"],
                round(amount + float(row["value_amount"]), 6),
                round(duration + row["duration_s"], 3),
            )
        return total

    def answer(self) -> dict[str, Any]:
        """All that must not depend on order, duplication, delay or crashes."""
        return {
            "touchpoints": {
                key: {name: value for name, value in row.items() if name != "received_at"}
                for key, row in self.touchpoints().items()
            },
            "profiles": {
                key: {
                    name: value
                    for name, value in row.items()
                    if name not in ("version", "updated_at", "received_at")
                }
                for key, row in self.profiles().items()
            },
            "identities": self.identities(),
            "members": self.members(),
            "engagement": self.engagement(),
        }
