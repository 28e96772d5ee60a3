"""Trails: the home of an identifier, where its touches add up, each exactly once.

Inputs: `touchpoints` (keyed by lead identifier) and `identity.assignments` (keyed by identifier),
co-partitioned. The rows of a partition:

=====================  ======================  ==========================================
key                    input that changes it   what
=====================  ======================  ==========================================
``t:`` lead id         touchpoints             the identifier's trail
``e:`` window          touchpoints             an engagement counter
``a:`` identifier id   identity.assignments    whose the identifier is, and was
``v:`` lead id other   identity.assignments    the verdict on a link
=====================  ======================  ==========================================

A row has one input, so the offset in its header says exactly what it contains. This is the one
place that adds; everything that leaves it is absolute.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from functools import lru_cache
from hashlib import blake2b
from typing import NamedTuple

import msgspec

from processors import engagement
from processors.stage import Decision, Output, Record, Store, Tick
from schemas import messages, rows, topics, touchpoint_row, trail
from schemas.features import Feature, micros
from schemas.identifiers import identifier_id
from schemas.times import parse_ms, rfc3339
from schemas.touchpoint_row import TouchpointRow
from schemas.trail import FeatureKey, Stamped, Trail, feature_name

#: Kinds of which a profile shows the one that was named last.
SHOWN_KINDS = ("email", "phone")
#: A trail remembers the last naming of at most this many e-mail addresses and phone numbers.
MOST_NAMED = 50


class TrailRow(msgspec.Struct, array_like=True):
    """The body of a ``t:`` row; `trail` is packed. `created` is the first offset it contains."""

    kind: str
    value: str
    created: int
    trail: bytes


class AssignmentRow(msgspec.Struct, array_like=True):
    """The body of an ``a:`` row; `left` are the profiles that hold traces of the identifier."""

    kind: str
    value: str
    profile_id: str
    version: int
    linked_ms: int
    left: list[str] = []


_encode = msgspec.msgpack.Encoder().encode
_trail_row = msgspec.msgpack.Decoder(TrailRow)
_assignment_row = msgspec.msgpack.Decoder(AssignmentRow)


class _Touch(NamedTuple):
    """A first delivery: where it stands in the log, what it says, when it occurred (ms)."""

    offset: int
    record: Record
    row: TouchpointRow
    at_ms: int


@dataclass(frozen=True, slots=True)
class TrailsStage:
    """The stage `trails`; see the module."""

    epoch: int
    #: Number of partitions of the topic `trails`, each of which gets the watermarks.
    partitions: int
    #: Features beyond those per (channel, type) and currency, because a segment asks for them.
    features: Collection[FeatureKey] = ()

    name = "trails"
    inputs = (topics.TOUCHPOINTS.name, topics.ASSIGNMENTS.name)
    atomic = False
    deduplicates = True

    def decide(self, records: Sequence[Record], store: Store) -> Decision:
        """Fold touches into their trails, or move trails as their identifiers are assigned."""
        if records[0].topic == topics.ASSIGNMENTS.name:
            return _Assigning(self, store).decide(records)
        return _Touching(self, store, records).decide()

    def tick(self, tick: Tick, store: Store) -> Decision:
        """Tell every partition of `trails` how far this home has come."""
        if not tick.position_ms:
            return Decision()
        value = messages.encode(messages.Watermark(tick.partition, tick.position_ms))
        return Decision(
            outputs=[
                Output(topics.TRAILS.name, b"watermark", value, partition)
                for partition in range(self.partitions)
            ]
        )

    def deadline(self, key: bytes, value: bytes) -> int | None:
        """Nothing here depends on time."""
        return None


class _Folded:
    """A trail while touches are added to it."""

    __slots__ = ("applied", "created", "features", "kind", "newest_ms", "rev", "trail", "value")

    def __init__(self, touch: _Touch, row: bytes | None) -> None:
        self.features: dict[str, Feature] = {}
        self.newest_ms = 0
        if row is None:
            self.kind, self.value = touch.row.lead_kind, touch.row.lead_value
            self.applied, self.rev, self.created = -1, 0, touch.offset
            self.trail = Trail(2**62, -(2**62), -(2**62), {}, {}, {}, {})
            return
        self.applied, self.rev = rows.header(row)[2:]
        body = _trail_row.decode(memoryview(row)[rows.SIZE :])
        self.kind, self.value, self.created = body.kind, body.value, body.created
        self.trail = trail.decode(body.trail)

    def add(self, touch: _Touch, extra: Collection[FeatureKey]) -> None:
        """Add one touch, unless it is in already."""
        offset, record, row, at_ms = touch
        self.newest_ms = max(self.newest_ms, record.timestamp_ms)
        if offset <= self.applied:
            return
        self.applied = offset
        self.rev += 1
        kept = self.trail
        kept.first_ms = min(kept.first_ms, at_ms)
        kept.last_ms = max(kept.last_ms, at_ms)
        kept.received_ms = max(kept.received_ms, parse_ms(row.received_at))
        for name, value in row.traits.items():
            _keep_last(kept.traits, name, Stamped(at_ms, row.source, row.event_id, value))
        for purpose, given in row.consent.items():
            _keep_last(kept.consent, purpose, Stamped(at_ms, row.source, row.event_id, given))
        for kind in SHOWN_KINDS:
            for value in row.identifiers.get(kind, ()):
                self._name(f"{kind}:{value}", at_ms)
        self._count(row, at_ms, extra)

    def _name(self, name: str, at_ms: int) -> None:
        named = self.trail.named
        named[name] = max(named.get(name, at_ms), at_ms)
        if len(named) > MOST_NAMED:
            del named[min(named, key=lambda one: (named[one], one))]

    def _count(self, row: TouchpointRow, at_ms: int, extra: Collection[FeatureKey]) -> None:
        currency, amount = "", 0
        if row.value_amount is not None and row.value_currency:
            currency, amount = row.value_currency, micros(row.value_amount)
        counted = _generic_features(row.channel, row.type, currency)
        if extra:
            counted += tuple(_Counted.of(key) for key in extra if _matches(key, row, currency))
        for name, money in counted:
            feature = self.features.get(name)
            if feature is None:
                packed = self.trail.features.get(name)
                feature = Feature(money) if packed is None else Feature.unpack(packed)
                self.features[name] = feature
            feature.add(at_ms, amount if money else 0)

    def packed(self) -> bytes:
        """The trail's bytes."""
        for name, feature in self.features.items():
            self.trail.features[name] = feature.pack()
        return trail.encode(self.trail)


