"""The change of a profile's row: it adds trails, evaluates the segments, saves.

`is_replay` and `resolve_earlier_changes` ensure that no change of a segment is lost, however many
crashes happen in between.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence, Set
from typing import Literal, Protocol

from processors.profiles.merge import Merged, merge
from processors.profiles.rows import (
    Entry,
    Membership,
    ProfileRow,
    deadline,
    pack,
    profile_output,
    row_key,
    segment_change_output,
    transition,
    unpack,
)
from processors.segments import Segment
from processors.segments.truth import NEVER
from processors.stage import Decision, Output
from schemas import rows, trail
from schemas.identifiers import Identifier, IdentityPolicy
from schemas.messages import TrailUpdate
from schemas.times import MINUTE_MS

Cause = Literal["event", "time", "identity", "definition"]
#: A touch that came in this shortly after the clock may owe it to the clock of another host: then
#: only the time at which it occurred tells whether it is later.
_HOSTS_DIFFER_MS = 5 * MINUTE_MS


class Rules(Protocol):
    """The rules by which a row is evaluated."""

    @property
    def epoch(self) -> int:
        """Return the epoch of the row's values."""

    @property
    def segments(self) -> Sequence[Segment]:
        """Return the segment definitions."""

    @property
    def policy(self) -> IdentityPolicy:
        """Return the identity policy, which orders identifiers by strength."""

    @property
    def names(self) -> Set[str]:
        """Return the definitions' names."""

    @property
    def digest(self) -> str:
        """Return a digest that differs for different definitions."""


class ProfileChange:
    """A row while a batch changes it."""

    def __init__(self, rules: Rules, profile: bytes, stored: bytes | None) -> None:
        self.rules = rules
        self.profile = profile
        self.profile_id = profile.decode()
        #: True if the last change may be unpublished: see `requeue`.
        self.unpublished = False
        #: True if the changes before this one may be unpublished too.
        self._replayed = False
        self.cause: Cause = "event"
        self.changed: list[str] = []
        self.merged: Merged | None = None
        self.deadline = 0
        if stored is None:
            self.applied, self.rev = -1, 0
            self.row = ProfileRow({}, {})
        else:
            self.applied, self.rev = rows.header(stored)[2:]
            self.row = unpack(stored)
            self.unpublished = deadline(stored) == self.row.evaluated_ms + 1

    def is_replay(self, updates: Iterable[tuple[int, TrailUpdate]]) -> bool:
        """Return True if changes already in the row may not have been published yet."""
        return self.unpublished or any(offset <= self.applied for offset, _ in updates)

    def apply_updates(self, updates: Iterable[tuple[int, TrailUpdate]]) -> bool:
        """Add the newer trails; return True if there were any."""
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
        """Return the merge of the trails that this profile has now."""
        if self.merged is None:
            present = [entry for entry in self.row.entries.values() if entry.trail is not None]
            self.merged = merge(
                [Identifier(entry.kind, entry.value) for entry in present],
                [trail.decode(entry.trail) for entry in present if entry.trail],
                self.rules.policy,
            )
        return self.merged

    def evaluate(self, clock: int, cause: Cause, stamp_ms: int) -> None:
        """Update the memberships as of a clock; stamp changes with the later of it and `stamp_ms`.

        After an outage, touches later than the clock are read, and a window as of the clock may
        contain touches that were never in one window together. So a membership that ends before the
        newest of them came in changes nothing yet: the row is due at its end.
        """
        row = self.row
        now = row.evaluated_ms = max(row.evaluated_ms, clock)
        stamp_ms = max(now, stamp_ms)
        if cause != "identity" and row.definitions and row.definitions != self.rules.digest:
            cause = "definition"
        row.definitions = self.rules.digest
        self.rev += 1
        merged = self.merge()
        view, nobody, until = merged.view, not merged.touches, NEVER
        received_ms = merged.received_ms
        newest_ms = min(received_ms, max(merged.last_ms, received_ms - _HOSTS_DIFFER_MS))
        for segment in self.rules.segments:
            before = row.segments.get(segment.name)
            was_member = before is not None and before.is_member
            is_member = False
            if not nobody:
                is_member, changes = segment.test(view, now)
                if changes < until:
                    until = changes
                if changes <= newest_ms:
                    is_member = was_member
            if is_member != was_member:
                self._change(segment.name, is_member, stamp_ms, cause)
        self.deadline = 0 if until >= NEVER else until
        for name in sorted(row.segments.keys() - self.rules.names):
            if row.segments[name].is_member:
                self._change(name, False, stamp_ms, "definition")

    def _change(self, name: str, is_member: bool, stamp_ms: int, cause: Cause) -> None:
        before = self.row.segments.get(name)
        if before is not None and self._replayed:
            self.row.earlier = [*self.row.earlier, (name, before)]
        self.row.segments[name] = Membership(is_member, stamp_ms, cause, self.rev)
        self.changed.append(name)

    def requeue(self) -> None:
        """After a tick that changed memberships, make the row due again for the next tick.

        No record comes again if this tick is logged and not published. But the next tick comes only
        when this one was published; until then the row says that it is due, also to another process
        that has only the changelog.
        """
        if self.changed:
            self.deadline = self.row.evaluated_ms + 1

    def save(self, decision: Decision) -> None:
        """Add the row to the decision: to log, to apply and to publish."""
        body = pack(self.row, self.deadline)
        decision.rows[row_key(self.profile)] = rows.pack(
            self.rules.epoch, self.applied, self.rev, body
        )
        self.publish(decision)

    def resolve_earlier_changes(self, decision: Decision, *, replay: bool) -> None:
        """Handle the segment changes decided earlier, before new ones replace them.

        `replay`: they may not have been published, so they are published again, and the row keeps
        them until that is certain, however many crashes follow. Otherwise they were published.
        """
        self._replayed = replay
        if replay:
            changes = [*self.row.earlier, *sorted(self.row.segments.items())]
            decision.outputs += [self._change_output(*change) for change in changes]
        else:
            self.row.earlier = []

    def publish(self, decision: Decision) -> None:
        """Publish the profile's row, and the changes of segments that were just decided."""
        epoch = self.rules.epoch
        for name in self.changed:
            membership = self.row.segments[name]
            decision.outputs.append(self._change_output(name, membership))
            count = f"segment.{name}.{transition(membership)}"
            decision.counts[count] = decision.counts.get(count, 0) + 1
        decision.outputs.append(
            profile_output(self.profile_id, self.merge(), self.row, epoch=epoch, version=self.rev)
        )

    def _change_output(self, segment: str, membership: Membership) -> Output:
        return segment_change_output(self.profile_id, segment, membership, epoch=self.rules.epoch)


def _comes_or_goes(old: Entry | None, update: TrailUpdate) -> bool:
    """Return True if touches joined or left the profile with an identifier that changed hands."""
    was = old is not None and bool(old.trail)
    comes = bool(update.trail)
    return was != comes and (update.version > 0 or update.trail is None)
