"""The graph decides who is who: the rules of identity, one story each."""

from __future__ import annotations

from itertools import pairwise

import pytest

from schemas import messages
from schemas.identifiers import Identifier, IdentityPolicy
from schemas.times import DAY_MS, HOUR_MS
from tests.support.graph_log import Graph
from tests.support.people import (
    HANAKO,
    PHONE,
    TABLET,
    TARO,
    browser,
    customer,
    device,
    email,
    line,
    own,
    people,
)
from tests.support.pipeline import Pipeline
from tests.support.touches import touch


@pytest.fixture
def graph() -> Graph:
    return Graph(IdentityPolicy())


# Joining


def test_two_identifiers_in_one_touch_are_one_person_with_the_id_of_the_stronger(graph):
    graph.see(email("h@x.jp"), HANAKO)
    assert graph.people() == people("hanako h@x.jp")
    assert graph.profile(email("h@x.jp")) == own(HANAKO)


@pytest.mark.parametrize("backwards", [False, True])
def test_a_chain_of_links_is_one_person_from_either_end(graph, backwards):
    chain = [HANAKO, email("h@x.jp"), line("U1"), Identifier("x", "hanako_x")]
    links = list(pairwise(chain))
    for link in reversed(links) if backwards else links:
        graph.see(*link)
    assert set(graph.nodes().values()) == {own(HANAKO)}


def test_a_bridge_joins_two_groups_and_everyone_who_moved_is_told(graph):
    graph.see(email("a@x.jp"), line("U1"))
    graph.see(email("b@x.jp"), line("U2"))
    answers = graph.see(line("U1"), line("U2"))
    assert graph.people() == people("a@x.jp b@x.jp U1 U2")
    assert {a.value for a in answers if a.profile_id == own(email("a@x.jp"))} == {
        "b@x.jp", "U1", "U2",
    }  # fmt: skip


def test_every_id_ever_used_is_the_own_id_of_an_identifier_and_so_resolves_for_ever(graph):
    seen = set()
    for link in ((line("U1"), browser("b")), (email("a@x.jp"), line("U1")), (HANAKO, line("U1"))):
        graph.see(*link)
        seen |= set(graph.nodes().values())
    assert seen <= {own(one) for one in graph.nodes()}


def test_a_link_of_an_identifier_with_itself_changes_nothing(graph):
    for one in (HANAKO, browser("b")):
        answers = graph.see(one, one)
        assert [(a.profile_id, a.version, a.verdicts) for a in answers] == [
            (own(one), 0, {own(one): messages.Verdict(True, len(graph.log) - 1)})
        ]


def test_a_link_asked_again_is_answered_again_with_the_same_versions(graph):
    first = graph.see(HANAKO, email("h@x.jp"))
    again = graph.see(HANAKO, email("h@x.jp"))
    assert {a.value: a for a in first} == {a.value: a for a in again}
    assert [a.version for a in again if a.kind == "email"] == [1]


def test_an_alias_is_the_previous_id_as_a_browser_of_the_new_one(graph):
    graph.see(browser("before-login"), device("d"))
    graph.see(HANAKO, browser("before-login"))
    assert graph.profile(browser("before-login")) == own(HANAKO)


# Conflicts


def test_two_customer_ids_never_join_and_the_refusal_says_which_profiles_they_had(graph):
    graph.see(HANAKO, email("h@x.jp"))
    answers = graph.see(TARO, email("h@x.jp"))
    assert graph.people() == people("hanako h@x.jp", "taro")
    assert [a.verdicts for a in answers if a.value == "taro"] == [
        {own(email("h@x.jp")): messages.Verdict(False, 1)}
    ]
    (conflict,) = graph.conflicts
    assert conflict["reason"] == "unique"
    assert (conflict["value"], conflict["lead_value"]) == ("h@x.jp", "taro")
    assert (conflict["profile_id"], conflict["other_profile_id"]) == (own(HANAKO), own(TARO))


def test_a_refusal_replayed_keeps_the_profiles_as_of_the_refusal(graph):
    graph.see(HANAKO, email("z@x.jp"))
    graph.see(TARO, email("z@x.jp"))
    graph.see(customer("aaa"), line("U1"))
    before = list(graph.conflicts)
    graph.process(graph.log[1:2])
    assert graph.conflicts == before * 2


def test_two_customer_ids_in_one_touch_stay_two(graph):
    graph.see(HANAKO, TARO, email("h@x.jp"))
    assert graph.people() == people("hanako h@x.jp", "taro")
    assert [conflict["reason"] for conflict in graph.conflicts] == ["unique"]


def test_a_sixth_email_is_refused_by_the_limit(graph):
    for number in range(6):
        graph.see(HANAKO, email(f"h{number}@x.jp"))
    assert graph.people() == people("hanako h0@x.jp h1@x.jp h2@x.jp h3@x.jp h4@x.jp", "h5@x.jp")
    assert [conflict["reason"] for conflict in graph.conflicts] == ["limit"]


