"""Publishing what was read and moving the cursor, in this order: Kafka has it before it counts."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Protocol

from ingest.connector import Position
from ingest.files.reader import Batch
from ingest.publishing.port import Message


class Outlet(Protocol):
    """The way to Kafka."""

    def send(self, records: Sequence[Message]) -> None:
        """Returns once Kafka has all. Raises `ingest.publishing.port.NotAcknowledged`."""


def run(
    found: Iterable[Batch],
    outlet: Outlet,
    move: Callable[[Batch, Position], None],
    done: Callable[[Batch], None] = lambda _: None,
) -> None:
    """Publish each batch, then move the cursor behind it.

    Broken off anywhere, what was published behind the cursor is read and published again: with the
    same event ids, so that it changes nothing. `done` is called when both is done. Raises what
    reading, `outlet` or `move` do.
    """
    for batch in found:
        if records := batch.messages():
            outlet.send(records)
        if batch.position is not None:
            move(batch, batch.position)
        done(batch)
