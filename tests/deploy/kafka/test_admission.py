"""Flow control in front of a broker that drops what it cannot hold."""

from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deploy.config.embedded import PARTITION_BYTES
from deploy.kafka.admission import ASSUMED_RECORD_BYTES, Backlog, fill
from deploy.kafka.lag import Lag, Reader, drain

TRAILS = Reader("touchline-trails", "touchpoints")
PROFILES = Reader("touchline-profiles", "trails")
SINK = Reader("touchline-sink-profiles", "profiles")
ROOM = PARTITION_BYTES // ASSUMED_RECORD_BYTES


class FixedLags:
    """Answers what the test says, the last answer again and again."""

    def __init__(self, *answers: list[Lag]) -> None:
        self._answers = list(answers)

    def read(self) -> list[Lag]:
        return self._answers.pop(0) if len(self._answers) > 1 else self._answers[0]


def backlog(*answers: list[Lag]) -> Backlog:
    return Backlog(FixedLags(*answers), "touchpoints", "trails")


def test_an_idle_pipeline_admits():
    watcher = backlog([Lag(TRAILS, 0, 0, 100, 100), Lag(SINK, 0, 0, 0, 0)])
    watcher.update()
    assert watcher.admission() is None


def test_a_stage_that_is_behind_stops_the_gateway_until_it_has_caught_up():
    watcher = backlog(
        [Lag(TRAILS, 0, 0, ROOM, ROOM // 3)],
        [Lag(TRAILS, 0, 0, ROOM, ROOM - 5)],
    )
    watcher.update()
    assert watcher.admission() == 1.0
    watcher.update()
    assert watcher.admission() is None


def test_what_waits_in_front_adds_to_what_waits_behind():
    third = ROOM * 3 // 10
    waiting = [Lag(TRAILS, 0, 0, third, 0), Lag(PROFILES, 0, 0, third, 0), Lag(SINK, 0, 0, 0, 0)]
    assert fill(waiting, "touchpoints", "trails") == pytest.approx(0.6, abs=0.01)


def test_a_broker_that_has_dropped_records_tells_how_many_fit():
    # 100 large records fill the partition: an unread 60 of them is too much.
    assert fill([Lag(TRAILS, 0, 900, 1_000, 940)], "touchpoints", "trails") == 0.6


@given(start=st.integers(0, 10**6), held=st.integers(0, 10**6), committed=st.integers(0, 3 * 10**6))
def test_nothing_is_lost_below_a_fill_of_one(start: int, held: int, committed: int):
    lag = Lag(TRAILS, 0, start, start + held, committed)
    assert 0 <= fill([lag], "touchpoints", "trails") <= 1
    assert (lag.records == 0) == (fill([lag], "touchpoints", "trails") == 0)


def ticks() -> Iterator[float]:
    now = 0.0
    while True:
        yield now
        now += 1.0


def test_draining_goes_reader_by_reader_and_ignores_what_comes_later():
    # The topic of the second reader grows by a watermark between two looks, for ever.
    def answers() -> Iterator[list[Lag]]:
        for n in range(100):
            yield [Lag(TRAILS, 0, 0, 5, min(n, 5)), Lag(PROFILES, 0, 0, n, n - 1)]

    class Growing:
        def __init__(self) -> None:
            self._answers = answers()

        def read(self) -> list[Lag]:
            return next(self._answers)

    clock = ticks()
    assert drain(Growing(), 50, lambda: next(clock), lambda _: None)


def test_draining_gives_up_in_time():
    clock = ticks()
    stuck = FixedLags([Lag(TRAILS, 0, 0, 5, 4)])
    assert not drain(stuck, 10, lambda: next(clock), lambda _: None)