class _Counted(NamedTuple):
    """A feature that a touch counts in: its name, and whether it sums amounts."""

    name: str
    money: bool

    @classmethod
    def of(cls, key: FeatureKey) -> _Counted:
        """The feature of a key."""
        return cls(feature_name(key), bool(key.currency))


@lru_cache(maxsize=4096)
def _generic_features(channel: str, event_type: str, currency: str) -> tuple[_Counted, ...]:
    """The features that every trail keeps."""
    counts = _Counted.of(FeatureKey(channel, event_type))
    if not currency:
        return (counts,)
    return counts, _Counted.of(FeatureKey(channel, event_type, currency))


class _Touching:
    """One batch of touches."""

    def __init__(self, stage: TrailsStage, store: Store, records: Sequence[Record]) -> None:
        self.stage = stage
        self.home = records[0].partition
        self.store = store
        self.decision = Decision()
        self.touches = self._first_deliveries(records)

    def _first_deliveries(self, records: Sequence[Record]) -> list[_Touch]:
        """The records that are no redelivery of an event already known."""
        touches = [touchpoint_row.decode(record.value) for record in records]
        hashes = [_event_hash(touch) for touch in touches]
        known = self.store.seen_many(hashes)
        new: dict[bytes, int] = self.decision.seen
        first = []
        for record, touch, digest, seen in zip(records, touches, hashes, known, strict=True):
            earlier = new.get(digest) if seen is None else seen
            if earlier is not None and earlier < record.offset:
                continue
            if seen is None:
                new[digest] = record.offset
            first.append(_Touch(record.offset, record, touch, parse_ms(touch.occurred_at)))
        self.decision.counts["redelivered"] = len(records) - len(first)
        return first

    def decide(self) -> Decision:
        """The trails, counters and link requests of the batch."""
        self._fold_trails()
        self._fold_counters()
        self._ask_for_verdicts()
        self.decision.outputs.extend(
            Output(topics.ACCEPTED.name, touch.row.lead_id.encode(), touch.record.value)
            for touch in self.touches
        )
        return self.decision

    def _fold_trails(self) -> None:
        leads = list({touch.row.lead_id: None for touch in self.touches})
        stored = self.store.get_many([_key(b"t:", lead) for lead in leads])
        assigned = self.store.get_many([_key(b"a:", lead) for lead in leads])
        present = dict(zip(leads, stored, strict=True))
        folded: dict[str, _Folded] = {}
        fresh: set[str] = set()
        for touch in self.touches:
            lead = touch.row.lead_id
            one = folded.get(lead)
            if one is None:
                one = folded[lead] = _Folded(touch, present[lead])
            if one.created == touch.offset:
                fresh.add(lead)
            one.add(touch, self.stage.features)
        for lead, assignment in zip(leads, assigned, strict=True):
            self._publish_trail(lead, folded[lead], present[lead], assignment, lead in fresh)

    def _publish_trail(
        self, lead: str, one: _Folded, stored: bytes | None, assignment: bytes | None, fresh: bool
    ) -> None:
        packed = one.packed()
        if stored is None or rows.header(stored).rev != one.rev:
            body = _encode(TrailRow(one.kind, one.value, one.created, packed))
            self.decision.rows[_key(b"t:", lead)] = rows.pack(
                self.stage.epoch, one.applied, one.rev, body
            )
        whose = _assigned(lead, one.kind, one.value, one.trail.first_ms, assignment)
        update = messages.TrailUpdate(
            lead, one.kind, one.value, whose.version, one.rev, packed, one.newest_ms
        )
        self.decision.outputs.append(_update_output(whose.profile_id, update))
        if fresh:
            self.decision.outputs.append(_identity_output(lead, whose, self.stage.epoch))

    def _fold_counters(self) -> None:
        windows: dict[engagement.Window, list[_Touch]] = {}
        for touch in self.touches:
            windows.setdefault(engagement.window(touch.row, touch.at_ms), []).append(touch)
        keys = [window.row_key() for window in windows]
        stored = self.store.get_many(keys)
        epoch = self.stage.epoch
        for (window, touches), key, row in zip(windows.items(), keys, stored, strict=True):
            counter = engagement.Counter() if row is None else engagement.unpack(row)
            before = applied, rev = (-1, 0) if row is None else rows.header(row)[2:]
            for touch in touches:
                if touch.offset > applied:
                    counter.add(touch.row)
                    applied = touch.offset
                    rev += 1
            if (applied, rev) != before:
                packed = engagement.pack(counter)
                self.decision.rows[key] = rows.pack(epoch, applied, rev, packed)
            value = engagement.published(window, counter, epoch=epoch, home=self.home, version=rev)
            self.decision.outputs.append(Output(topics.ENGAGEMENT.name, key, value))

    def _ask_for_verdicts(self) -> None:
        """Request the links of which this home knows no verdict, strongest first."""
        asked: dict[bytes, tuple[_Touch, str, str]] = {}
        for touch in self.touches:
            row = touch.row
            for kind, values in row.identifiers.items():
                for value in values:
                    if kind != row.lead_kind or value != row.lead_value:
                        key = _verdict_key(row.lead_id, identifier_id(kind, value))
                        asked.setdefault(key, (touch, kind, value))
        verdicts = self.store.get_many(list(asked)) if asked else []
        for (touch, kind, value), verdict in zip(asked.values(), verdicts, strict=True):
            if verdict is None:
                row = touch.row
                request = messages.LinkRequest(
                    row.lead_kind,
                    row.lead_value,
                    kind,
                    value,
                    row.source,
                    row.event_id,
                    touch.at_ms,
                )
                self.decision.outputs.append(
                    Output(topics.LINKS.name, row.lead_id.encode(), messages.encode(request), 0)
                )


