"""Profiles: one row per person, merged from the newest trail of each of its identifiers.

Input: `trails`, keyed by profile id. The newest version of an identifier's trail wins, and
the merge of trails is a join; so the row is the same whatever the order. Segments are evaluated
on the merged profile whenever it changes, and when a deadline comes: the next moment at which
time alone changes a verdict. The clock is the minimum of the homes' watermarks, so that nothing
expires while touches are still unread.

Rows: `processors.profiles.rows`.
"""

from __future__ import annotations

from collections.abc import Sequence, Set
from dataclasses import dataclass, field
from hashlib import blake2b

from processors.profiles.change import ProfileChange
from processors.profiles.rows import PREFIX, deadline, row_key
from processors.segments import Segment
from processors.stage import Decision, Record, Store, Tick
from schemas import messages, topics
from schemas.identifiers import IdentityPolicy
from schemas.messages import TrailUpdate, Watermark

#: The most due rows, and rows under a changed definition, that one tick evaluates.
MOST_PER_TICK = 500


@dataclass(slots=True)
class _Memory:
    """The memory of a partition: `processors.stage.Store.memory` of this stage."""

    #: Home partition -> the time up to which it has processed its touches (ms).
    watermarks: dict[int, int] = field(default_factory=dict)
    #: The last key checked for definitions that changed; None if all rows are.
    swept: bytes | None = b""

    def advance(self, watermark: Watermark) -> None:
        """Note a home's watermark; it never goes back."""
        self.watermarks[watermark.home] = max(
            self.watermarks.get(watermark.home, 0), watermark.at_ms
        )

    def clock(self, homes: int) -> int | None:
        """Return the time up to which every home has processed its touches; None if unknown."""
        return min(self.watermarks.values()) if len(self.watermarks) >= homes else None


@dataclass(frozen=True, slots=True)
class ProfilesStage:
    """The stage `profiles`; see the module."""

    epoch: int
    #: Number of home partitions, whose watermarks make the clock.
    homes: int
    segments: Sequence[Segment] = ()
    policy: IdentityPolicy = field(default_factory=IdentityPolicy)
    names: Set[str] = frozenset()
    digest: str = ""

    name = "profiles"
    inputs = (topics.TRAILS.name,)
    atomic = False
    timed = True
    deduplicates = False

    @classmethod
    def of(
        cls, epoch: int, homes: int, segments: Sequence[Segment], policy: IdentityPolicy
    ) -> ProfilesStage:
        """Return the stage for these definitions."""
        named = ",".join(f"{segment.name}={segment.digest}" for segment in segments)
        digest = blake2b(named.encode(), digest_size=8).hexdigest()
        return cls(epoch, homes, segments, policy, {segment.name for segment in segments}, digest)

    def decide(self, records: Sequence[Record], store: Store) -> Decision:
        """Add the newest trails and evaluate the profiles that they changed."""
        memory = store.memory(_Memory)
        updates: dict[bytes, list[tuple[int, TrailUpdate]]] = {}
        for record in records:
            message = messages.decode_trail_message(record.value)
            if isinstance(message, Watermark):
                memory.advance(message)
            elif record.key is not None:
                updates.setdefault(record.key, []).append((record.offset, message))
        decision = Decision()
        stored = store.get_many([row_key(profile) for profile in updates])
        clock = memory.clock(self.homes)
        for (profile, changes), row in zip(updates.items(), stored, strict=True):
            one = ProfileChange(self, profile, row)
            replay = one.is_replay(changes)
            one.resolve_earlier_changes(decision, replay=replay)
            if one.apply_updates(changes):
                newest = max(update.at_ms for _, update in changes)
                one.evaluate(newest if clock is None else clock, one.cause, newest)
                one.save(decision)
            elif replay:
                one.publish(decision)
        return decision

    def tick(self, tick: Tick, store: Store) -> Decision:
        """Evaluate the profiles whose deadline has come, and those under new definitions."""
        decision = Decision()
        memory = store.memory(_Memory)
        clock = memory.clock(self.homes)
        if clock is None:
            return decision
        for entry, key in store.due(clock, MOST_PER_TICK):
            decision.fired.append(entry)
            row = store.get(key)
            if row is None or key in decision.rows:
                continue
            one = ProfileChange(self, key[len(PREFIX) :], row)
            due_ms = deadline(row)
            due = due_ms is not None and due_ms <= clock
            # A row that is evaluated already and not due: the process may have ended before the
            # rest.
            one.resolve_earlier_changes(decision, replay=one.unpublished or not due)
            if due:
                one.evaluate(clock, "time", clock)
                one.requeue()
                one.save(decision)
            else:
                one.publish(decision)
        self._sweep(store, memory, clock, decision)
        return decision

    def deadline(self, key: bytes, value: bytes) -> int | None:
        """Return the time (ms) at which the next verdict changes by time alone."""
        if not key.startswith(PREFIX):
            return None
        return deadline(value)

    def _sweep(self, store: Store, memory: _Memory, clock: int, decision: Decision) -> None:
        """After a start, check every row once for definitions that changed meanwhile."""
        if memory.swept is None:
            return
        found = store.scan(PREFIX, MOST_PER_TICK, memory.swept)
        for key, row in found:
            one = ProfileChange(self, key[len(PREFIX) :], row)
            if one.row.definitions != self.digest and key not in decision.rows:
                one.resolve_earlier_changes(decision, replay=one.unpublished)
                one.evaluate(clock, "definition", clock)
                one.requeue()
                one.save(decision)
        memory.swept = found[-1][0] if len(found) == MOST_PER_TICK else None
