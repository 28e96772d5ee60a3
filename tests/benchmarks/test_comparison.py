"""Correct results of the comparison: the job of the Python peers against the slow reference."""

from __future__ import annotations

import msgspec
import pytest

from benchmarks import job
from benchmarks.reference import Published, WrongResult, check
from benchmarks.workload import PARTITIONS, REGIMES, Regime, Workload, workload
from schemas import touchpoint_row
from schemas.topics import partition_of

NOW_MS = 1_780_000_000_000


def done(work: Workload) -> Published:
    """The job, one event at a time."""
    states: dict[bytes, bytes] = {}
    seen: set[str] = set()
    profiles, changes, dead = [], [], []
    for key, value in work.events:
        try:
            event = job.read(value)
        except job.MalformedEvent:
            dead.append(value)
            continue
        if event.event_id in seen:
            continue
        seen.add(event.event_id)
        changed = job.change(states.get(key), event)
        states[key] = changed.state
        profiles.append(changed.row)
        changes += changed.segments
    return Published(profiles, changes, dead)


@pytest.mark.parametrize("regime", REGIMES)
def test_the_job_gives_what_the_reference_says(regime: Regime):
    work = workload(5000, 300, NOW_MS, regime)
    check(done(work), work, NOW_MS)


def test_every_segment_has_entries_and_some_have_exits():
    changes = [msgspec.json.decode(c) for c in done(workload(5000, 300, NOW_MS)).changes]
    names = ["active", "big_spenders", "hesitating_buyers", "lapsed_buyers", "newsletter_readers"]
    assert sorted({c["segment"] for c in changes if c["change"] == "entered"}) == names
    assert {c["segment"] for c in changes if c["change"] == "exited"} >= {"hesitating_buyers"}


def test_a_wrong_result_is_told_from_a_correct_one():
    work = workload(2000, 200, NOW_MS)
    found = done(work)
    last = found.profiles[-1]
    count = msgspec.json.decode(last)["touchpoints"]
    one_more = last.replace(b'"touchpoints":%d' % count, b'"touchpoints":%d' % (count + 1))
    member = next(c for c in reversed(found.changes) if b'"active"' in c)
    wrong = [
        found._replace(profiles=[*found.profiles, one_more]),
        found._replace(profiles=[p for p in found.profiles if b'"customer_id":"c7"' not in p]),
        found._replace(changes=[c for c in found.changes if c != member]),
        found._replace(dead=found.dead[1:]),
        found._replace(dead=[*found.dead, work.events[9].value]),
    ]
    for one in wrong:
        with pytest.raises(WrongResult):
            check(one, work, NOW_MS)


def test_what_cannot_be_read_begins_every_partition_and_cannot_be_decoded():
    work = workload(10_000, 200, NOW_MS)
    assert len(work.malformed) > PARTITIONS
    for value in work.malformed:
        with pytest.raises(msgspec.DecodeError):
            touchpoint_row.decode(value)
    first = {partition_of(e.key, PARTITIONS): e.value for e in reversed(work.events)}
    assert set(first.values()) <= set(work.malformed)


def test_the_hot_customer_makes_three_in_ten_of_all_events():
    work = workload(10_000, 1000, NOW_MS, "hot")
    hottest = max(map([e.key for e in work.events].count, {e.key for e in work.events}))
    assert 0.27 < hottest / 10_000 < 0.33
