"""From what a batch connector reads to records, some at a time. Pure but for what it reads."""

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

#: A batch holds no more rows and bytes of records (but for its last row's).
BATCH_ROWS = 5_000
BATCH_BYTES = 1_000_000
#: And nothing waits longer than this for company: a provider may be slow.
BATCH_S = 5.0
#: Rows that are read within so many milliseconds have one time of receipt.
_RECEIVED_MS = 1_000
_NOTHING = Request("POST", "", "", "", {}, b"")
#: Namespace of the ids of refused rows: the same for one that is read again after a crash.
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
    """What becomes of some rows in a row, and the position behind them.

    `refused` holds the records of rejections, and those of differences from the tracking plan.
    """

    accepted: list[Accepted] = field(default_factory=list)
    refused: list[Message] = field(default_factory=list)
    reasons: Counter[str] = field(default_factory=Counter)
    #: Of each refused row: its place and why, for people.
    details: list[str] = field(default_factory=list)
    rows: int = 0
    size: int = 0
    position: Position | None = None

    def messages(self) -> list[Message]:
        """For the publisher."""
        return [*(one.message for one in self.accepted), *self.refused]


@dataclass(frozen=True, slots=True)
class EvaluatedRow:
    """The results of one row, and the origin of those of its parts that are refused."""

    results: list[Accepted | Rejection]
    position: Position
    place: str
    received_ms: int
    origins: Origins


class _Unread:
    """The `Reader` that stands for a connector which cannot read a part again."""

    reads: tuple[str, ...] = ()

    def __init__(self, name: str) -> None:
        self.name = name

    def parse(self, request: Request, context: Context) -> Iterator[Result]:
        """Nothing."""
        return iter(())

    def around(self, request: Request) -> None:
        """Not known."""
        return


@dataclass(frozen=True, slots=True)
class SourceReader:
    """Reads a source; the time of receipt of a row is when it is read."""

    source: BatchSource
    limits: Limits
    now_ms: Callable[[], int]
    clock: Callable[[], float] = time.monotonic
    violations: ViolationRecorder = field(
        default_factory=lambda: ViolationRecorder(time.monotonic)
    )

    def context(self, file: File | None = None) -> Context:
        """What its connector is told."""
        policy = self.source.policy
        return Context(
            self.source.name, self.now_ms(), policy.currency, self.limits.max_events, file
        )

    def batches(self, cursor: str | None, file: File | None = None) -> Generator[Batch, None, None]:
        """What becomes of the rows from the cursor on, some at a time.

        Raises as `BatchConnector.read` does; what was read before comes before.
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
        """Yield each row from the cursor on, evaluated.

        A connector that yields no rows is evaluated a batch at a time; what it refuses is kept
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
            origins = Origins(source.name, _Unread(connector.name), _NOTHING)
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
