"""Doubles of what surrounds the engine: metrics, the end of the process, topics in memory."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NoReturn

from rocksdict import Options, Rdict

from processors.engine import NoMetrics
from processors.engine.packing import Packed
from processors.engine.producer import EngineProducer


class Recorder(NoMetrics):
    """Keeps what the engine reports."""

    def __init__(self) -> None:
        self.counts: Counter[str] = Counter()
        self.records = 0
        self.lags: dict[tuple[str, int], int] = {}
        self.keys: dict[int, int] = {}
        self.late: list[float] = []

    def state(self, stage: str, partition: int, keys: int, size: int) -> None:
        self.keys[partition] = keys

    def fired(self, stage: str, late: float) -> None:
        self.late.append(late)

    def batch(self, stage: str, records: int, seconds: float) -> None:
        self.records += records

    def lag(self, stage: str, topic: str, partition: int, records: int, seconds: float) -> None:
        self.lags[topic, partition] = records

    def count(self, name: str, increment: int) -> None:
        self.counts[name] += increment


class Halted(BaseException):
    """The process would have ended here."""


def refuse_to_halt(reason: str, **fields: Any) -> NoReturn:
    """Raise instead of ending the process."""
    raise Halted(reason, fields)


class Batch:
    """A record batch without a limit."""

    def __init__(self) -> None:
        self.items: list[tuple[Any, Any]] = []

    def append(self, *, key: Any, value: Any, timestamp: Any) -> object:
        self.items.append((key, value))
        return self

    def record_count(self) -> int:
        return len(self.items)


class Log(EngineProducer):
    """Topics in memory. `before_send` may do what happens elsewhere meanwhile."""

    def __init__(self, halt: Callable[..., NoReturn]) -> None:
        super().__init__(None, halt)  # type: ignore[arg-type]  # it never connects
        self.topics: dict[str, list[tuple[Any, Any]]] = {}
        self.before_send: Callable[[Sequence[Packed]], None] = lambda _: None

    def create_batch(self) -> Batch:
        return Batch()

    async def send(self, batches: Sequence[Packed]) -> list[int]:
        self.before_send(batches)
        offsets = []
        for packed in batches:
            topic = self.topics.setdefault(packed.topic, [])
            offsets.append(len(topic))
            topic.extend(packed.batch.items)
        return offsets


def open_db(path: Path) -> Any:
    """Open a database as Faust's tables do, made if it is missing."""
    options = Options(raw_mode=True)
    options.create_if_missing(True)
    return Rdict(str(path), options=options)