class _Assigning:
    """One batch of the graph's answers."""

    def __init__(self, stage: TrailsStage, store: Store) -> None:
        self.stage = stage
        self.store = store
        self.decision = Decision()

    def decide(self, records: Sequence[Record]) -> Decision:
        """Move trails to the profiles that their identifiers belong to now."""
        answers = [(record, messages.decode_assignment(record.value)) for record in records]
        ids = list({answer.identifier_id: None for _, answer in answers})
        stored = dict(zip(ids, self.store.get_many([_key(b"a:", i) for i in ids]), strict=True))
        trails = dict(zip(ids, self.store.get_many([_key(b"t:", i) for i in ids]), strict=True))
        latest: dict[str, tuple[AssignmentRow | None, int, int]] = {}
        touched: dict[str, int] = {}
        for record, answer in answers:
            one = answer.identifier_id
            if one not in latest:
                latest[one] = _open(stored[one])
            row, applied, rev = latest[one]
            if record.offset <= applied:
                touched[one] = record.timestamp_ms
            else:
                changed = _move(row, answer, has_trail=trails[one] is not None)
                if changed is not None:
                    latest[one] = changed, record.offset, rev + 1
                    touched[one] = record.timestamp_ms
            self._keep_verdicts(record, answer)
        for one, at_ms in touched.items():
            row, applied, rev = latest[one]
            if row is not None:
                before = stored[one]
                if before is None or rows.header(before).rev != rev:
                    self.decision.rows[_key(b"a:", one)] = rows.pack(
                        self.stage.epoch, applied, rev, _encode(row)
                    )
                self._publish(one, row, trails[one], at_ms)
        return self.decision

    def _keep_verdicts(self, record: Record, answer: messages.Assignment) -> None:
        for other, holds in answer.verdicts.items():
            key = _verdict_key(answer.identifier_id, other)
            self.decision.rows[key] = rows.pack(
                self.stage.epoch, record.offset, record.offset + 1, b"1" if holds else b"0"
            )

    def _publish(self, one: str, row: AssignmentRow, stored: bytes | None, at_ms: int) -> None:
        packed, changes = b"", 0
        if stored is not None:
            changes = rows.header(stored).rev
            packed = _trail_row.decode(memoryview(stored)[rows.SIZE :]).trail
        # An identifier of its own that led nothing makes no profile.
        if packed or row.profile_id != one or one in row.left:
            update = messages.TrailUpdate(
                one, row.kind, row.value, row.version, changes, packed, at_ms
            )
            self.decision.outputs.append(_update_output(row.profile_id, update))
        for profile_id in row.left:
            if profile_id != row.profile_id:
                moved = messages.TrailUpdate(
                    one, row.kind, row.value, row.version, changes, None, at_ms
                )
                self.decision.outputs.append(_update_output(profile_id, moved))
        self.decision.outputs.append(_identity_output(one, row, self.stage.epoch))


