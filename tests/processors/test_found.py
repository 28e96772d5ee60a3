"""Cases that the schedules and the state machine of `tests.properties` found, one each."""

from __future__ import annotations

import pytest

from schemas.identifiers import Identifier, IdentityPolicy
from schemas.times import DAY_MS, rfc3339
from tests.support import identity_world, pipeline_checks
from tests.support.graph_log import Graph, split
from tests.support.people import HANAKO, TARO, H, browser, device, people
from tests.support.pipeline import Pipeline, Place
from tests.support.touches import touch


@pytest.fixture
def graph() -> Graph:
    return Graph(IdentityPolicy())


def test_a_split_from_somebody_unknown_takes_nobody_else_apart(graph):
    graph.see(HANAKO, H)
    split(graph, HANAKO, against=[Identifier("customer_id", "nobody knows")])
    assert graph.people() == people("hanako h@x.jp")


def test_an_entry_that_a_crash_kept_back_is_published_before_the_exit_that_follows():
    pipeline = Pipeline(segments=identity_world.segments(), partitions=1)
    trails, profiles = Place("trails", "touchpoints", 0), Place("profiles", "trails", 0)
    for event_id, days in (("a week ago", 7), ("now", 0)):
        at = rfc3339(pipeline.now_ms - days * DAY_MS)
        pipeline.touch(touch(event_id, HANAKO, occurred_at=at))
        pipeline.process(trails)
        # The first time nothing is published; the second time both are read at once.
        pipeline.process(profiles, crash="log" if days else None)
    pipeline.calm()
    pipeline_checks.check_changes(pipeline)


def test_a_touch_received_after_a_lift_joins_though_an_older_request_is_not_answered_yet():
    pipeline = Pipeline(partitions=1)
    trails = Place("trails", "touchpoints", 0)
    pipeline.touch(touch("before", HANAKO, H))
    pipeline.process(trails)
    # The operator acts while the answer to the touch is under way.
    for lift in (False, True):
        pipeline.split(*H, lead=HANAKO, lift=lift)
    pipeline.now_ms += 1
    pipeline.touch(touch("after", HANAKO, H))
    pipeline.process(trails)
    pipeline.calm()
    assert len(set(pipeline.identities().values())) == 1


def test_a_browser_never_follows_a_device_to_a_person_that_it_was_split_from(graph):
    graph.see(H, browser("b"))
    split(graph, browser("b"))
    graph.see(device("d"), browser("b"))
    graph.see(H, device("d"))
    assert graph.people() == people("h@x.jp d", "b")


def test_a_link_that_opened_is_decided_by_the_next_touch_whose_home_knows_of_it():
    pipeline = Pipeline(partitions=1)
    for event_id, one in (("1", HANAKO), ("2", TARO)):
        pipeline.touch(touch(event_id, one, H))
        pipeline.run()
    pipeline.split(*H)
    pipeline.now_ms += 1
    pipeline.touch(touch("before its home knows", TARO, H))
    pipeline.process(Place("trails", "touchpoints", 0))
    pipeline.run()
    pipeline.touch(touch("then", TARO, H))
    pipeline.run()
    who = pipeline.identities()
    assert who[H] == who[TARO] != who[HANAKO]


def test_a_change_is_published_though_two_crashes_kept_it_back_and_another_followed_meanwhile():
    pipeline = Pipeline(segments=identity_world.segments(), partitions=1)
    trails, profiles = Place("trails", "touchpoints", 0), Place("profiles", "trails", 0)
    week = rfc3339(pipeline.now_ms - 7 * DAY_MS)
    pipeline.touch(touch("a week ago", HANAKO, occurred_at=week))
    pipeline.process(trails)
    pipeline.process(profiles, crash="log")
    pipeline.touch(touch("now", HANAKO, occurred_at=rfc3339(pipeline.now_ms)))
    pipeline.process(trails)
    # Both are read at once; the row has the exit only, and again nothing is published.
    pipeline.process(profiles, crash="log")
    pipeline.calm()
    pipeline_checks.check_changes(pipeline)
