"""Trails: the home of an identifier, where its touches add up, each exactly once.

Inputs: `touchpoints` (keyed by lead identifier) and `identity.assignments` (keyed by identifier),
co-partitioned. The rows of a partition:

=====================  ======================  ==========================================
key                    input that changes it   what
=====================  ======================  ==========================================
``t:`` lead id         touchpoints             the identifier's trail
``e:`` window          touchpoints             an engagement counter
``a:`` identifier id   identity.assignments    the identifier's profile, and its former ones
``v:`` lead id other   identity.assignments    the verdict on a link
=====================  ======================  ==========================================

A row has one input, so the offset in its header determines exactly what it contains. Only this
stage adds; everything that it publishes is absolute.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import blake2b
from typing import NamedTuple

import msgspec

from processors.engagement import counters as engagement
from processors.stage import Decision, Failure, Output, Record, Store, Tick
from processors.trails.assignments import (
    PENDING_VERDICTS,
    SETTLED_LINKS,
    Asked,
    Assigning,
    Link,
    Pending,
    TrailRow,
    assigned,
    encode,
    identity_output,
    link_output,
    row_key,
    trail_row,
    update_output,
    verdict_key,
    verdict_of,
)
from processors.trails.fold import Folding
from schemas import messages, rows, topics, touchpoint_row
from schemas.identifiers import identifier_id
from schemas.times import parse_ms, parse_receipt_ms
from schemas.touchpoint_row import TouchpointRow
from schemas.trail import FeatureKey

#: The most links that a partition remembers: asked and unanswered; answered finally.
MOST_REMEMBERED = 200_000


class _Touch(NamedTuple):
    """A first delivery: its position in the log, its content, the time it occurred (ms)."""

    offset: int
    record: Record
    row: TouchpointRow
    at_ms: int

    @classmethod
    def of(cls, record: Record) -> _Touch:
        """Decode a record. Raises msgspec.DecodeError or ValueError if it cannot be read."""
        row = touchpoint_row.decode(record.value)
        return cls(record.offset, record, row, parse_ms(row.occurred_at))


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
            return Assigning(self.epoch, store).decide(records)
        return _Touching(self, store, records).decide()

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


class _Folded:
    """A trail's row while the touches of a batch are added to it."""

    __slots__ = ("applied", "created", "folding", "kind", "rev", "value")

    def __init__(self, touch: _Touch, row: bytes | None) -> None:
        if row is None:
            self.kind, self.value = touch.row.lead_kind, touch.row.lead_value
            self.applied, self.rev, self.created = -1, 0, touch.offset
            self.folding = Folding(None)
            return
        self.applied, self.rev = rows.header(row)[2:]
        body = trail_row.decode(memoryview(row)[rows.SIZE :])
        self.kind, self.value, self.created = body.kind, body.value, body.created
        self.folding = Folding(body.trail)

    def add(self, touches: Sequence[_Touch], extra: frozenset[FeatureKey]) -> bool:
        """Add the touches that the row does not contain yet; return True if there were any."""
        new = [touch for touch in touches if touch.offset > self.applied]
        for touch in new:
            self.folding.add(touch.row, touch.at_ms, extra)
        if new:
            self.applied = new[-1].offset
            self.rev += len(new)
        return bool(new)


