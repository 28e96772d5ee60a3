"""Batches: published first, then the cursor; broken off anywhere, the same rows again."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import ClassVar

import pytest

import ingest.files.reader
from ingest.connector import BatchConnector, Context, NotNow, Options, Position, Result, touchpoint
from ingest.files.identity import identify
from ingest.files.publish import run
from ingest.files.reader import Batch, BatchSource, SourceReader
from ingest.intake.accept import SourcePolicy
from ingest.intake.limits import Limits
from ingest.publishing.port import Message, NotAcknowledged
from schemas.rejection import Rejection
from schemas.topics import REJECTED, TOUCHPOINTS
from tests.support.files import NOW_MS, reading

ROWS = 40
MAP = {"type": "visited", "channel": "store", "identifiers": {"loyalty_id": "card"}}


@pytest.fixture
def table(tmp_path: Path) -> Path:
    path = tmp_path / "visits.csv"
    lines = [f"L-{n},{n}" if n % 10 else f",{n}" for n in range(1, ROWS + 1)]
    path.write_text("\n".join(["card,shop", *lines]) + "\n")
    return path


@pytest.fixture(autouse=True)
def _small_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ingest.files.reader, "BATCH_ROWS", 7)


class Kafka:
    """Holds what was sent; breaks off before or after a number of sendings."""

    def __init__(self, before: int = -1, after: int = -1) -> None:
        self.records: list[Message] = []
        self.cursor: str | None = None
        self.moves: list[tuple[int, str]] = []
        self.sent = 0
        self.before, self.after = before, after

    def send(self, records: Sequence[Message]) -> None:
        if self.sent == self.before:
            raise NotAcknowledged("away")
        self.records += records
        self.sent += 1
        if self.sent - 1 == self.after:
            raise KeyboardInterrupt

    def move(self, batch: Batch, position: Position) -> None:
        self.moves.append((len(self.records), position.cursor))
        self.cursor = position.cursor

    def run(self, path: Path) -> None:
        file, _ = identify(path, ())
        run(reading("csv", map=MAP).batches(self.cursor, file), self, self.move)

    def ids(self, topic: str) -> list[str]:
        found = [json.loads(one.value) for one in self.records if one.topic == topic]
        return [row.get("event_id") or row["rejected_id"] for row in found]


def test_the_cursor_moves_only_behind_what_kafka_has(table: Path):
    kafka = Kafka()
    kafka.run(table)
    assert [count for count, _ in kafka.moves] == [7, 14, 21, 28, 35, 40]
    assert len(set(kafka.ids(TOUCHPOINTS.name))) == 36
    assert len(set(kafka.ids(REJECTED.name))) == 4


@pytest.mark.parametrize("broken", range(6))
@pytest.mark.parametrize("when", ["before", "after"])
def test_broken_off_anywhere_it_goes_on_and_nothing_is_missing_or_new(
    table: Path, broken: int, when: str
):
    whole = Kafka()
    whole.run(table)
    kafka = Kafka(**{when: broken})
    with pytest.raises((NotAcknowledged, KeyboardInterrupt)):
        kafka.run(table)
    assert kafka.cursor == (whole.moves[broken - 1][1] if broken else None)
    kafka.before = kafka.after = -1
    kafka.run(table)
    for topic in (TOUCHPOINTS.name, REJECTED.name):
        assert sorted(set(kafka.ids(topic))) == sorted(whole.ids(topic))
    again = 0 if when == "before" else min(7, ROWS - 7 * broken)
    assert len(kafka.records) == len(whole.records) + again


def test_read_to_its_end_it_yields_nothing(table: Path):
    kafka = Kafka()
    kafka.run(table)
    kafka.run(table)
    assert len(kafka.records) == ROWS


def test_batches_are_bounded_by_rows_bytes_and_time(table: Path, monkeypatch: pytest.MonkeyPatch):
    file, _ = identify(table, ())
    it = reading("csv", map=MAP)
    assert [batch.rows for batch in it.batches(None, file)] == [7, 7, 7, 7, 7, 5]
    monkeypatch.setattr(ingest.files.reader, "BATCH_BYTES", 1)
    assert {batch.rows for batch in it.batches(None, file)} == {1}
    monkeypatch.setattr(ingest.files.reader, "BATCH_BYTES", 10**9)
    ticks = iter(range(0, 1000, 4))
    slow = SourceReader(it.source, it.limits, it.now_ms, lambda: float(next(ticks)))
    assert {batch.rows for batch in slow.batches(None, file)} == {2}


class Feed(BatchConnector):
    """Yields no rows, but batches; at the end it asks for patience."""

    name: ClassVar[str] = "feed"
    doc: ClassVar[str] = "a feed"
    options: ClassVar[type[Options]] = Options

    def read(
        self, cursor: str | None, context: Context
    ) -> Iterator[tuple[Sequence[Result], Position]]:
        who = [{"kind": "email", "value": "a@example.com"}]
        fields = {"event_id": "e1", "channel": "web", "type": "seen", "identifiers": who}
        wrong = Rejection("invalid", "a field is wrong", b"bytes")
        yield [touchpoint(fields, b"e1"), wrong], Position("1")
        raise NotNow("come again", 5)


def test_a_connector_without_rows_is_read_too_and_what_came_before_an_error_is_kept():
    source = BatchSource(Feed(), SourcePolicy("feed"))
    found = SourceReader(source, Limits(), lambda: NOW_MS).batches(None)
    batch = next(found)
    assert (len(batch.accepted), batch.reasons, batch.position) == (
        1,
        {"invalid": 1},
        Position("1"),
    )
    row = json.loads(batch.refused[0].value)
    assert (row["source"], row["connector"], row["form"]) == ("feed", "feed", "")
    with pytest.raises(NotNow):
        next(found)


def test_the_time_of_receipt_is_when_a_row_is_read(table: Path):
    clock: Callable[[], int] = iter(range(NOW_MS, NOW_MS + 10**9, 10_000)).__next__
    it = reading("csv", map=MAP)
    file, _ = identify(table, ())
    found = list(SourceReader(it.source, it.limits, clock).rows(None, file))
    assert found[0].received_ms < found[-1].received_ms
