"""Trails: the home of an identifier, where its touches add up, each exactly once.

Inputs: `touchpoints` (keyed by lead identifier) and `identity.assignments` (keyed by identifier),
co-partitioned. `processors.trails.rows` has the rows of a partition. Only this stage adds;
everything that it publishes is absolute.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from processors.engagement.counting import count_touches
from processors.stage import Decision, Output, Record, Store, Tick
from processors.trails.assignments import AssignmentHandler
from processors.trails.builder import TrailBuilder
from processors.trails.link_requests import request_verdicts
from processors.trails.rows import (
    AssignmentRow,
    TrailRow,
    assignment_key,
    identity_output,
    pack,
    trail_key,
    unpack_assignment,
    unpack_trail,
    update_output,
)
from processors.trails.touches import Touch, first_deliveries
from schemas import messages, rows, topics
from schemas.trail import FeatureKey


@dataclass(frozen=True, slots=True)
class TrailsStage:
    """The stage `trails`; see the module."""

    epoch: int
    #: Number of partitions of the topic `trails`, each of which gets the watermarks.
    partitions: int
    #: Features beyond those per (channel, type) and currency, because a segment needs them.
    features: frozenset[FeatureKey] = frozenset()

    name = "trails"
    inputs = (topics.TOUCHPOINTS.name, topics.ASSIGNMENTS.name)
    atomic = False
    deduplicates = True
    timed = False

    def decide(self, records: Sequence[Record], store: Store) -> Decision:
        """Fold touches into their trails, or move trails as their identifiers are assigned."""
        if records[0].topic == topics.ASSIGNMENTS.name:
            return AssignmentHandler(self.epoch, store).decide(records)
        return _TouchHandler(self, store, records).decide()

    def deadline(self, key: bytes, value: bytes) -> int | None:
        """Return None: nothing here depends on time."""
        return None

    def tick(self, tick: Tick, store: Store) -> Decision:
        """Send this home's watermark to every partition of `trails`."""
        if not tick.position_ms:
            return Decision()
        value = messages.encode(messages.Watermark(tick.partition, tick.position_ms))
        return Decision(
            outputs=[
                Output(topics.TRAILS.name, b"watermark", value, partition)
                for partition in range(self.partitions)
            ]
        )


class _OpenTrail:
    """A trail's row while the touches of a batch are added to it."""

    __slots__ = ("applied", "builder", "created", "kind", "rev", "value")

    def __init__(self, touch: Touch, row: bytes | None) -> None:
        if row is None:
            self.kind, self.value = touch.row.lead_kind, touch.row.lead_value
            self.applied, self.rev, self.created = -1, 0, touch.offset
            self.builder = TrailBuilder(None)
            return
        self.applied, self.rev = rows.header(row)[2:]
        body = unpack_trail(row)
        self.kind, self.value, self.created = body.kind, body.value, body.created
        self.builder = TrailBuilder(body.trail)

    def add(self, touches: Sequence[Touch], extra: frozenset[FeatureKey]) -> bool:
        """Add the touches that the row does not contain yet; return True if there were any."""
        new = [touch for touch in touches if touch.offset > self.applied]
        for touch in new:
            self.builder.add(touch.row, touch.at_ms, extra)
        if new:
            self.applied = new[-1].offset
            self.rev += len(new)
        return bool(new)


class _TouchHandler:
    """One batch of touches."""

    def __init__(self, stage: TrailsStage, store: Store, records: Sequence[Record]) -> None:
        self.stage = stage
        self.home = records[0].partition
        self.store = store
        self.decision = Decision()
        self.touches = first_deliveries(records, store, self.decision)

    def decide(self) -> Decision:
        """Return the trails, counters and link requests of the batch."""
        self._add_to_trails()
        count_touches(
            self.touches, self.store, self.decision, epoch=self.stage.epoch, home=self.home
        )
        request_verdicts(self.touches, self.store, self.decision)
        # The topics have the same number of partitions: both have their home here.
        topic = topics.DEDUPLICATED.name
        self.decision.outputs += [
            Output(topic, touch.row.lead_id.encode(), touch.record.value, self.home)
            for touch in self.touches
        ]
        return self.decision

    def _add_to_trails(self) -> None:
        by_lead: dict[str, list[Touch]] = {}
        for touch in self.touches:
            of_lead = by_lead.get(touch.row.lead_id)
            if of_lead is None:
                of_lead = by_lead[touch.row.lead_id] = []
            of_lead.append(touch)
        stored = self.store.get_many([trail_key(lead) for lead in by_lead])
        assigned = self.store.get_many([assignment_key(lead) for lead in by_lead])
        for (lead, touches), row, assignment in zip(by_lead.items(), stored, assigned, strict=True):
            one = _OpenTrail(touches[0], row)
            changed = one.add(touches, self.stage.features)
            packed = one.builder.pack()
            if changed:
                body = pack(TrailRow(one.kind, one.value, one.created, packed))
                self.decision.rows[trail_key(lead)] = rows.pack(
                    self.stage.epoch, one.applied, one.rev, body
                )
            self._publish_trail(lead, one, packed, assignment, touches)

    def _publish_trail(
        self,
        lead: str,
        one: _OpenTrail,
        packed: bytes,
        assignment: bytes | None,
        touches: Sequence[Touch],
    ) -> None:
        if assignment is None:
            # Its own profile, while nothing was ever assigned.
            whose = AssignmentRow(one.kind, one.value, lead, 0, one.builder.trail.first_ms)
        else:
            whose = unpack_assignment(assignment)
        newest_ms = max([touch.record.timestamp_ms for touch in touches])
        update = messages.TrailUpdate(
            lead, one.kind, one.value, whose.version, one.rev, packed, newest_ms
        )
        self.decision.outputs.append(update_output(whose.profile_id, update))
        if any([touch.offset == one.created for touch in touches]):
            self.decision.outputs.append(identity_output(lead, whose, self.stage.epoch))
