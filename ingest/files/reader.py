"""Conversion of a batch connector's input to batches of records. Pure except for the reading."""

from __future__ import annotations

import time
import uuid
from collections import Counter
from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass, field, replace

from ingest.connector import (
    AnyConnector,
    Context,
    File,
    Position,
    Request,
    Result,
    Row,
    RowConnector,
    WebhookConnector,
)
from ingest.gateway.config import GatewayConfig
from ingest.intake.accept import Accepted, SourcePolicy
from ingest.intake.evaluate import judged, judged_touch, refused
from ingest.intake.plan import Plan
from ingest.intake.replay_context import Origins
from ingest.intake.violations import Violated
from ingest.kit.lines import rows
from ingest.publishing.port import Message, Refused, messages
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
    refused: list[Refused] = field(default_factory=list)
    reasons: Counter[str] = field(default_factory=Counter)
    #: The place of each refused row and the reason, for people.
    details: list[str] = field(default_factory=list)
    rows: int = 0
    size: int = 0
    position: Position | None = None

    def messages(self) -> list[Message]:
        """Return the messages for the publisher."""
        return list(messages(self.accepted, self.refused))


@dataclass(frozen=True, slots=True)
class Judgement:
    """The results of one row, and what is stored with those of its parts that are refused."""

    results: list[Accepted | Rejection]
    position: Position
    place: str
    received_ms: int
    origins: Origins


@dataclass(frozen=True, slots=True)
class ReadingSource:
    """`ReadSource` of a connector that reads requests, or rows as requests."""

    connector: RowConnector | WebhookConnector
    policy: SourcePolicy
    plan: Plan | None = None

    @property
    def name(self) -> str:
        """The source's name in `touchline.yaml`."""
        return self.policy.name


class _Unread:
    """A `Reader` in place of a connector that cannot read a part again."""

    reads: tuple[str, ...] = ()

    def __init__(self, name: str) -> None:
        self.name = name

    def parse(self, request: Request, context: Context) -> Iterator[Result]:
        """Return no results."""
        return iter(())

    def around(self, request: Request) -> None:
        """Return None: it is not known."""
        return


@dataclass(frozen=True, slots=True)
class Reading:
    """A reader of a source; the time of receipt of a row is the time at which it is read."""

    source: BatchSource
    config: GatewayConfig
    now_ms: Callable[[], int]
    clock: Callable[[], float] = time.monotonic
    violated: Violated = field(default_factory=lambda: Violated(time.monotonic))

    def context(self, file: File | None = None) -> Context:
        """Return the context that its connector gets."""
        policy = self.source.policy
        return Context(
            self.source.name, self.now_ms(), policy.currency, self.config.max_events, file
        )

    def batches(self, cursor: str | None, file: File | None = None) -> Generator[Batch, None, None]:
        """Yield the results of the rows from the cursor on, in batches.

        Raises as `BatchConnector.read` does, after the results of what was read before.
        """
        batch, began = Batch(), self.clock()
        of = file.id if file else ""
        try:
            for judgement in self.judgements(cursor, file):
                self._add(batch, judgement, f"{self.source.name} {of}")
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

    def judgements(self, cursor: str | None, file: File | None = None) -> Iterator[Judgement]:
        """Yield the results of each row.

        A connector that yields no rows is processed a batch at a time; what it refuses is stored
        with its bytes, but cannot be read again by them alone.
        """
        connector, context = self.source.connector, self.context(file)
        if not isinstance(connector, RowConnector | WebhookConnector):
            for results, position in connector.read(cursor, context):
                now = self.now_ms()
                origins = Origins(self.source.name, _Unread(connector.name), _NOTHING)
                judged_now = [
                    one
                    if isinstance(one, Rejection)
                    else judged_touch(one, self.source.policy, self.source.plan, now)
                    for one in results
                ]
                yield Judgement(judged_now, position, "", now, origins)
            return
        reading, received_ms = (
            ReadingSource(connector, self.source.policy, self.source.plan),
            context.received_ms,
        )
        found = (
            connector.rows(cursor, context)
            if isinstance(connector, RowConnector)
            else rows(context, cursor, f"/hooks/{self.source.name}")
        )
        for row in found:
            now = self.now_ms()
            if now - received_ms > _RECEIVED_MS:
                received_ms = now
            yield self._judged(reading, row, received_ms)

    def _judged(self, source: ReadingSource, row: Row, received_ms: int) -> Judgement:
        origins = Origins(source.name, source.connector, row.request, row.problem)
        results: list[Accepted | Rejection] = (
            [row.problem]
            if row.problem is not None
            else list(judged(source, row.request, received_ms, self.config))
        )
        return Judgement(results, row.position, row.place, received_ms, origins)

    def _add(self, batch: Batch, judgement: Judgement, of: str) -> None:
        batch.rows += 1
        batch.position = judgement.position
        for number, result in enumerate(judgement.results):
            if result.violations is not None:
                received_ms = judgement.received_ms
                batch.refused += self.violated.records(
                    self.source.name, result.violations, received_ms
                )
            if isinstance(result, Accepted):
                batch.accepted.append(result)
                batch.size += len(result.value)
                continue
            detail = f"{judgement.place}: {result.detail}" if judgement.place else result.detail
            rejected_id = uuid.uuid5(_REFUSALS, f"{of} {judgement.position.cursor} {number}")
            row = refused(
                replace(result, detail=detail),
                judgement.origins,
                rejected_id=str(rejected_id),
                received_ms=judgement.received_ms,
                max_kept_bytes=self.config.max_kept_bytes,
            )
            batch.refused.append(row)
            batch.reasons[result.reason] += 1
            batch.details.append(f"{detail} ({result.reason})")
            batch.size += len(row.value)
