"""The protocol step by step, with Faust and Kafka replaced by doubles and a real database."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from faust.types import TP
from rocksdict import DbClosedError

from processors.engine import EngineConfig, Hooks, runner
from processors.engine.metrics import FAILED_RECORDS, INPUT_GAP
from processors.engine.packing import Packed
from processors.engine.runner import Engine
from processors.engine.store import OFFSET
from processors.stage import Decision, Record, Store
from processors.stage_topics import ROWS, SEEN
from schemas.rows import FORMAT
from tests.support.engine_doubles import Halted, Log, Recorder, open_db, refuse_to_halt
from tests.support.engine_stages import CountingStage, pack, unpack

INPUT = TP("touchpoints", 0)
CHANGELOG = "touchline-counting-rows-changelog"
SEEN_CHANGELOG = "touchline-counting-seen-changelog"


class Consumer:
    """A double of Faust's consumer, as far as the engine asks it."""

    def __init__(self) -> None:
        self.assigned = {INPUT}
        self.committed: int | None = None
        self.earliest = 0
        self.rewound: list[int] = []

    def assignment(self) -> set[TP]:
        return self.assigned

    def committed_offset(self, tp: TP) -> int | None:
        return self.committed

    async def earliest_offsets(self, *tps: TP) -> dict[TP, int]:
        return dict.fromkeys(tps, self.earliest)

    async def rewind(self, tp: TP, offset: int) -> None:
        self.rewound.append(offset)


class Rig:
    """An engine among doubles."""

    def __init__(self, folder: Path) -> None:
        self.metrics = Recorder()
        self.steps: list[str] = []
        self.log = Log(refuse_to_halt)
        self.consumer = Consumer()
        self.databases = {name: open_db(folder / name) for name in (ROWS, SEEN)}
        hooks = Hooks(metrics=self.metrics, probe=self.steps.append, halt=refuse_to_halt)
        config = EngineConfig("nowhere:1", folder, partitions=4)
        self.engine = Engine(CountingStage(), config, self.log, hooks)
        self.app = SimpleNamespace(
            consumer=self.consumer,
            consumer_generation_id=1,
            tables={
                name: SimpleNamespace(data=SimpleNamespace(database=lambda _, db=db: db))
                for name, db in self.databases.items()
            },
        )
        self.engine.attach(self.app)
        self.engine._expected = {(CHANGELOG, 0): 0, (SEEN_CHANGELOG, 0): 0}

    async def deliver(self, first: int, *values: bytes, generation: int = 1) -> None:
        records = [
            SimpleNamespace(offset=first + number, timestamp=5_000, key=b"key", value=value)
            for number, value in enumerate(values)
        ]
        message = SimpleNamespace(tp=INPUT, value=records, generation_id=generation)
        await self.engine.on_message(message)

    @property
    def count(self) -> int:
        return unpack(self.databases[ROWS].get(b"key"))[2]

    @property
    def published(self) -> list[bytes]:
        return [value for _, value in self.log.topics.get("profiles", [])]


@pytest.fixture
def rig(tmp_path: Path) -> Iterator[Rig]:
    made = Rig(tmp_path)
    yield made
    for database in made.databases.values():
        with contextlib.suppress(DbClosedError):
            database.close()


async def test_a_batch_is_logged_then_applied_then_published_then_committed(rig: Rig) -> None:
    seen: list[tuple[str, int, int, dict[TP, int]]] = []

    def look(batches: Sequence[Packed]) -> None:
        topic = batches[0].topic
        seen.append((topic, rig.count, len(rig.published), rig.engine.committable()))

    rig.log.before_send = look
    await rig.deliver(0, b"a", b"b")
    assert seen == [(CHANGELOG, 0, 0, {}), ("profiles", 2, 0, {})]
    assert rig.steps == ["decide", "log", "apply", "publish"]
    assert (rig.count, rig.published) == (2, [b"2"])
    assert rig.engine.committable() == {INPUT: 2}
    assert rig.databases[ROWS].get(OFFSET) == b"0"


