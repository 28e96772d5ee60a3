"""Profiles: one row per person, merged from the newest trail of each of its identifiers.

Input: `trails`, keyed by profile id. Of the trails of an identifier the newest version wins, and
the merge of trails is a join; so the row is the same whatever the order. Segments are evaluated
on the merged profile whenever it changes, and when a deadline comes: the next moment at which
time alone changes a verdict. The clock is the minimum of the homes' watermarks, so that nothing
expires while touches are still unread.

Rows: ``r:`` profile id. Their body begins with the deadline, 8 bytes, which the engine indexes.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from hashlib import blake2b
from typing import Literal

import msgspec

from processors.merge import Merged, merge
from processors.segments import Segment
from processors.stage import Decision, Output, Record, Store, Tick
from schemas import messages, rows, topics, trail
from schemas.identifiers import Identifier, IdentityPolicy
from schemas.messages import TrailUpdate, Watermark
from schemas.times import rfc3339

Cause = Literal["event", "time", "identity", "definition"]
PREFIX = b"r:"
#: Due rows, and rows under a changed definition, that one tick looks at.
MOST_PER_TICK = 500
_DEADLINE = struct.Struct(">Q")
_DEADLINE_END = rows.SIZE + _DEADLINE.size


class Entry(msgspec.Struct, array_like=True):
    """The newest of an identifier; `trail` is None where it moved away, empty if it led none."""

    kind: str
    value: str
    version: int
    changes: int
    trail: bytes | None


class Membership(msgspec.Struct, array_like=True):
    """The last change of a profile in a segment; `version` is the row's revision at that time."""

    is_member: bool
    changed_ms: int
    cause: str
    version: int


class ProfileRow(msgspec.Struct, array_like=True):
    """The body of a row behind its deadline."""

    entries: dict[str, Entry]
    segments: dict[str, Membership]
    #: The clock at the last evaluation; it never goes back.
    evaluated_ms: int = 0
    #: `ProfilesStage.digest` at the last evaluation.
    definitions: str = ""
    #: Earlier changes of segments that crashes may have kept from being published.
    earlier: list[tuple[str, Membership]] = []


_encode = msgspec.msgpack.Encoder().encode
_decoder = msgspec.msgpack.Decoder(ProfileRow)


@dataclass(frozen=True, slots=True)
class ProfilesStage:
    """The stage `profiles`; see the module."""

    epoch: int
    #: Number of home partitions, whose watermarks make the clock.
    homes: int
    segments: Sequence[Segment] = ()
    policy: IdentityPolicy = field(default_factory=IdentityPolicy)
    digest: str = ""

    name = "profiles"
    inputs = (topics.TRAILS.name,)
    atomic = False
    deduplicates = False

    @classmethod
    def of(
        cls, epoch: int, homes: int, segments: Sequence[Segment], policy: IdentityPolicy
    ) -> ProfilesStage:
        """The stage for these definitions."""
        named = ",".join(f"{segment.name}={segment.digest}" for segment in segments)
        digest = blake2b(named.encode(), digest_size=8).hexdigest()
        return cls(epoch, homes, segments, policy, digest)

    def decide(self, records: Sequence[Record], store: Store) -> Decision:
        """Take the newest trails and evaluate the profiles that they changed."""
        updates: dict[bytes, list[tuple[int, TrailUpdate]]] = {}
        for record in records:
            message = messages.decode_trail_message(record.value)
            if isinstance(message, Watermark):
                self._advance(store, message)
            elif record.key is not None:
                updates.setdefault(record.key, []).append((record.offset, message))
        decision = Decision()
        stored = store.get_many([PREFIX + profile for profile in updates])
        clock = self._clock(store)
        for (profile, changes), row in zip(updates.items(), stored, strict=True):
            one = _Profile(self, profile, row)
            again = one.again(changes)
            one.settle(decision, again=again)
            if one.take(changes):
                newest = max(update.at_ms for _, update in changes)
                one.evaluate(newest if clock is None else clock, one.cause, newest)
                one.save(decision)
            elif again:
                one.publish(decision)
        return decision

    def tick(self, tick: Tick, store: Store) -> Decision:
        """Evaluate the profiles whose deadline has come, and those under new definitions."""
        decision = Decision()
        clock = self._clock(store)
        if clock is None:
            return decision
        for entry, key in store.due(clock, MOST_PER_TICK):
            decision.fired.append(entry)
            row = store.get(key)
            if row is None or key in decision.rows:
                continue
            one = _Profile(self, key[len(PREFIX) :], row)
            deadline = self.deadline(key, row)
            due = deadline is not None and deadline <= clock
            # Evaluated already and not due: the process may have ended before the rest.
            one.settle(decision, again=one.unpublished or not due)
            if due:
                one.evaluate(clock, "time", clock)
                one.stay_due()
                one.save(decision)
            else:
                one.publish(decision)
        self._sweep(store, clock, decision)
        return decision

    def deadline(self, key: bytes, value: bytes) -> int | None:
        """When the next verdict changes by time alone (ms)."""
        if not key.startswith(PREFIX):
            return None
        moment: int = _DEADLINE.unpack_from(value, rows.SIZE)[0]
        return moment or None

    def _advance(self, store: Store, watermark: Watermark) -> None:
        homes: dict[int, int] = store.memory.setdefault("watermarks", {})
        homes[watermark.home] = max(homes.get(watermark.home, 0), watermark.at_ms)

    def _clock(self, store: Store) -> int | None:
        """Up to when every home has processed its touches; None until each has said so."""
        homes: dict[int, int] = store.memory.get("watermarks", {})
        return min(homes.values()) if len(homes) >= self.homes else None

    def _sweep(self, store: Store, clock: int, decision: Decision) -> None:
        """After a start, look once at every row for definitions that changed meanwhile."""
        after = store.memory.get("swept", b"")
        if after is None:
            return
        found = store.scan(PREFIX, MOST_PER_TICK, after)
        for key, row in found:
            one = _Profile(self, key[len(PREFIX) :], row)
            if one.row.definitions != self.digest and key not in decision.rows:
                one.settle(decision, again=one.unpublished)
                one.evaluate(clock, "definition", clock)
                one.stay_due()
                one.save(decision)
        store.memory["swept"] = found[-1][0] if len(found) == MOST_PER_TICK else None


