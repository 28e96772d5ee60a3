"""Moving trails: the changes that the graph's answers make at an identifier's home partition."""

from __future__ import annotations

from collections.abc import Sequence

from processors.stage import Decision, Record, Store
from processors.trails.link_requests import LinkMemory, answer_arrived
from processors.trails.rows import (
    AssignmentRow,
    assignment_key,
    identity_output,
    pack,
    trail_key,
    unpack_assignment,
    unpack_trail,
    unpack_verdict,
    update_output,
    verdict_key,
)
from schemas import messages, rows


class AssignmentHandler:
    """One batch of the graph's answers."""

    def __init__(self, epoch: int, store: Store) -> None:
        self.epoch = epoch
        self.store = store
        self.decision = Decision()

    def decide(self, records: Sequence[Record]) -> Decision:
        """Move trails to the profiles that their identifiers now belong to."""
        answers = [(record, messages.decode_assignment(record.value)) for record in records]
        ids = list({answer.identifier_id: None for _, answer in answers})
        stored = dict(zip(ids, self.store.get_many([assignment_key(i) for i in ids]), strict=True))
        trails = dict(zip(ids, self.store.get_many([trail_key(i) for i in ids]), strict=True))
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
                    self.decision.rows[assignment_key(one)] = rows.pack(
                        self.epoch, applied, rev, pack(row)
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
        memory = self.store.memory(LinkMemory)
        for (key, (record, verdict)), row in zip(newest.items(), stored, strict=True):
            known = None if row is None else unpack_verdict(row)
            if known is None or verdict.position >= known.position:
                self.decision.rows[key] = rows.pack(
                    self.epoch, record.offset, record.offset + 1, pack(verdict)
                )
                known = verdict
                if verdict.sources is not None:
                    memory.final.clear()
            answer_arrived(key, known, memory, self.decision)

    def _publish(self, one: str, row: AssignmentRow, stored: bytes | None, at_ms: int) -> None:
        packed, changes = b"", 0
        if stored is not None:
            changes = rows.header(stored).rev
            packed = unpack_trail(stored).trail
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
    return unpack_assignment(row), header.applied, header.rev


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
