"""The working copy of the graph's rows: what a batch has changed and what is stored, as one."""

from __future__ import annotations

import pytest

from processors.graph import GraphStage
from processors.identity_rows import Mark, WorkingCopy, key
from processors.stage import Decision
from tests.pipeline import MemoryStore

SET = "s" * 36


@pytest.fixture
def store() -> MemoryStore:
    return MemoryStore(GraphStage(1))


def name(number: int) -> str:
    return f"{number:036}"


def mark(copy: WorkingCopy, *numbers: int, present: bool = True) -> None:
    for number in numbers:
        copy.put(key(b"q:", SET, name(number)), Mark() if present else None, 0)


def test_names_are_those_stored_and_those_of_the_batch_without_those_removed(store):
    stored = WorkingCopy(store, 1)
    mark(stored, 1, 2, 3)
    store.apply(Decision(rows=stored.changes()))
    copy = WorkingCopy(store, 1)
    mark(copy, 0, 4)
    mark(copy, 1, present=False)
    prefix = key(b"q:", SET)
    assert copy.under(prefix) == [name(0), name(2), name(3), name(4)]
    assert copy.under(prefix, 1) == [name(0)]
    mark(copy, 0, 2, present=False)
    assert copy.under(prefix, 1) == [name(3)]


def test_all_of_tens_of_thousands_of_names_are_found(store):
    stored = WorkingCopy(store, 1)
    mark(stored, *range(20_000))
    store.apply(Decision(rows=stored.changes()))
    assert len(WorkingCopy(store, 1).under(key(b"q:", SET))) == 20_000
