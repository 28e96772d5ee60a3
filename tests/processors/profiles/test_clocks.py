"""Clocks: hosts that differ by minutes, events years late, deadlines while everything was down."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from schemas.times import DAY_MS, HOUR_MS, MINUTE_MS, SECOND_MS, parse_ms, rfc3339
from tests.support.people import own
from tests.support.pipeline import Pipeline
from tests.support.segments import changes, definitions
from tests.support.touches import MAY, touch

#: At home in different partitions.
ANN, BOB = ("email", "ann@x.jp"), ("email", "bob@x.jp")
ENTERED, EXITED = ("entered", "event"), ("exited", "time")
SKEW = 3 * MINUTE_MS
#: A touch at the beginning of May leaves a window of 30 days with the hour that it is in.
DUE = MAY + HOUR_MS - 1 + 30 * DAY_MS


@pytest.fixture
def segments(tmp_path: Path):
    return definitions(
        tmp_path / "segments",
        active="last_touch: {within: 30d}",
        keen="count: {type: page_viewed, at_least: 3, within: 30m}",
    )


def started(segments, seed: int = 0, **faults: float) -> Pipeline:
    pipeline = Pipeline(segments=segments, rng=random.Random(seed), **faults)
    pipeline.now_ms = MAY
    for event_id, one in (("a1", ANN), ("b1", BOB)):
        pipeline.touch(touch(event_id, one))
    pipeline.run()
    pipeline.run()
    assert changes(pipeline, "active", ANN) == changes(pipeline, "active", BOB) == [ENTERED]
    return pipeline


def wait_until(pipeline: Pipeline, moment_ms: int) -> None:
    pipeline.sleep(moment_ms - pipeline.now_ms)


def comes(pipeline: Pipeline, event_id: str, one: tuple[str, str], gateway: str = "") -> None:
    """A page view, now, by the customer's clock."""
    pipeline.touch(touch(event_id, one, occurred_at=rfc3339(pipeline.now_ms)), gateway=gateway)


def restart(pipeline: Pipeline) -> None:
    """All stages end and start again."""
    for store in pipeline.stores.values():
        store.forget()
    pipeline.positions = dict(pipeline.committed)


def changed_at(pipeline: Pipeline, segment: str, one: tuple[str, str]) -> list[int]:
    return [parse_ms(row["changed_at"]) for row in pipeline.changes()[segment, own(one)]]


# Hosts whose clocks differ


def test_whichever_gateway_took_a_touch_the_views_are_the_same(segments):
    def answer(east: int, west: int):
        pipeline = Pipeline(segments=segments)
        pipeline.ahead = {"east": east, "west": west}
        pipeline.now_ms = MAY
        for number in range(10):
            pipeline.now_ms += 10 * SECOND_MS
            gateway = ("east", "west")[number % 2]
            traits = {"page": str(number)}
            at = rfc3339(pipeline.now_ms)
            one = touch(f"e{number}", ANN, traits=traits, occurred_at=at)
            pipeline.touch(one, gateway=gateway)
            if number % 3 == 0:
                pipeline.run()
        pipeline.run()
        pipeline.sleep(HOUR_MS)
        assert changes(pipeline, "keen", ANN) == [ENTERED, EXITED]
        return pipeline.answer()

    found = answer(SKEW, -SKEW)
    assert found == answer(0, 0)
    assert found["profiles"][own(ANN)]["traits"] == {"page": "9"}


def test_one_home_whose_clock_is_ahead_makes_nothing_due(segments):
    pipeline = started(segments)
    pipeline.ahead = {"trails 0": SKEW}
    wait_until(pipeline, DUE - MINUTE_MS)
    assert changes(pipeline, "active", ANN) == changes(pipeline, "active", BOB) == [ENTERED]
    wait_until(pipeline, DUE + MINUTE_MS)
    assert changes(pipeline, "active", ANN) == changes(pipeline, "active", BOB) == [ENTERED, EXITED]


