"""Each stage by itself: decide and apply in batches, rows in RocksDB, one core, no Kafka."""

from __future__ import annotations

import gc
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple, Self

from rocksdict import Options, Rdict

from benchmarks.workload import Event
from deploy.config.segments import load_segments
from processors.engine.packing import pack_seen
from processors.engine.seen import PartitionSeen
from processors.engine.stage_store import StageStore
from processors.engine.store import PartitionMemory, PartitionRows, due_entries
from processors.graph.stage import GraphStage
from processors.profiles.stage import ProfilesStage
from processors.segments import required_features
from processors.stage import Decision, Output, Record, Stage
from processors.trails.stage import TrailsStage
from schemas import topics, touchpoint_row
from schemas.identifiers import IdentityPolicy

BATCH = 4000
PARTITIONS = 4


class Timing(NamedTuple):
    """CPU seconds for a number of records, and what the stage published."""

    name: str
    records: int
    seconds: float
    note: str = ""

    @property
    def per_second(self) -> float:
        """Return records per second of one core."""
        return self.records / self.seconds if self.seconds else 0.0

    @property
    def microseconds(self) -> float:
        """Return CPU microseconds a record."""
        return self.seconds / max(1, self.records) * 1e6


def measure(events: Sequence[Event], now_ms: int, segments_folder: Path) -> list[Timing]:
    """Measure each stage: decode, trails with engagement, graph, profiles with segments."""
    segments = load_segments(segments_folder)
    gc.collect()
    gc.freeze()
    gc.disable()
    try:
        start = time.process_time()
        for event in events:
            touchpoint_row.decode(event.value)
        decode = Timing("decode", len(events), time.process_time() - start)
        touches = _records(topics.TOUCHPOINTS.name, now_ms, events)
        trails, published = _run(
            TrailsStage(1, PARTITIONS, required_features(segments)), touches, "with engagement"
        )
        graph, _ = _run(GraphStage(1), _only(published, topics.LINK_REQUESTS.name, now_ms), "links")
        profiles, _ = _run(
            ProfilesStage.of(1, PARTITIONS, segments, IdentityPolicy()),
            _only(published, topics.TRAILS.name, now_ms),
            f"{len(segments)} segments; records are trails",
        )
    finally:
        gc.enable()
        gc.unfreeze()
    return [decode, trails, graph, profiles]


def _records(topic: str, now_ms: int, events: Sequence[Event | Output]) -> list[Record]:
    return [
        Record(topic, 0, offset, now_ms, event.key, event.value)
        for offset, event in enumerate(events)
    ]


def _only(outputs: Sequence[Output], topic: str, now_ms: int) -> list[Record]:
    return _records(topic, now_ms, [output for output in outputs if output.topic == topic])


class Alone:
    """A stage with its rows in RocksDB and no Kafka; a context manager that removes them."""

    def __init__(self, stage: Stage) -> None:
        self.stage = stage
        self.seconds = 0.0
        self._folder = tempfile.TemporaryDirectory(prefix="touchline-bench-")
        self.path = Path(self._folder.name)
        self._rows, self._seen = (
            Rdict(str(self.path / name), Options(raw_mode=True)) for name in ("rows", "seen")
        )
        self._memory = PartitionMemory()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._rows.close()
        self._seen.close()
        self._folder.cleanup()

    def take(self, batch: Sequence[Record]) -> Decision:
        """Decide and apply one batch; add its CPU time to `seconds`."""
        begin = time.process_time()
        table = PartitionRows(self._rows, self._memory)
        known = PartitionSeen(self._seen, 7 * 86_400)
        store = StageStore(table, known, self._memory, batch[0].timestamp_ms // 1000)
        decision = self.stage.decide(batch, store)
        entries, old_entries = dict[bytes, bytes](), dict[bytes, bytes]()
        if self.stage.timed:
            entries = due_entries(self.stage.deadline, decision.rows)
            old_entries = due_entries(self.stage.deadline, store.stored(list(decision.rows)))
        table.apply(decision.rows, entries, old_entries, (), None)
        times = {record.offset: record.timestamp_ms for record in batch}
        known.apply(enumerate(pack_seen(decision.seen, times)))
        self.seconds += time.process_time() - begin
        return decision


def _run(stage: Stage, records: Sequence[Record], note: str) -> tuple[Timing, list[Output]]:
    published: list[Output] = []
    with Alone(stage) as alone:
        for start in range(0, len(records), BATCH):
            published += alone.take(records[start : start + BATCH]).outputs
        return Timing(stage.name, len(records), alone.seconds, note), published