class _Touching:
    """One batch of touches."""

    def __init__(self, stage: TrailsStage, store: Store, records: Sequence[Record]) -> None:
        self.stage = stage
        self.home = records[0].partition
        self.store = store
        self.decision = Decision()
        self.touches = self._first_deliveries(records)

    def _first_deliveries(self, records: Sequence[Record]) -> list[_Touch]:
        """Return the records that are not redeliveries of a known event."""
        touches = self._read(records)
        hashes = [_event_hash(touch.row) for touch in touches]
        known = self.store.seen_many(hashes)
        new: dict[bytes, int] = self.decision.seen
        first = []
        for touch, digest, seen in zip(touches, hashes, known, strict=True):
            earlier = new.get(digest) if seen is None else seen
            if earlier is not None and earlier < touch.offset:
                continue
            if seen is None:
                new[digest] = touch.offset
            first.append(touch)
        self.decision.counts["redelivered"] = len(touches) - len(first)
        return first

    def _read(self, records: Sequence[Record]) -> list[_Touch]:
        """Decode the readable records; halving a batch for each other one would cost too much."""
        try:
            return [_Touch.of(record) for record in records]
        except (msgspec.DecodeError, ValueError):
            pass
        touches = []
        for record in records:
            try:
                touches.append(_Touch.of(record))
            except (msgspec.DecodeError, ValueError) as error:
                self.decision.failed.append(Failure.of(record, error))
        return touches

    def decide(self) -> Decision:
        """Return the trails, counters and link requests of the batch."""
        self._fold_trails()
        self._fold_counters()
        self._ask_for_verdicts()
        # The topics have the same number of partitions: both have their home here.
        self.decision.outputs += [
            Output(
                topics.DEDUPLICATED.name, touch.row.lead_id.encode(), touch.record.value, self.home
            )
            for touch in self.touches
        ]
        return self.decision

    def _fold_trails(self) -> None:
        by_lead: dict[str, list[_Touch]] = {}
        for touch in self.touches:
            of_lead = by_lead.get(touch.row.lead_id)
            if of_lead is None:
                of_lead = by_lead[touch.row.lead_id] = []
            of_lead.append(touch)
        stored = self.store.get_many([row_key(b"t:", lead) for lead in by_lead])
        assigned = self.store.get_many([row_key(b"a:", lead) for lead in by_lead])
        for (lead, touches), row, assignment in zip(by_lead.items(), stored, assigned, strict=True):
            one = _Folded(touches[0], row)
            changed = one.add(touches, self.stage.features)
            packed = one.folding.pack()
            if changed:
                body = encode(TrailRow(one.kind, one.value, one.created, packed))
                self.decision.rows[row_key(b"t:", lead)] = rows.pack(
                    self.stage.epoch, one.applied, one.rev, body
                )
            self._publish_trail(lead, one, packed, assignment, touches)

    def _publish_trail(
        self,
        lead: str,
        one: _Folded,
        packed: bytes,
        assignment: bytes | None,
        touches: Sequence[_Touch],
    ) -> None:
        whose = assigned(lead, one.kind, one.value, one.folding.trail.first_ms, assignment)
        newest_ms = max([touch.record.timestamp_ms for touch in touches])
        update = messages.TrailUpdate(
            lead, one.kind, one.value, whose.version, one.rev, packed, newest_ms
        )
        self.decision.outputs.append(update_output(whose.profile_id, update))
        if any([touch.offset == one.created for touch in touches]):
            self.decision.outputs.append(identity_output(lead, whose, self.stage.epoch))

    def _fold_counters(self) -> None:
        windows: dict[engagement.Window, list[_Touch]] = {}
        for touch in self.touches:
            window = engagement.window(touch.row, touch.at_ms)
            counted = windows.get(window)
            if counted is None:
                counted = windows[window] = []
            counted.append(touch)
        keys = [window.row_key() for window in windows]
        stored = self.store.get_many(keys)
        epoch = self.stage.epoch
        for (window, touches), key, row in zip(windows.items(), keys, stored, strict=True):
            counter = engagement.Counter() if row is None else engagement.unpack(row)
            applied, rev = (-1, 0) if row is None else rows.header(row)[2:]
            new = [touch for touch in touches if touch.offset > applied]
            if new:
                for touch in new:
                    counter.add(touch.row)
                applied, rev = new[-1].offset, rev + len(new)
                packed = engagement.pack(counter)
                self.decision.rows[key] = rows.pack(epoch, applied, rev, packed)
            value = engagement.published(window, counter, epoch=epoch, home=self.home, version=rev)
            self.decision.outputs.append(Output(topics.ENGAGEMENT.name, key, value))

    def _ask_for_verdicts(self) -> None:
        """Request the links that are open for the source of a touch, strongest first.

        An unanswered request is not repeated: the graph answers every link. The memory of requests
        ends with the process, or when a decision is not carried out.
        """
        pending: Pending = self.store.memory.setdefault(PENDING_VERDICTS, {})
        settled: set[Link] = self.store.memory.setdefault(SETTLED_LINKS, set())
        for memory in (pending, settled):
            if len(memory) > MOST_REMEMBERED:
                memory.clear()
        links = self._links_but(settled)
        keys = {link: verdict_key(link[0], identifier_id(*link[1:])) for link, _ in links}
        known = dict(zip(keys, self.store.get_many(list(keys.values())), strict=True))
        for link, touch in links:
            key, stored, source = keys[link], known[link], touch.row.source
            verdict = None if stored is None else verdict_of(stored)
            if verdict is not None and verdict.sources is None:
                settled.add(link)
                continue
            received_ms = parse_receipt_ms(touch.row.received_at)
            if verdict is not None and not verdict.open_to(source, received_ms):
                continue
            asked = pending.get(key, {}).get(source)
            if asked is None or (verdict is not None and received_ms > asked.received_ms):
                self.decision.outputs.append(link_output(_request(touch, *link[1:])))
                asked = Asked(received_ms)
            elif received_ms > asked.received_ms:
                # An operator's command may come between: then the answer leaves the link open to
                # this touch.
                asked = Asked(asked.received_ms, _request(touch, *link[1:]))
            pending.setdefault(key, {})[source] = asked

    def _links_but(self, settled: set[Link]) -> list[tuple[Link, _Touch]]:
        """Return the links that touches name, but those with a final verdict for every source."""
        links = []
        for touch in self.touches:
            row = touch.row
            lead_kind, lead_value, lead_id = row.lead_kind, row.lead_value, row.lead_id
            for kind, values in row.identifiers.items():
                for value in values:
                    link = (lead_id, kind, value)
                    if link not in settled and (kind != lead_kind or value != lead_value):
                        links.append((link, touch))
        return links


def _request(touch: _Touch, kind: str, value: str) -> messages.LinkRequest:
    row = touch.row
    return messages.LinkRequest(
        row.lead_kind,
        row.lead_value,
        kind,
        value,
        row.source,
        row.event_id,
        touch.at_ms,
        parse_receipt_ms(row.received_at),
    )


def _event_hash(touch: TouchpointRow) -> bytes:
    """Return the hash that identifies an event: source, event id and lead identifier."""
    name = f"{touch.source}\x00{touch.event_id}\x00{touch.lead_id}"
    return blake2b(name.encode(), digest_size=16).digest()