def test_one_home_whose_clock_is_behind_puts_all_deadlines_off_by_as_much(segments):
    pipeline = started(segments)
    pipeline.ahead = {"trails 0": -SKEW}
    wait_until(pipeline, DUE + SKEW - MINUTE_MS)
    assert changes(pipeline, "active", ANN) == changes(pipeline, "active", BOB) == [ENTERED]
    wait_until(pipeline, DUE + SKEW + MINUTE_MS)
    assert changes(pipeline, "active", ANN) == changes(pipeline, "active", BOB) == [ENTERED, EXITED]


def test_when_clocks_that_were_ahead_are_set_right_nothing_is_entered_or_left_again(segments):
    pipeline = started(segments)
    pipeline.ahead = {"trails 0": SKEW, "trails 1": SKEW}
    wait_until(pipeline, DUE - 2 * MINUTE_MS)
    assert changes(pipeline, "active", ANN) == [ENTERED, EXITED]
    pipeline.ahead = {}
    restart(pipeline)
    pipeline.run()
    # A late touch has the row evaluated: by then it had left already, and that stands.
    pipeline.touch(touch("a2", ANN))
    wait_until(pipeline, DUE + MINUTE_MS)
    assert changes(pipeline, "active", ANN) == changes(pipeline, "active", BOB) == [ENTERED, EXITED]
    comes(pipeline, "a3", ANN)
    pipeline.sleep(DAY_MS)
    assert changes(pipeline, "active", ANN) == [ENTERED, EXITED, ENTERED]


def test_the_clock_of_profiles_workers_decides_nothing(segments):
    pipeline = started(segments)
    pipeline.ahead = {"profiles 0": SKEW, "profiles 1": 400 * DAY_MS}
    wait_until(pipeline, DUE - MINUTE_MS)
    assert changes(pipeline, "active", ANN) == changes(pipeline, "active", BOB) == [ENTERED]


# Events years late


@pytest.mark.parametrize("first", [True, False])
def test_an_event_years_late_counts_when_it_was_and_moves_nobody(segments, first):
    pipeline = started(segments)
    late = touch("a0", ANN, occurred_at="2019-02-03T04:05:06Z", traits={"page": "old"})
    new = touch("a2", ANN, occurred_at=rfc3339(MAY), traits={"page": "new"})
    for one in (late, new) if first else (new, late):
        pipeline.touch(one)
        pipeline.sleep(SECOND_MS)
    row = pipeline.profiles()[own(ANN)]
    assert (row["first_seen_at"], row["last_seen_at"]) == ("2019-02-03T04:05:06.000Z", rfc3339(MAY))
    assert (row["touchpoints"], row["traits"]) == (3, {"page": "new"})
    hours = {at for at, *_ in pipeline.engagement()}
    assert hours == {"2019-02-03T04:00:00.000Z", rfc3339(MAY)}
    assert changes(pipeline, "active", ANN) == [ENTERED]
    wait_until(pipeline, DUE + SECOND_MS)
    assert changes(pipeline, "active", ANN) == [ENTERED, EXITED]


def test_who_is_only_known_from_years_ago_is_in_no_window(segments):
    pipeline = started(segments)
    for number in range(3):
        one = touch(f"c{number}", ("email", "old@x.jp"), occurred_at="2019-02-03T04:05:06Z")
        pipeline.touch(one)
    pipeline.sleep(90 * DAY_MS)
    assert pipeline.profiles()[own(("email", "old@x.jp"))]["touchpoints"] == 3
    assert changes(pipeline, "active", ("email", "old@x.jp")) == []
    assert changes(pipeline, "keen", ("email", "old@x.jp")) == []


# While everything was down


@pytest.mark.parametrize("seed", range(10))
def test_who_came_during_an_outage_never_left_and_who_did_not_left_once(segments, seed):
    """Whichever stage is first, however much it reads at a time, whenever it is told the time."""
    pipeline = started(segments, seed)
    pipeline.ahead = {"trails 0": SKEW, "trails 1": -SKEW, "east": SKEW}
    pipeline.now_ms += 20 * DAY_MS
    comes(pipeline, "a2", ANN, "east")
    pipeline.now_ms += 20 * DAY_MS
    restart(pipeline)
    pipeline.ticks = 0.4
    pipeline.run()
    pipeline.ticks = 0.0
    pipeline.sleep(5 * MINUTE_MS)
    assert changes(pipeline, "active", ANN) == [ENTERED]
    assert changes(pipeline, "active", BOB) == [ENTERED, EXITED]
    _, left = changed_at(pipeline, "active", BOB)
    assert DUE < left <= pipeline.now_ms
    wait_until(pipeline, MAY + 51 * DAY_MS)
    assert changes(pipeline, "active", ANN) == [ENTERED, EXITED]
    assert len(changes(pipeline, "active", BOB)) == 2


