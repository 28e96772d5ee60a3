"""Moving trails: the changes that the graph's answers make at an identifier's home partition."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import msgspec

from processors.stage import Decision, Output, Record, Store
from schemas import messages, rows, topics
from schemas.identifiers import identifier_id
from schemas.times import rfc3339

#: Key of the partition's memory of links asked for: key of the verdict's row -> source.
PENDING_VERDICTS = "pending verdicts"
#: Key of its memory of links whose verdict is final for every source; any other verdict clears it.
SETTLED_LINKS = "settled links"
#: Id of the lead, kind and value of the other identifier.
Link = tuple[str, str, str]


class Asked(NamedTuple):
    """An unanswered request: the receipt of its touch (ms), and the newest request since then."""

    received_ms: int
    held: messages.LinkRequest | None = None


Pending = dict[bytes, dict[str, Asked]]


class TrailRow(msgspec.Struct, array_like=True):
    """The body of a ``t:`` row; `trail` is packed. `created` is the first offset in it."""

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


class _Identity(msgspec.Struct):
    """A row of `identities`."""

    epoch: int
    identifier_id: str
    kind: str
    value: str
    profile_id: str
    linked_at: str
    version: int


_line = msgspec.json.Encoder().encode
encode = msgspec.msgpack.Encoder().encode
trail_row = msgspec.msgpack.Decoder(TrailRow)
_assignment_row = msgspec.msgpack.Decoder(AssignmentRow)
_verdict = msgspec.msgpack.Decoder(messages.Verdict)


class Assigning:
    """One batch of the graph's answers."""

    def __init__(self, epoch: int, store: Store) -> None:
        self.epoch = epoch
        self.store = store
        self.decision = Decision()

    def decide(self, records: Sequence[Record]) -> Decision:
        """Move trails to the profiles that their identifiers now belong to."""
        answers = [(record, messages.decode_assignment(record.value)) for record in records]
        ids = list({answer.identifier_id: None for _, answer in answers})
        stored = dict(zip(ids, self.store.get_many([row_key(b"a:", i) for i in ids]), strict=True))
        trails = dict(zip(ids, self.store.get_many([row_key(b"t:", i) for i in ids]), strict=True))
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
        self._keep_verdicts(answers)
        for one, at_ms in touched.items():
            row, applied, rev = latest[one]
            if row is not None:
                before = stored[one]
                if before is None or rows.header(before).rev != rev:
                    self.decision.rows[row_key(b"a:", one)] = rows.pack(
                        self.epoch, applied, rev, encode(row)
                    )
                self._publish(one, row, trails[one], at_ms)
        return self.decision

    def _keep_verdicts(self, answers: Sequence[tuple[Record, messages.Assignment]]) -> None:
        """Store the graph's verdicts on links; of two verdicts the later position's wins."""
        newest: dict[bytes, tuple[Record, messages.Verdict]] = {}
        for record, answer in answers:
            for other, verdict in answer.verdicts.items():
                key = verdict_key(answer.identifier_id, other)
                if key not in newest or verdict.position >= newest[key][1].position:
                    newest[key] = record, verdict
        stored = self.store.get_many(list(newest)) if newest else []
        for (key, (record, verdict)), row in zip(newest.items(), stored, strict=True):
            known = None if row is None else verdict_of(row)
            if known is None or verdict.position >= known.position:
                self.decision.rows[key] = rows.pack(
                    self.epoch, record.offset, record.offset + 1, encode(verdict)
                )
                known = verdict
                if verdict.sources is not None:
                    self.store.memory.pop(SETTLED_LINKS, None)
            self._ask_again(key, known)

    def _ask_again(self, key: bytes, verdict: messages.Verdict) -> None:
        """Ask again for touches that waited for this answer and may have the link decided anew."""
        pending: Pending = self.store.memory.get(PENDING_VERDICTS, {})
        for source, asked in pending.pop(key, {}).items():
            held = asked.held
            if held is not None and verdict.open_to(source, held.received_ms):
                self.decision.outputs.append(link_output(held))
                pending.setdefault(key, {})[source] = Asked(held.received_ms)

    def _publish(self, one: str, row: AssignmentRow, stored: bytes | None, at_ms: int) -> None:
        packed, changes = b"", 0
        if stored is not None:
            changes = rows.header(stored).rev
            packed = trail_row.decode(memoryview(stored)[rows.SIZE :]).trail
        # An identifier that belongs to itself and led no touch makes no profile.
        if packed or row.profile_id != one or one in row.left:
            update = messages.TrailUpdate(
                one, row.kind, row.value, row.version, changes, packed, at_ms
            )
            self.decision.outputs.append(update_output(row.profile_id, update))
        for profile_id in row.left:
            if profile_id != row.profile_id:
                moved = messages.TrailUpdate(
                    one, row.kind, row.value, row.version, changes, None, at_ms
                )
                self.decision.outputs.append(update_output(profile_id, moved))
        self.decision.outputs.append(identity_output(one, row, self.epoch))


def _open(row: bytes | None) -> tuple[AssignmentRow | None, int, int]:
    if row is None:
        return None, -1, 0
    header = rows.header(row)
    return _assignment_row.decode(memoryview(row)[rows.SIZE :]), header.applied, header.rev


def _move(
    row: AssignmentRow | None, answer: messages.Assignment, *, has_trail: bool
) -> AssignmentRow | None:
    """Return the row after an answer; None if the answer brings nothing new."""
    if row is None:
        if has_trail and answer.version == 0:
            return None  # its own profile, where its trail was published already
        left = [answer.identifier_id] if has_trail else []
    elif answer.version > row.version:
        left = row.left if row.profile_id in row.left else [*row.left, row.profile_id]
    else:
        return None
    return AssignmentRow(
        answer.kind, answer.value, answer.profile_id, answer.version, answer.linked_ms, left
    )


def assigned(
    lead: str, kind: str, value: str, first_ms: int, assignment: bytes | None
) -> AssignmentRow:
    """Return the profile of an identifier: its own while nothing was ever assigned."""
    if assignment is None:
        return AssignmentRow(kind, value, lead, 0, first_ms)
    return _assignment_row.decode(memoryview(assignment)[rows.SIZE :])


def update_output(profile_id: str, update: messages.TrailUpdate) -> Output:
    """Return the record that sends a trail to a profile."""
    return Output(topics.TRAILS.name, profile_id.encode(), messages.encode(update))


def link_output(request: messages.LinkRequest) -> Output:
    """Return the record that asks the graph for a verdict."""
    lead = identifier_id(request.lead_kind, request.lead_value)
    return Output(topics.LINK_REQUESTS.name, lead.encode(), messages.encode(request), 0)


def identity_output(one: str, row: AssignmentRow, epoch: int) -> Output:
    """Return the row of `identities`: the profile an identifier belongs to."""
    identity = _Identity(
        epoch,
        one,
        row.kind,
        row.value,
        row.profile_id,
        rfc3339(row.linked_ms),
        row.version,
    )
    return Output(topics.IDENTITIES.name, one.encode(), _line(identity))


def row_key(prefix: bytes, identifier: str) -> bytes:
    """Return the key of a row of an identifier."""
    return prefix + identifier.encode()


def verdict_of(row: bytes) -> messages.Verdict:
    """Return the verdict in a row's stored bytes."""
    return _verdict.decode(memoryview(row)[rows.SIZE :])


def verdict_key(lead: str, other: str) -> bytes:
    """Return the key of the row with the verdict on a link."""
    return f"v:{lead}{other}".encode()
