"""Publishing what was read, then moving the cursor: only what Kafka has counts as read."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Protocol

from ingest.connector import Position
from ingest.files.reader import Batch
from ingest.publishing.port import Message


class Outlet(Protocol):
    """The port through which batches reach Kafka."""

    def send(self, records: Sequence[Message]) -> None:
        """Return once Kafka has all records. Raises `NotAcknowledged`."""


def run(
    found: Iterable[Batch],
    outlet: Outlet,
    move: Callable[[Batch, Position], None],
    done: Callable[[Batch], None] = lambda _: None,
) -> None:
    """Publish each batch, then move the cursor after it.

    If it is broken off anywhere, what was published after the cursor is read and published again,
    with the same event ids, so that it changes nothing. `done` is called when both are done. Raises
    what reading, `outlet` and `move` raise.
    """
    for batch in found:
        if records := batch.messages():
            outlet.send(records)
        if batch.position is not None:
            move(batch, batch.position)
        done(batch)
