"""Conversion of a batch connector's input to batches of records. Pure except for the reading."""

from __future__ import annotations

import time
import uuid
from collections import Counter
from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass, field, replace

from ingest.connector import (
    AnyConnector,
    BatchConnector,
    Context,
    File,
    Position,
    Request,
    Result,
    Row,
    RowConnector,
    WebhookConnector,
)
from ingest.intake.accept import Accepted, SourcePolicy
from ingest.intake.evaluate import evaluate, evaluate_touchpoint, rejection_message
from ingest.intake.limits import Limits
from ingest.intake.plan import Plan
from ingest.intake.replay_context import Origins
from ingest.intake.source import ReadableSource
from ingest.intake.violations import ViolationRecorder
from ingest.kit.lines import rows as lines
from ingest.publishing.port import Message
from schemas.rejection import Rejection

#: Most rows, and bytes of records, in a batch; its last row may exceed the bytes.
BATCH_ROWS = 5_000
BATCH_BYTES = 1_000_000
#: Longest time that a row waits for its batch to fill: a provider may be slow.
BATCH_S = 5.0
#: Rows that are read within this many milliseconds have one time of receipt.
_RECEIVED_MS = 1_000
_NOTHING = Request("POST", "", "", "", {}, b"")
#: Namespace of the ids of refused rows: a row that is read again after a crash has the same id.
_REFUSALS = uuid.UUID("9d1f0a52-0f2e-5c59-8a52-3b9c1c0e7d64")


@dataclass(frozen=True, slots=True)
class BatchSource:
    """A source that is read: its connector and its policy. A webhook's connector reads lines."""

    connector: AnyConnector
    policy: SourcePolicy
    plan: Plan | None = None

    @property
    def name(self) -> str:
        """The source's name in `touchline.yaml`."""
        return self.policy.name


@dataclass(slots=True)
class Batch:
    """The results of consecutive rows, and the position after them.

    `refused` also holds the records of differences from the tracking plan.
    """

    accepted: list[Accepted] = field(default_factory=list)
    refused: list[Message] = field(default_factory=list)
    reasons: Counter[str] = field(default_factory=Counter)
    #: The place of each refused row and the reason, for people.
    details: list[str] = field(default_factory=list)
    rows: int = 0
    size: int = 0
    position: Position | None = None

    def messages(self) -> list[Message]:
        """Return the messages for the publisher."""
        return [*(one.message for one in self.accepted), *self.refused]


@dataclass(frozen=True, slots=True)
class EvaluatedRow:
    """The results of one row, and what is stored with those of its parts that are refused."""

    results: list[Accepted | Rejection]
    position: Position
    place: str
    received_ms: int
    origins: Origins


class _Unread:
    """A `Reader` in place of a connector that cannot read a part again."""

    reads: tuple[str, ...] = ()

    def __init__(self, connector: BatchConnector) -> None:
        self.name = connector.name
        self.masked = connector.masked

    def parse(self, request: Request, context: Context) -> Iterator[Result]:
        """Return no results."""
        return iter(())

    def around(self, request: Request) -> None:
        """Return None: it is not known."""
        return


@dataclass(frozen=True, slots=True)
class SourceReader:
    """A reader of a source; the time of receipt of a row is the time at which it is read."""

    source: BatchSource
    limits: Limits
    now_ms: Callable[[], int]
    clock: Callable[[], float] = time.monotonic
    violations: ViolationRecorder = field(default_factory=lambda: ViolationRecorder(time.monotonic))

    def context(self, file: File | None = None) -> Context:
        """Return the context that its connector gets."""
        policy = self.source.policy
        return Context(
            self.source.name, self.now_ms(), policy.currency, self.limits.max_events, file
        )

    def batches(self, cursor: str | None, file: File | None = None) -> Generator[Batch, None, None]:
        """Yield the results of the rows from the cursor on, in batches.

        Raises as `BatchConnector.read` does, after the results of what was read before.
        """
        batch, began = Batch(), self.clock()
        of = file.id if file else ""
        try:
            for row in self.rows(cursor, file):
                self._add(batch, row, f"{self.source.name} {of}")
                full = batch.rows >= BATCH_ROWS or batch.size >= BATCH_BYTES
                if full or self.clock() - began >= BATCH_S:
                    yield batch
                    batch, began = Batch(), self.clock()
        except Exception:
            if batch.rows:
                yield batch
            raise
        if batch.rows:
            yield batch

    def rows(self, cursor: str | None, file: File | None = None) -> Iterator[EvaluatedRow]:
        """Yield the results of each row.

        A connector that yields no rows is processed a batch at a time; what it refuses is stored
        with its bytes, but cannot be read again by them alone.
        """
        connector, context = self.source.connector, self.context(file)
        if isinstance(connector, RowConnector):
            found = connector.rows(cursor, context)
        elif isinstance(connector, WebhookConnector):
            found = lines(context, cursor, f"/hooks/{self.source.name}")
        else:
            yield from self._whole_batches(connector, cursor, context)
            return
        source = ReadableSource(connector, self.source.policy, self.source.plan)
        received_ms = context.received_ms
        for row in found:
            now = self.now_ms()
            if now - received_ms > _RECEIVED_MS:
                received_ms = now
            yield self._evaluate_row(source, row, received_ms)

    def _whole_batches(
        self, connector: BatchConnector, cursor: str | None, context: Context
    ) -> Iterator[EvaluatedRow]:
        source = self.source
        for found, position in connector.read(cursor, context):
            now = self.now_ms()
            results = [
                one
                if isinstance(one, Rejection)
                else evaluate_touchpoint(one, source.policy, source.plan, now)
                for one in found
            ]
            origins = Origins(source.name, _Unread(connector), _NOTHING)
            yield EvaluatedRow(results, position, "", now, origins)

    def _evaluate_row(self, source: ReadableSource, row: Row, received_ms: int) -> EvaluatedRow:
        origins = Origins(source.name, source.connector, row.request, row.problem)
        results: list[Accepted | Rejection] = (
            [row.problem]
            if row.problem is not None
            else list(evaluate(source, row.request, received_ms, self.limits))
        )
        return EvaluatedRow(results, row.position, row.place, received_ms, origins)

    def _add(self, batch: Batch, evaluated: EvaluatedRow, of: str) -> None:
        batch.rows += 1
        batch.position = evaluated.position
        for number, result in enumerate(evaluated.results):
            if result.violations is not None:
                received_ms = evaluated.received_ms
                batch.refused += self.violations.messages(
                    self.source.name, result.violations, received_ms
                )
            if isinstance(result, Accepted):
                batch.accepted.append(result)
                batch.size += len(result.value)
                continue
            detail = f"{evaluated.place}: {result.detail}" if evaluated.place else result.detail
            rejected_id = uuid.uuid5(_REFUSALS, f"{of} {evaluated.position.cursor} {number}")
            row = rejection_message(
                replace(result, detail=detail),
                evaluated.origins,
                rejected_id=str(rejected_id),
                received_ms=evaluated.received_ms,
                max_kept_bytes=self.limits.max_kept_bytes,
            )
            batch.refused.append(row)
            batch.reasons[result.reason] += 1
            batch.details.append(f"{detail} ({result.reason})")
            batch.size += len(row.value)
