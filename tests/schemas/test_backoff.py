"""Pauses double from the first to the longest."""

from schemas.backoff import backoff_s


def test_a_pause_doubles_with_each_failure_up_to_the_longest():
    pauses = [backoff_s(failures, first_s=0.5, longest_s=5) for failures in range(6)]
    assert pauses == [0.5, 1, 2, 4, 5, 5]


def test_the_longest_pause_bounds_the_first_one_too():
    assert backoff_s(0, first_s=2, longest_s=0.3) == 0.3


def test_a_process_that_failed_for_years_still_pauses():
    assert backoff_s(10**6, first_s=0.1, longest_s=900) == 900