class _Profile:
    """A row while a batch changes it."""

    def __init__(self, stage: ProfilesStage, profile: bytes, stored: bytes | None) -> None:
        self.stage = stage
        self.profile = profile
        self.profile_id = profile.decode()
        #: See `stay_due`: whether the last change was published is not known.
        self.unpublished = False
        self.repeated = False
        self.cause: Cause = "event"
        self.changed: list[str] = []
        self.merged: Merged | None = None
        self.deadline = 0
        if stored is None:
            self.applied, self.rev = -1, 0
            self.row = ProfileRow({}, {})
        else:
            self.applied, self.rev = rows.header(stored)[2:]
            self.row = _decoder.decode(memoryview(stored)[_DEADLINE_END:])
            due = _DEADLINE.unpack_from(stored, rows.SIZE)[0]
            self.unpublished = due == self.row.evaluated_ms + 1

    def again(self, updates: Iterable[tuple[int, TrailUpdate]]) -> bool:
        """Whether what the row has applied already may not have been published yet."""
        return self.unpublished or any(offset <= self.applied for offset, _ in updates)

    def take(self, updates: Iterable[tuple[int, TrailUpdate]]) -> bool:
        """Keep what is newer; whether anything was."""
        changed = False
        for offset, update in updates:
            self.applied = max(self.applied, offset)
            old = self.row.entries.get(update.identifier_id)
            if old is not None and (update.version, update.changes) <= (old.version, old.changes):
                continue
            if self.row.entries and _comes_or_goes(old, update):
                self.cause = "identity"
            self.row.entries[update.identifier_id] = Entry(
                update.kind, update.value, update.version, update.changes, update.trail
            )
            changed = True
        return changed

    def merge(self) -> Merged:
        """The merge of the trails that are here now."""
        if self.merged is None:
            present = [entry for entry in self.row.entries.values() if entry.trail is not None]
            self.merged = merge(
                [Identifier(entry.kind, entry.value) for entry in present],
                [trail.decode(entry.trail) for entry in present if entry.trail],
                self.stage.policy,
            )
        return self.merged

    def evaluate(self, clock: int, cause: Cause, stamp_ms: int) -> None:
        """Bring the memberships up to a clock; changes are stamped with the later of the two."""
        row = self.row
        now = row.evaluated_ms = max(row.evaluated_ms, clock)
        stamp_ms = max(now, stamp_ms)
        if cause != "identity" and row.definitions and row.definitions != self.stage.digest:
            cause = "definition"
        row.definitions = self.stage.digest
        self.rev += 1
        self.deadline = 0
        merged = self.merge()
        names = set()
        for segment in self.stage.segments:
            names.add(segment.name)
            is_member = False
            if merged.touches:
                verdict = segment.evaluate(merged.view, now)
                is_member = verdict.is_member
                if verdict.next_ms is not None:
                    self.deadline = min(self.deadline or verdict.next_ms, verdict.next_ms)
            self._decide(segment.name, is_member, stamp_ms, cause)
        for name in sorted(row.segments.keys() - names):
            self._decide(name, False, stamp_ms, "definition")

    def _decide(self, name: str, is_member: bool, stamp_ms: int, cause: Cause) -> None:
        before = self.row.segments.get(name)
        if is_member != (before is not None and before.is_member):
            if before is not None and self.repeated:
                self.row.earlier = [*self.row.earlier, (name, before)]
            self.row.segments[name] = Membership(is_member, stamp_ms, cause, self.rev)
            self.changed.append(name)

    def stay_due(self) -> None:
        """After a tick that changed memberships, have the next one look at the row again.

        No record comes again if this tick is logged and not published. But the next tick comes
        only when this one was published; until then the row says that it is due, also to another
        process that has nothing but the changelog.
        """
        if self.changed:
            self.deadline = self.row.evaluated_ms + 1

    def save(self, decision: Decision) -> None:
        """Log, apply and publish the row."""
        body = _DEADLINE.pack(self.deadline) + _encode(self.row)
        decision.rows[PREFIX + self.profile] = rows.pack(
            self.stage.epoch, self.applied, self.rev, body
        )
        self.publish(decision)

    def settle(self, decision: Decision, *, again: bool) -> None:
        """Before others take their place, see to the changes of segments that were decided.

        `again`: they may not have been published, so they are once more; and until that is sure
        the row keeps them, however many crashes follow. Otherwise they were.
        """
        self.repeated = again
        if again:
            changes = [*self.row.earlier, *sorted(self.row.segments.items())]
            decision.outputs += [self._change_output(*change) for change in changes]
        else:
            self.row.earlier = []

    def publish(self, decision: Decision) -> None:
        """The profile's row, and the changes of segments that were just decided."""
        for name in self.changed:
            decision.outputs.append(self._change_output(name, self.row.segments[name]))
            change = "entered" if self.row.segments[name].is_member else "exited"
            count = f"segment.{name}.{change}"
            decision.counts[count] = decision.counts.get(count, 0) + 1
        decision.outputs.append(Output(topics.PROFILES.name, self.profile, self._profile_line()))

    def _change_output(self, name: str, membership: Membership) -> Output:
        value = msgspec.json.encode(
            {
                "epoch": self.stage.epoch,
                "segment": name,
                "profile_id": self.profile_id,
                "change": "entered" if membership.is_member else "exited",
                "changed_at": rfc3339(membership.changed_ms),
                "cause": membership.cause,
                "version": membership.version,
            }
        )
        return Output(topics.SEGMENT_CHANGES.name, self.profile, value)

    def _profile_line(self) -> bytes:
        merged = self.merge()
        view = merged.view
        return msgspec.json.encode(
            {
                "epoch": self.stage.epoch,
                "profile_id": self.profile_id,
                "customer_id": (view.identifiers.get("customer_id") or [""])[0],
                "email": merged.shown("email"),
                "phone": merged.shown("phone"),
                "display_name": merged.display_name(),
                "traits": view.traits,
                "first_seen_at": rfc3339(merged.first_ms),
                "last_seen_at": rfc3339(merged.last_ms),
                "touchpoints": merged.touches,
                "channels": merged.channels,
                "orders": merged.orders,
                "revenue": merged.revenue_text(),
                "engagement_points": merged.points,
                "segments": sorted(n for n, m in self.row.segments.items() if m.is_member),
                "consent": view.consent,
                "updated_at": rfc3339(self.row.evaluated_ms),
                "received_at": rfc3339(merged.received_ms),
                "version": self.rev,
            }
        )


def _comes_or_goes(old: Entry | None, update: TrailUpdate) -> bool:
    """Whether touches joined or left the profile with an identifier that changed hands."""
    was = old is not None and bool(old.trail)
    comes = bool(update.trail)
    return was != comes and (update.version > 0 or update.trail is None)
