"""Positions in the inputs: gaps, commits, and whether anything waits."""

from __future__ import annotations

from faust.types import TP

from processors.engine.inputs import Inputs

ONE, TWO = TP("one", 0), TP("two", 0)


def test_a_gap_is_what_lies_between_the_expected_and_the_first_offset() -> None:
    inputs = Inputs()
    inputs.begin(ONE, 1, 10)
    assert [inputs.gap(ONE, first) for first in (9, 10, 13)] == [0, 0, 3]
    inputs.advance(ONE, 1, 20, 0)
    assert inputs.gap(ONE, 21) == 1


def test_only_what_was_processed_in_the_present_generation_is_committed() -> None:
    inputs = Inputs()
    inputs.begin(ONE, 1, 10)
    assert inputs.committable(1) == {}
    inputs.advance(ONE, 1, 20, 0)
    assert inputs.committable(1) == {ONE: 20}
    assert inputs.committable(2) == {}


def test_the_position_is_now_only_if_no_input_has_anything_waiting() -> None:
    inputs = Inputs()
    inputs.begin(ONE, 1, 10)
    inputs.begin(TWO, 1, 0)
    assert inputs.position_ms({ONE: 10, TWO: 0}, 99) == 99
    assert inputs.position_ms({ONE: 11, TWO: 0}, 99) == 0, "nothing of it was processed yet"
    inputs.advance(ONE, 1, 11, 55)
    assert inputs.position_ms({ONE: 11, TWO: 0}, 99) == 99
    assert inputs.position_ms({ONE: 12, TWO: 0}, 99) == 55
    assert inputs.position_ms({ONE: 11, TWO: None}, 99) == 0, "unknown may mean a backlog"
    assert inputs.position_ms({ONE: 11, TP("three", 0): 5}, 99) == 0