def _open(row: bytes | None) -> tuple[AssignmentRow | None, int, int]:
    if row is None:
        return None, -1, 0
    header = rows.header(row)
    return _assignment_row.decode(memoryview(row)[rows.SIZE :]), header.applied, header.rev


def _move(
    row: AssignmentRow | None, answer: messages.Assignment, *, has_trail: bool
) -> AssignmentRow | None:
    """The row after an answer; None when the answer brings nothing new."""
    if row is None:
        left = [answer.identifier_id] if has_trail else []
    elif answer.version > row.version:
        left = row.left if row.profile_id in row.left else [*row.left, row.profile_id]
    else:
        return None
    return AssignmentRow(
        answer.kind, answer.value, answer.profile_id, answer.version, answer.linked_ms, left
    )


def _assigned(
    lead: str, kind: str, value: str, first_ms: int, assignment: bytes | None
) -> AssignmentRow:
    if assignment is None:
        return AssignmentRow(kind, value, lead, 0, first_ms)
    return _assignment_row.decode(memoryview(assignment)[rows.SIZE :])


def _update_output(profile_id: str, update: messages.TrailUpdate) -> Output:
    return Output(topics.TRAILS.name, profile_id.encode(), messages.encode(update))


def _identity_output(one: str, row: AssignmentRow, epoch: int) -> Output:
    value = msgspec.json.encode(
        {
            "epoch": epoch,
            "identifier_id": one,
            "kind": row.kind,
            "value": row.value,
            "profile_id": row.profile_id,
            "linked_at": rfc3339(row.linked_ms),
            "version": row.version,
        }
    )
    return Output(topics.IDENTITIES.name, one.encode(), value)


def _keep_last(kept: dict[str, Stamped], name: str, new: Stamped) -> None:
    old = kept.get(name)
    if old is None or new.order() > old.order():
        kept[name] = new


def _matches(key: FeatureKey, touch: TouchpointRow, currency: str) -> bool:
    return (
        (not key.channel or key.channel == touch.channel)
        and (not key.type or key.type == touch.type)
        and (not key.source or key.source == touch.source)
        and (not key.campaign or key.campaign == touch.campaign_name)
        and (not key.direction or key.direction == touch.direction)
        and (not key.currency or key.currency == currency)
    )


def _event_hash(touch: TouchpointRow) -> bytes:
    """What names an event: source, event id and lead identifier."""
    name = f"{touch.source}\x00{touch.event_id}\x00{touch.lead_id}"
    return blake2b(name.encode(), digest_size=16).digest()


def _key(prefix: bytes, identifier: str) -> bytes:
    return prefix + identifier.encode()


def _verdict_key(lead: str, other: str) -> bytes:
    return f"v:{lead}{other}".encode()
