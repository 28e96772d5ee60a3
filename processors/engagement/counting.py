"""Counting of touches in engagement counters, each exactly once: a part of the stage `trails`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from processors.engagement.rows import Counter, Window, pack, published, unpack, window
from processors.stage import Decision, Output, Store
from schemas import rows, topics
from schemas.touchpoint_row import TouchpointRow


class Touch(Protocol):
    """A first delivery of a touch."""

    @property
    def offset(self) -> int:
        """Return the offset of its record."""

    @property
    def row(self) -> TouchpointRow:
        """Return its content."""

    @property
    def at_ms(self) -> int:
        """Return the time at which it occurred."""


def count_touches(
    touches: Sequence[Touch], store: Store, decision: Decision, *, epoch: int, home: int
) -> None:
    """Count the touches that their counter does not contain yet; publish every counter concerned.

    `home` is the partition, which owns its counters.
    """
    windows: dict[Window, list[Touch]] = {}
    for touch in touches:
        of_touch = window(touch.row, touch.at_ms)
        counted = windows.get(of_touch)
        if counted is None:
            counted = windows[of_touch] = []
        counted.append(touch)
    keys = [one.row_key() for one in windows]
    stored = store.get_many(keys)
    for (one, inside), key, row in zip(windows.items(), keys, stored, strict=True):
        counter = Counter() if row is None else unpack(row)
        applied, rev = (-1, 0) if row is None else rows.header(row)[2:]
        new = [touch for touch in inside if touch.offset > applied]
        if new:
            for touch in new:
                counter.add(touch.row)
            applied, rev = new[-1].offset, rev + len(new)
            decision.rows[key] = rows.pack(epoch, applied, rev, pack(counter))
        value = published(one, counter, epoch=epoch, home=home, version=rev)
        decision.outputs.append(Output(topics.ENGAGEMENT.name, key, value))
