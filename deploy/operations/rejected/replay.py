"""Replay of refusals: each that existed when the replay began, once.

It works in pages: assess, look up touches that are already stored, send, then mark. If it is
interrupted, the same call again processes those that are not marked. Records that it then sends a
second time have the same ids and times as before: within the window of redeliveries (7 days) the
stages drop them, and later they are in ClickHouse and not sent. A refusal that would be refused
again stays as it is.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple, Protocol

from deploy.operations.rejected.assessment import Assessor, ReplayAssessment, Touch
from deploy.operations.rejected.log import Mark, Refusal, RefusalSelection, TouchKey
from ingest.publishing.port import Message, NotAcknowledged
from schemas.errors import TouchlineError
from schemas.times import rfc3339
from schemas.topics import TOUCHPOINTS
from schemas.touchpoint_row import TouchpointRow

#: Event ids stored with a mark, to show which events it concerned.
_EVENT_IDS = 100
#: Verdicts that an answer lists one by one.
SHOWN = 20


class ReplayError(TouchlineError):
    """A replay cannot start or finish now; the message is one line that says what to do."""


class Store(Protocol):
    """The part of `deploy.operations.rejected.log.RejectedLog` that a replay uses."""

    def open(self, selection: RefusalSelection, now_ms: int) -> Iterator[list[Refusal]]:
        """See `RejectedLog`."""

    def stored(self, touches: Collection[TouchpointRow]) -> set[TouchKey]:
        """See `RejectedLog`."""

    def mark(self, marks: Sequence[Mark]) -> None:
        """See `RejectedLog`."""


class ReplayPublisher(Protocol):
    """The connection of a replay to Kafka."""

    def check(self) -> None:
        """Raise ReplayError while a rebuild could make the sent records ineffective."""

    def send(self, records: Sequence[Message]) -> None:
        """Send; return once Kafka has all. Raises `ingest.publishing.port.NotAcknowledged`."""


class GroupKey(NamedTuple):
    """The key by which refusals are counted."""

    source: str
    connector: str
    reason: str


@dataclass(slots=True)
class Group:
    """The actual or expected results for the refusals of one source, connector and reason."""

    refusals: int = 0
    #: Completed refusals by result (the outcome of their mark).
    outcomes: Counter[str] = field(default_factory=Counter)
    #: Touches that are sent, and touches that were stored already.
    accepted: int = 0
    stored: int = 0
    #: Refusals that stay: reason -> count.
    why: Counter[str] = field(default_factory=Counter)


@dataclass(slots=True)
class Total:
    """The actual or expected result of a replay."""

    groups: dict[GroupKey, Group] = field(default_factory=dict)
    #: The first refusals, each with its result, or the reason for which it stays.
    shown: list[tuple[Refusal, str, str]] = field(default_factory=list)

    @property
    def refusals(self) -> int:
        """Number of all refusals that were read."""
        return sum(group.refusals for group in self.groups.values())

    @property
    def stays(self) -> int:
        """Number of refusals that stay as they are."""
        return sum(sum(group.why.values()) for group in self.groups.values())

    @property
    def done(self) -> int:
        """Number of completed refusals."""
        return self.refusals - self.stays

    def add(self, assessment: ReplayAssessment, mark: Mark | None) -> None:
        """Count one assessment; without a mark the refusal stays."""
        refusal = assessment.refusal
        of = GroupKey(refusal.source, refusal.connector, refusal.reason)
        group = self.groups.setdefault(of, Group())
        group.refusals += 1
        if mark is None:
            group.why[assessment.why] += 1
        else:
            group.outcomes[mark.outcome] += 1
            group.accepted += mark.accepted
            group.stored += mark.stored
        if len(self.shown) < SHOWN:
            self.shown.append((refusal, mark.outcome if mark else "", assessment.why))


class Replay:
    """A replay of a selection. Without a `publisher` it only counts."""

    def __init__(
        self,
        store: Store,
        assessor: Assessor,
        publisher: ReplayPublisher | None,
        clock_ms: Callable[[], int],
        beat: Callable[[Total], None] = lambda _: None,
    ) -> None:
        """Prepare. `beat` is called often, with the results so far."""
        self._store = store
        self._assessor = assessor
        self._publisher = publisher
        self._clock_ms = clock_ms
        self._beat = beat

    def run(self, selection: RefusalSelection, began_ms: int, limit: int = 0) -> Total:
        """Replay refusals that existed at `began_ms`, at most `limit` replayable ones (0: all).

        Raises ReplayError; refusals completed until then are marked.
        """
        total = Total()
        for refusals in self._store.open(selection, began_ms):
            assessments = self._assessed(refusals, limit - total.done if limit else len(refusals))
            rows = [touch.row for assessment in assessments for touch in assessment.touches]
            stored = self._store.stored(rows)
            at = rfc3339(self._clock_ms())
            marks = {
                number: _mark(assessment, stored, at)
                for number, assessment in enumerate(assessments)
                if assessment.goes
            }
            if self._publisher is not None:
                going = [assessments[number] for number in marks]
                self._send(self._publisher, going, stored, total)
                self._store.mark(list(marks.values()))
            for number, assessment in enumerate(assessments):
                total.add(assessment, marks.get(number))
            self._beat(total)
            if limit and total.done >= limit:
                break
        return total

    def _assessed(self, refusals: Sequence[Refusal], limit: int) -> list[ReplayAssessment]:
        """Assess the refusals, up to the last one within the limit."""
        assessments: list[ReplayAssessment] = []
        for refusal in refusals:
            assessments.append(self._assessor.assess(refusal))
            limit -= assessments[-1].goes
            if not limit:
                break
        return assessments

    def _send(
        self,
        publisher: ReplayPublisher,
        going: Sequence[ReplayAssessment],
        stored: set[TouchKey],
        total: Total,
    ) -> None:
        try:
            publisher.check()
            if records := [one for assessment in going for one in _records(assessment, stored)]:
                publisher.send(records)
                # A rebuild that began before this copies these records; one that begins now first
                # waits for them.
                publisher.check()
        except (NotAcknowledged, ReplayError) as error:
            raise ReplayError(
                f"{error}; {total.done} were replayed before: give the same command again for the "
                "rest"
            ) from error


def _new(assessment: ReplayAssessment, stored: set[TouchKey]) -> list[Touch]:
    return [touch for touch in assessment.touches if TouchKey.of(touch.row) not in stored]


def _records(assessment: ReplayAssessment, stored: set[TouchKey]) -> Iterator[Message]:
    yield from (touch.record.message for touch in _new(assessment, stored))
    yield from assessment.refused
    if assessment.returned is not None:
        yield assessment.returned


def _mark(assessment: ReplayAssessment, stored: set[TouchKey], at: str) -> Mark:
    sent, touches = len(_new(assessment, stored)), len(assessment.touches)
    if assessment.returned is not None:
        outcome, topic = "returned", assessment.returned.topic
    else:
        outcome, topic = _outcome(assessment, sent), TOUCHPOINTS.name if sent else ""
    return Mark(
        rejected_id=assessment.refusal.rejected_id,
        received_at=rfc3339(assessment.refusal.received_ms),
        replayed_at=at,
        outcome=outcome,
        accepted=sent,
        stored=touches - sent,
        refused=len(assessment.refused),
        topic=topic,
        event_ids=tuple(touch.row.event_id for touch in assessment.touches[:_EVENT_IDS]),
    )


def _outcome(assessment: ReplayAssessment, sent: int) -> str:
    if not assessment.touches:
        return "empty"
    if assessment.refused:
        return "partly"
    return "accepted" if sent else "stored"
