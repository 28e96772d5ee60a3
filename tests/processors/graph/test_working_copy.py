"""The working copy of the graph's rows: what a batch has changed and what is stored, as one."""

from __future__ import annotations

import pytest

from processors.graph.rows import EmptyRow, key
from processors.graph.stage import GraphStage
from processors.graph.working_copy import WorkingCopy
from processors.stage import Decision
from tests.support.pipeline import MemoryStore

ONE = "s" * 36


@pytest.fixture
def store() -> MemoryStore:
    return MemoryStore(GraphStage(1))


def name(number: int) -> str:
    return f"{number:036}"


def mark(copy: WorkingCopy, *numbers: int) -> None:
    for number in numbers:
        copy.put(key(b"b:", ONE, name(number)), EmptyRow(), 0)


def test_pairs_are_those_stored_and_those_of_the_batch_each_once(store):
    stored = WorkingCopy(store, 1)
    mark(stored, 1, 2, 3)
    store.apply(Decision(rows=stored.changes()))
    copy = WorkingCopy(store, 1)
    mark(copy, 0, 2, 4)
    assert sorted(copy.seconds(b"b:", ONE)) == [name(n) for n in range(5)]


def test_all_of_tens_of_thousands_of_pairs_are_found_and_few_read_for_the_first(store):
    stored = WorkingCopy(store, 1)
    mark(stored, *range(20_000))
    store.apply(Decision(rows=stored.changes()))
    assert len(set(WorkingCopy(store, 1).seconds(b"b:", ONE))) == 20_000
    read = []
    plain = store.scan
    store.scan = lambda prefix, limit, after=b"": read.append(limit) or plain(prefix, limit, after)
    assert next(WorkingCopy(store, 1).seconds(b"b:", ONE)) == name(0)
    assert sum(read) < 100