async def test_what_a_stage_remembers_is_forgotten_with_a_decision_not_carried_out(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    remembered: list[list[bytes]] = []
    decide = rig.engine.stage.decide

    def remembering(records: Sequence[Record], store: Store) -> Decision:
        memory = store.memory(list)
        memory += [record.value for record in records]
        remembered.append(memory)
        return decide(records, store)

    monkeypatch.setattr(rig.engine.stage, "decide", remembering)
    await rig.deliver(0, b"a")
    await rig.deliver(1, b"b")
    assert remembered[-1] == [b"a", b"b"]
    await rig.deliver(2, b"poison")
    await rig.deliver(3, b"c")
    assert remembered[-1] == [b"c"]


async def test_a_changelog_record_of_somebody_else_stops_everything(rig: Rig) -> None:
    await rig.deliver(0, b"a")
    rig.log.topics[CHANGELOG].append((b"key", b"an old row of a worker that had stalled"))
    with pytest.raises(Halted):
        await rig.deliver(1, b"b")
    assert (rig.count, rig.published) == (1, [b"1"])
    assert rig.engine.committable() == {INPUT: 1}


@pytest.mark.parametrize("lost", ["generation", "assignment"])
async def test_a_partition_lost_while_logging_is_neither_applied_nor_published_nor_committed(
    rig: Rig, lost: str
) -> None:
    def lose(_: Sequence[Packed]) -> None:
        if lost == "generation":
            rig.app.consumer_generation_id = 2
        else:
            rig.consumer.assigned = set()

    rig.log.before_send = lose
    await rig.deliver(0, b"a")
    assert (rig.count, rig.published, rig.engine.committable()) == (0, [], {})


async def test_a_batch_of_an_old_generation_is_left_to_the_new_owner(rig: Rig) -> None:
    rig.app.consumer_generation_id = 2
    await rig.deliver(0, b"a", generation=1)
    assert rig.log.topics == {}


async def test_a_batch_that_was_lost_on_its_way_is_read_again_and_not_skipped(rig: Rig) -> None:
    await rig.deliver(0, b"a", b"b")
    await rig.deliver(4, b"e", b"f")
    assert (rig.count, rig.consumer.rewound) == (2, [2])
    await rig.deliver(2, b"c", b"d", b"e", b"f")
    assert rig.count == 6
    assert rig.metrics.counts[INPUT_GAP] == 0


async def test_records_that_the_log_no_longer_has_are_reported_and_passed(rig: Rig) -> None:
    await rig.deliver(0, b"a")
    rig.consumer.earliest = 5
    await rig.deliver(5, b"f")
    assert (rig.count, rig.metrics.counts[INPUT_GAP]) == (2, 4)


async def test_what_was_gone_before_the_first_batch_counts_from_the_commit(rig: Rig) -> None:
    rig.consumer.committed, rig.consumer.earliest = 3, 5
    await rig.deliver(5, b"f")
    assert rig.metrics.counts[INPUT_GAP] == 2


async def test_a_first_batch_that_was_lost_on_its_way_is_read_again_too(rig: Rig) -> None:
    await rig.deliver(2, b"c")
    assert (rig.count, rig.consumer.rewound) == (0, [0])


async def test_a_hole_that_stays_when_read_again_is_reported_and_passed(rig: Rig) -> None:
    """A transaction's marker takes an offset that no reader ever sees."""
    await rig.deliver(0, b"a")
    for _ in range(3):
        await rig.deliver(2, b"c")
    assert rig.consumer.rewound == [1, 1]
    assert (rig.count, rig.metrics.counts[INPUT_GAP]) == (2, 1)


async def test_a_replayed_batch_changes_nothing_and_publishes_again(rig: Rig) -> None:
    await rig.deliver(0, b"a", b"b")
    await rig.deliver(0, b"a", b"b")
    assert (rig.count, rig.published) == (2, [b"2", b"2"])
    assert rig.engine.committable() == {INPUT: 2}


async def test_only_the_record_that_fails_is_rejected(rig: Rig) -> None:
    await rig.deliver(0, b"a", b"poison", b"c", b"d")
    assert rig.count == 3
    assert len(rig.log.topics["touchpoints.rejected"]) == 1
    assert rig.engine.committable() == {INPUT: 4}


async def test_what_a_stage_cannot_read_is_rejected_without_deciding_the_rest_again(
    rig: Rig,
) -> None:
    await rig.deliver(0, b"a", b"unreadable", b"c", b"unreadable")
    assert (rig.count, rig.metrics.counts[FAILED_RECORDS]) == (2, 2)
    assert len(rig.log.topics["touchpoints.rejected"]) == 2
    assert rig.steps.count("decide") == 1
    assert rig.engine.committable() == {INPUT: 4}


async def test_a_database_that_fails_ends_the_process_and_rejects_nothing(rig: Rig) -> None:
    rig.databases[ROWS].close()
    with pytest.raises(Halted):
        await rig.deliver(0, b"a")
    assert rig.log.topics == {}


async def test_recovered_records_are_what_was_logged(rig: Rig) -> None:
    await rig.deliver(0, b"a", b"b")
    logged = [
        SimpleNamespace(offset=offset, key=key, value=value)
        for offset, (key, value) in enumerate(rig.log.topics[CHANGELOG])
    ]
    before = rig.databases[ROWS].get(b"key")
    rig.databases[ROWS].delete(b"key")
    rig.engine.recover(ROWS, 0, logged)
    assert rig.databases[ROWS].get(b"key") == before


async def test_a_row_of_a_later_release_ends_the_process_before_anything_is_misread(
    rig: Rig,
) -> None:
    ours = SimpleNamespace(offset=0, key=b"key", value=pack(0, 1, 1, 5_000))
    deleted = SimpleNamespace(offset=1, key=b"gone", value=None)
    newer = bytes([FORMAT + 1]) + pack(1, 2, 2, 5_000)[1:]
    theirs = SimpleNamespace(offset=2, key=b"key", value=newer)
    rig.engine.recover(ROWS, 0, [ours, deleted])
    with pytest.raises(Halted) as halted:
        rig.engine.recover(ROWS, 0, [theirs])
    reason, said = halted.value.args
    assert (reason, said["where"]) == ("written_by_newer_release", f"{CHANGELOG}/0")
    assert (said["format"], said["known"]) == (FORMAT + 1, FORMAT)
    assert (rig.count, rig.databases[ROWS].get(OFFSET)) == (1, b"1")


# A process that stood still


@pytest.mark.parametrize("stands_still", ["while it decides", "while it logs"])
async def test_who_stood_still_for_longer_than_its_session_publishes_nothing(
    rig: Rig, monkeypatch: pytest.MonkeyPatch, stands_still: str
):
    now = [100.0]

    def stand_still(*_: object) -> None:
        now[0] += rig.engine.config.session_timeout + 1

    monkeypatch.setattr(runner.time, "monotonic", lambda: now[0])
    if stands_still == "while it decides":
        decide = CountingStage.decide

        def slow(stage: CountingStage, *given: Any) -> Any:
            stand_still()
            return decide(stage, *given)

        monkeypatch.setattr(CountingStage, "decide", slow)
    else:
        rig.log.before_send = stand_still
    with pytest.raises(Halted, match="outlived_session"):
        await rig.deliver(0, b"a")
    assert "publish" not in rig.steps
    logged = rig.log.topics.get(CHANGELOG, [])
    assert len(logged) == (stands_still == "while it logs")
