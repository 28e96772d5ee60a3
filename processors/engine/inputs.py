"""The position of each input partition, and the gaps and waiting records in front of it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from faust.types import TP


@dataclass(slots=True)
class Position:
    """The position in one input partition. Offsets are those of the input topic."""

    generation: int
    #: The next offset to process; it is committed once that is allowed.
    next_offset: int
    #: Record time (ms) of the last record processed, 0 before the first.
    time_ms: int = 0
    #: True if any record was processed since the partition was assigned.
    moved: bool = False
    #: First offsets of batches that came instead of the expected one -> number of times.
    suspects: Counter[int] = field(default_factory=Counter)


class Inputs:
    """The positions of the partitions of the present assignment."""

    def __init__(self) -> None:
        self._positions: dict[TP, Position] = {}

    def clear(self) -> None:
        """Forget all positions: another assignment begins."""
        self._positions.clear()

    def begin(self, tp: TP, generation: int, next_offset: int) -> None:
        """Set the offset at which reading starts."""
        self._positions.setdefault(tp, Position(generation, next_offset))

    def __contains__(self, tp: object) -> bool:
        return tp in self._positions

    def __iter__(self) -> Iterator[TP]:
        return iter(self._positions)

    def __getitem__(self, tp: TP) -> Position:
        return self._positions[tp]

    def advance(self, tp: TP, generation: int, next_offset: int, time_ms: int) -> None:
        """Note that everything below `next_offset` is processed and published."""
        self._positions[tp] = Position(generation, next_offset, time_ms, moved=True)

    def gap(self, tp: TP, first_offset: int) -> int:
        """Return the number of records missing before this one, deleted before they were read."""
        position = self._positions.get(tp)
        return max(0, first_offset - position.next_offset) if position else 0

    def suspect(self, tp: TP, first_offset: int) -> int:
        """Note a batch that does not continue the position; return how often it has come."""
        suspects = self._positions[tp].suspects
        suspects[first_offset] += 1
        return suspects[first_offset]

    def committable(self, generation: int) -> dict[TP, int]:
        """Return the offsets to commit, those of the present generation only."""
        return {
            tp: position.next_offset
            for tp, position in self._positions.items()
            if position.moved and position.generation == generation
        }

    def position_ms(self, highwaters: Mapping[TP, int | None], now_ms: int) -> int:
        """Return the record time up to which these inputs are processed: now, if none is waiting.

        `highwaters` are the end offsets of the inputs as seen just now, None if unknown: then a
        record may be waiting.
        """
        moments = [now_ms]
        for tp, highwater in highwaters.items():
            position = self._positions.get(tp)
            if position is None:
                moments.append(0)
            elif highwater is None or position.next_offset < highwater:
                moments.append(position.time_ms)
        return min(moments)