def test_while_touches_of_an_outage_are_unread_the_time_that_passed_does_not_count(segments):
    """All stages are told the time before they read anything."""
    pipeline = started(segments)
    pipeline.now_ms += 20 * DAY_MS
    comes(pipeline, "a2", ANN)
    comes(pipeline, "b2", BOB)
    pipeline.now_ms += 20 * DAY_MS
    restart(pipeline)
    trails, _, profiles = pipeline.stages
    for partition in range(pipeline.partitions):
        pipeline.tick(trails, partition)
    for place in pipeline.pending():
        if place.stage == profiles.name:
            pipeline.process(place)
    for partition in range(pipeline.partitions):
        pipeline.tick(profiles, partition)
    assert len(pipeline.pending()) == 2
    assert changes(pipeline, "active", ANN) == changes(pipeline, "active", BOB) == [ENTERED]
    pipeline.run()
    assert changes(pipeline, "active", ANN) == changes(pipeline, "active", BOB) == [ENTERED]


@pytest.mark.parametrize("partitions", [1, 2])
@pytest.mark.parametrize("seed", range(5))
def test_touches_hours_apart_are_not_within_half_an_hour_because_nobody_read_them(
    segments, seed, partitions
):
    """The clock is where it was before the outage, and the touches all come at once."""
    pipeline = Pipeline(segments=segments, rng=random.Random(seed), partitions=partitions)
    pipeline.now_ms = MAY
    comes(pipeline, "a1", ANN)
    pipeline.run()
    pipeline.run()
    for number in range(3):
        pipeline.now_ms += HOUR_MS
        comes(pipeline, f"a{number + 2}", ANN)
        comes(pipeline, f"b{number}", BOB)
    pipeline.ticks = 0.4
    pipeline.run()
    pipeline.sleep(5 * MINUTE_MS)
    assert changes(pipeline, "keen", ANN) == changes(pipeline, "keen", BOB) == []
    assert changes(pipeline, "active", ANN) == changes(pipeline, "active", BOB) == [ENTERED]


@pytest.mark.parametrize("seed", range(5))
def test_who_has_come_often_when_the_system_is_back_enters_at_once(segments, seed):
    pipeline = started(segments, seed)
    pipeline.now_ms += 3 * HOUR_MS
    for number in range(3):
        pipeline.now_ms += MINUTE_MS
        comes(pipeline, f"a{number + 2}", ANN)
    while pipeline.step():
        pass
    assert changes(pipeline, "keen", ANN) == [ENTERED]
    assert changed_at(pipeline, "keen", ANN) == [pipeline.now_ms]
    pipeline.sleep(HOUR_MS)
    assert changes(pipeline, "keen", ANN) == [ENTERED, EXITED]


def test_what_would_be_over_before_the_newest_touch_is_decided_when_the_clock_is_there(segments):
    """Three views, a pause of an hour, and three more of which the last is not read yet."""
    pipeline = Pipeline(segments=segments, partitions=1)
    pipeline.now_ms = MAY
    comes(pipeline, "b1", BOB)
    pipeline.run()
    pipeline.run()
    for minutes in (1, 2, 3, 60, 61):
        pipeline.now_ms = MAY + minutes * MINUTE_MS
        comes(pipeline, f"a{minutes}", ANN)
    while pipeline.step():
        pass
    assert changes(pipeline, "keen", ANN) == []
    pipeline.now_ms += MINUTE_MS
    comes(pipeline, "a62", ANN)
    pipeline.run()
    assert changes(pipeline, "keen", ANN) == [ENTERED]
    pipeline.sleep(HOUR_MS)
    assert changes(pipeline, "keen", ANN) == [ENTERED, EXITED]