def test_a_plug_in_s_own_kind_joins_and_is_limited_to_five(graph):
    for number in range(6):
        graph.see(HANAKO, Identifier("shop_card", f"s{number}"))
    assert len(graph.people()) == 2


def test_an_identifier_that_joins_too_many_in_a_day_is_refused_until_the_day_is_over():
    policy = IdentityPolicy().with_kinds({"email": {"limit": 100}})
    graph = Graph(policy)
    for number in range(21):
        graph.see(HANAKO, email(f"h{number}@x.jp"))
    assert [conflict["reason"] for conflict in graph.conflicts] == ["rate"]
    graph.now_ms += DAY_MS
    graph.see(HANAKO, email("later@x.jp"))
    assert graph.profile(email("later@x.jp")) == own(HANAKO)
    assert graph.profile(email("h20@x.jp")) == own(email("h20@x.jp"))


def test_refused_stays_refused_when_seen_again(graph):
    graph.see(HANAKO, email("h@x.jp"))
    graph.see(TARO, email("h@x.jp"))
    graph.now_ms += 400 * DAY_MS
    graph.see(TARO, email("h@x.jp"))
    assert graph.profile(email("h@x.jp")) == own(HANAKO)


# Devices and browsers


def test_a_browser_that_is_identified_later_belongs_to_the_person_then(graph):
    graph.see(browser("b"), device("d"))
    assert graph.profile(browser("b")) == own(device("d"))
    graph.see(HANAKO, browser("b"))
    assert graph.profile(browser("b")) == own(HANAKO)


def test_a_browser_follows_its_device(graph):
    graph.see(device("d"), browser("b"))
    graph.see(HANAKO, device("d"))
    assert graph.people() == people("hanako d b")


def test_a_shared_tablet_is_nobody_s_and_merges_no_family(graph):
    graph.see(HANAKO, TABLET)
    graph.see(TARO, TABLET)
    assert graph.people() == people("hanako", "taro", "tablet")
    assert graph.conflicts == []


def test_a_shared_tablet_comes_back_when_its_two_people_turn_out_to_be_one(graph):
    graph.see(email("h@x.jp"), TABLET)
    graph.see(line("U1"), TABLET)
    assert graph.people() == people("h@x.jp", "U1", "tablet")
    graph.see(email("h@x.jp"), line("U1"))
    assert graph.people() == people("h@x.jp U1 tablet")


def test_a_tablet_shared_by_two_emails_takes_its_browsers_along(graph):
    graph.see(TABLET, browser("b"))
    graph.see(email("h@x.jp"), TABLET)
    assert graph.profile(browser("b")) == own(email("h@x.jp"))
    graph.see(email("t@x.jp"), TABLET)
    assert graph.people() == people("h@x.jp", "t@x.jp", "tablet b")


def test_a_browser_of_two_devices_is_nobody_s_until_both_are_one_person_s(graph):
    graph.see(TABLET, browser("b"))
    graph.see(PHONE, browser("b"))
    graph.see(HANAKO, TABLET)
    assert graph.profile(browser("b")) == own(browser("b"))
    graph.see(HANAKO, PHONE)
    assert graph.profile(browser("b")) == own(HANAKO)


def test_a_user_switch_on_one_browser_makes_it_nobody_s(graph):
    graph.see(HANAKO, browser("b"))
    graph.see(TARO, browser("b"))
    assert graph.people() == people("hanako", "taro", "b")


def test_a_browser_with_a_person_of_its_own_does_not_follow_its_device(graph):
    graph.see(TABLET, browser("b"))
    graph.see(HANAKO, TABLET)
    graph.see(TARO, browser("b"))
    assert graph.people() == people("hanako tablet", "taro b")


def test_browsers_that_were_linked_follow_as_one(graph):
    graph.see(browser("b1"), browser("b2"))
    assert graph.profile(browser("b2")) == own(browser("b1"))
    graph.see(HANAKO, browser("b2"))
    assert graph.people() == people("hanako b1 b2")
    graph.see(TARO, browser("b1"))
    assert graph.people() == people("hanako", "taro", "b1 b2")


def test_a_previous_id_that_all_browsers_name_takes_in_no_more_than_some_hundred(graph):
    for number in range(502):
        graph.append((browser(f"b{number:03}"), browser("previous")), graph.now_ms)
    graph.process(graph.log[:])
    assert max(map(len, graph.people())) == 500
    assert [conflict["reason"] for conflict in graph.conflicts] == ["limit"] * 3


# Limits of followers

FEW = IdentityPolicy().with_kinds({"device_id": {"limit": 2}, "anonymous_id": {"limit": 3}})


