"""Pulling: from the cursor, behind what Kafka has, with pauses that grow and end."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any, ClassVar

import pytest

from ingest.connector import (
    BatchConnector,
    Context,
    NotNow,
    Options,
    Position,
    Result,
    touchpoint,
)
from ingest.files.pull import Pull, Pulled, Stopped, decode
from ingest.files.reader import Batch, BatchSource, SourceReader
from ingest.intake.accept import SourcePolicy
from ingest.intake.limits import Limits
from ingest.publishing.port import Message, NotAcknowledged
from schemas.rejection import Rejection
from tests.support.files import NOW_MS

KEY = "pull/feed/feed"


class Feed(BatchConnector):
    """A provider with numbered events; does `before(n)` before it tells of number n."""

    name: ClassVar[str] = "feed"
    doc: ClassVar[str] = "a feed"
    options: ClassVar[type[Options]] = Options
    pulls: ClassVar[bool] = True
    pause_s = 30.0

    def __init__(self) -> None:
        self.events = 3
        self.before: Callable[[int], None] = lambda _: None

    def read(
        self, cursor: str | None, context: Context
    ) -> Iterator[tuple[Sequence[Result], Position]]:
        for number in range(int(cursor or 0), self.events):
            self.before(number)
            yield [event(number)], Position(str(number + 1))


def event(number: int) -> Result:
    if number == 2:
        return Rejection("invalid", "it is the third", b"3")
    who = [{"kind": "email", "value": f"c{number}@example.com"}]
    fields = {"event_id": str(number), "channel": "web", "type": "seen", "identifiers": who}
    return touchpoint(fields, b"")


class World:
    """Kafka, the cursor and the counters, in memory."""

    def __init__(self) -> None:
        self.feed = Feed()
        self.sent: list[int] = []
        self.kept: dict[str, bytes] = {}
        self.counted: list[Any] = []
        self.away = False
        self.lost_cursor = False
        self.stop = False
        self.pull = self.started()

    def started(self) -> Pull:
        source = BatchSource(self.feed, SourcePolicy("feed"))
        reading = SourceReader(source, Limits(), lambda: NOW_MS)
        return Pull(reading, self, self, self, lambda: self.stop)

    def of(self, prefix: str) -> dict[str, bytes]:
        return {key: value for key, value in self.kept.items() if key.startswith(prefix)}

    def move(self, key: str, value: bytes) -> None:
        if self.lost_cursor:
            raise NotAcknowledged("the cursor is not kept")
        self.kept[key] = value

    def send(self, records: Sequence[Message]) -> None:
        if self.away:
            raise NotAcknowledged("Kafka is away")
        self.sent.append(len(records))

    def pulled(self, source: str, connector: str, batch: Batch) -> None:
        self.counted.append(("pulled", len(batch.accepted), dict(batch.reasons)))

    def failed(self, source: str, connector: str, cause: str) -> None:
        self.counted.append(("failed", source, connector, cause))

    def complete(self, source: str, connector: str) -> None:
        self.counted.append(("complete", source, connector))

    @property
    def cursor(self) -> str | None:
        kept = self.kept.get(KEY)
        return decode(kept).cursor if kept else None


@pytest.fixture
def world() -> World:
    return World()


def raising(error: Exception, at: int) -> Callable[[int], None]:
    def before(number: int) -> None:
        if number == at:
            raise error

    return before


def test_it_reads_to_the_end_and_then_what_is_new(world: World):
    assert world.pull.once() == (30.0, True)
    assert (world.sent, world.cursor) == ([3], "3")
    assert world.counted == [("pulled", 2, {"invalid": 1}), ("complete", "feed", "feed")]
    assert world.pull.once() == (30.0, True)
    assert world.sent == [3]
    world.feed.events = 5
    world.started().once()
    assert (world.sent, world.cursor) == ([3, 2], "5")


def test_what_came_before_a_limit_is_kept_and_its_wish_is_granted(world: World):
    world.feed.before = raising(NotNow("slower", 299.9, "limited"), 1)
    assert world.pull.once() == (299.9, False)
    assert (world.sent, world.cursor) == ([1], "1")
    assert world.counted[-1] == ("failed", "feed", "feed", "limited")
    world.feed.before = raising(NotNow("at once", 0.0, "limited"), 1)
    assert world.pull.once() == (2.0, False)


def test_pauses_grow_up_to_a_bound_and_end_with_a_success(world: World):
    world.feed.before = raising(NotNow("away"), 0)
    pauses = [world.pull.once()[0] for _ in range(14)]
    assert pauses == [2.0 * 2**n for n in range(9)] + [900.0] * 5
    world.feed.before = lambda _: None
    assert world.pull.once() == (30.0, True)
    world.feed.events, world.feed.before = 4, raising(NotNow("away"), 3)
    assert world.pull.once()[0] == 2.0


def test_kafka_away_moves_no_cursor(world: World):
    world.away = True
    assert world.pull.once() == (2.0, False)
    assert (world.cursor, world.counted[-1]) == (None, ("failed", "feed", "feed", "kafka"))
    world.away = False
    world.pull.once()
    assert (world.sent, world.cursor) == ([3], "3")


def test_a_crash_between_kafka_and_the_cursor_sends_the_same_again(world: World):
    world.lost_cursor = True
    assert world.pull.once() == (2.0, False)
    assert (world.sent, world.cursor) == ([3], None)
    world.lost_cursor = False
    world.started().once()
    assert (world.sent, world.cursor) == ([3, 3], "3")


def test_a_bug_is_counted_and_tried_again_and_says_no_value(
    world: World, capsys: pytest.CaptureFixture[str]
):
    world.feed.before = raising(KeyError("zq-private"), 1)
    assert world.pull.once() == (2.0, False)
    assert (world.cursor, world.counted[-1][-1]) == ("1", "failed")
    assert "zq-private" not in capsys.readouterr().out


def test_a_stop_is_heard_between_batches_and_between_pulls(world: World):
    world.stop = True
    with pytest.raises(Stopped):
        world.pull.once()
    assert world.cursor == "3"
    world.started().forever(lambda _: True)
    world.stop = False
    waits: list[float] = []
    world.pull.forever(lambda pause: waits.append(pause) or len(waits) == 3)  # type: ignore[func-returns-value]
    assert waits == [30.0] * 3


def test_what_is_kept_is_one_line_of_json():
    assert Pulled(cursor="5:7:9").encode() == b'{"cursor":"5:7:9"}'