@pytest.mark.parametrize("order", [(1, 2, 3, 4), (4, 3, 2, 1), (2, 4, 1, 3)])
def test_of_too_many_browsers_the_strongest_stay_and_no_conflict_is_recorded(order):
    graph = Graph(FEW)
    for number in order:
        graph.see(HANAKO, browser(f"b{number}"))
    assert graph.people() == people("hanako b1 b2 b3", "b4")
    assert graph.conflicts == []


def test_a_browser_for_which_its_device_s_person_has_no_room_is_nobody_s():
    graph = Graph(FEW)
    graph.see(HANAKO, TABLET)
    for number in (1, 2, 3, 4):
        graph.see(TABLET, browser(f"b{number}"))
    assert graph.people() == people("hanako tablet b1 b2 b3", "b4")


def test_a_device_without_room_keeps_its_browsers():
    graph = Graph(FEW)
    for number in (1, 2, 3):
        graph.see(device(f"d{number}"), browser(f"b{number}"))
        graph.see(HANAKO, device(f"d{number}"))
    assert graph.people() == people("hanako d1 b1 d2 b2", "d3 b3")


def test_room_that_a_shared_device_leaves_is_taken_by_the_next():
    graph = Graph(FEW)
    for number in (1, 2, 3):
        graph.see(HANAKO, device(f"d{number}"))
    graph.see(TARO, device("d1"))
    assert graph.people() == people("hanako d2 d3", "taro", "d1")


def test_a_group_of_browsers_stays_or_goes_as_one():
    graph = Graph(FEW)
    graph.see(browser("b1"), browser("b2"))
    graph.see(browser("c1"), browser("c2"))
    graph.see(HANAKO, browser("b1"))
    graph.see(HANAKO, browser("c1"))
    assert graph.people() == people("hanako b1 b2", "c1 c2")


def test_followers_follow_through_as_many_kinds_as_the_policy_has():
    policy = IdentityPolicy().with_kinds({"till_id": {"joins": False, "strength": 905}})
    graph = Graph(policy)
    till = Identifier("till_id", "till")
    graph.see(TABLET, till)
    graph.see(till, browser("b"))
    graph.see(HANAKO, TABLET)
    assert graph.people() == people("hanako tablet till b")


def test_a_kiosk_that_changes_nothing_for_a_person_changes_no_version(graph):
    graph.see(HANAKO, TABLET)
    graph.see(TARO, TABLET)
    before = graph.see(HANAKO, email("h@x.jp"))
    after = graph.see(TARO, PHONE)
    assert {a.value for a in before} == {"hanako", "h@x.jp"}
    assert {a.value for a in after} == {"taro", "phone"}


@pytest.mark.parametrize("name", ["a-new-device", "z-new-device"])
def test_a_kiosk_of_many_people_takes_another_device_in_without_naming_them_all_anew(graph, name):
    for number in range(50):
        graph.see(customer(f"c{number}"), device("kiosk"))
    graph.append((device(min(name, "kiosk")), device(max(name, "kiosk"))), graph.now_ms)
    assert len(graph.stage.decide(graph.log[-1:], graph.store).rows) < 10


def test_a_person_of_many_browsers_takes_another_one_without_looking_at_them_all(graph):
    for number in range(200):
        graph.see(HANAKO, browser(f"b{number:03}"))
    graph.append((HANAKO, browser("weakest")), graph.now_ms)
    reads = []
    plain = graph.store.get
    graph.store.get = lambda key: reads.append(key) or plain(key)
    graph.stage.decide(graph.log[-1:], graph.store)
    assert len(reads) < 20


def test_a_replay_after_later_links_says_the_later_state(graph):
    graph.see(email("h@x.jp"), TABLET)
    graph.see(HANAKO, email("h@x.jp"))
    graph.now_ms += HOUR_MS
    answers = graph.process(graph.log[:1])
    assert {a.value: (a.profile_id, a.version) for a in answers} == {
        "h@x.jp": (own(HANAKO), 2),
        "tablet": (own(HANAKO), 2),
    }


# Through the edge


def test_one_phone_number_in_several_writings_is_one_person():
    pipeline = Pipeline()
    writings = ["090-1234-5678", "０９０－１２３４－５６７８", "+81 90 1234 5678", "(090)12345678"]
    for number, writing in enumerate(writings):
        pipeline.touch(touch(f"e{number}", ("phone", writing), ("line", f"U{number}")))
    pipeline.run()
    (profile,) = pipeline.profiles().values()
    assert profile["phone"] == "+819012345678"
    assert profile["touchpoints"] == 4


def test_a_link_request_names_its_touch():
    pipeline = Pipeline()
    pipeline.touch(touch("e1", ("email", "h@x.jp"), ("line", "U1")))
    pipeline.run()
    (record,) = pipeline.logs["identity.links", 0]
    assert messages.decode_link(record.value) == messages.LinkRequest(
        "email", "h@x.jp", "line", "U1", "test", "e1", 1_777_593_600_000, pipeline.now_ms
    )
