"""Undoing links: what a split takes apart, how long it stands, and what lifts it."""

from __future__ import annotations

from dataclasses import replace

import pytest

from schemas import messages
from schemas.identifiers import Identifier, IdentityPolicy
from tests.support.graph_log import Graph, later, split
from tests.support.people import (
    HANAKO,
    TABLET,
    TARO,
    H,
    T,
    browser,
    customer,
    device,
    line,
    own,
    people,
)

PHONE = Identifier("phone", "+819012345678")


@pytest.fixture
def graph() -> Graph:
    return Graph(IdentityPolicy())


def test_a_split_gives_back_what_each_was_before_the_link(graph):
    graph.see(HANAKO, H)
    graph.see(H, line("U1"))
    split(graph, H)
    assert graph.people() == people("hanako", "h@x.jp", "U1")
    (row,) = graph.commands
    assert (row["action"], row["voided"], row["moved"]) == ("split", 2, 2)
    assert sorted(row["against_values"]) == ["U1", "hanako"]


def test_a_touch_that_repeats_the_link_does_not_join_them_again(graph):
    graph.see(HANAKO, H)
    split(graph, H)
    answers = graph.see(HANAKO, H)
    assert graph.people() == people("hanako", "h@x.jp")
    assert [a.verdicts[own(H)].holds for a in answers if a.value == "hanako"] == [False]


def test_nor_does_a_bridge_between_the_two_sides_however_long_the_way(graph):
    graph.see(HANAKO, H)
    split(graph, H)
    graph.see(H, line("U1"))
    graph.see(line("U1"), Identifier("x", "hx"))
    graph.see(HANAKO, Identifier("x", "hx"))
    assert graph.people() == people("hanako", "h@x.jp U1 hx")
    assert graph.conflicts == []
    last = max(graph.decisions.values(), key=lambda row: row["position"])
    assert (last["verdict"], last["reason"]) == ("refused", "split")


def test_a_lifted_split_joins_again_when_the_link_is_next_seen_and_not_before(graph):
    graph.see(HANAKO, H)
    split(graph, H)
    before = graph.now_ms - 1
    split(graph, H, lift=True)
    assert graph.people() == people("hanako", "h@x.jp")
    # A touch that was received before is still on its way.
    graph.append((HANAKO, H), before)
    graph.process(graph.log[-1:])
    graph.done = len(graph.log)
    assert graph.people() == people("hanako", "h@x.jp")
    graph.see(HANAKO, H)
    assert graph.people() == people("hanako h@x.jp")


def test_what_was_refused_because_of_a_wrong_link_is_decided_anew_when_next_seen(graph):
    graph.see(HANAKO, H)
    graph.see(TARO, H)
    split(graph, H)
    assert graph.people() == people("hanako", "taro", "h@x.jp")
    graph.see(TARO, H)
    assert graph.people() == people("hanako", "taro h@x.jp")


def test_a_bridge_voided_leaves_both_groups_whole(graph):
    graph.see(HANAKO, H)
    graph.see(T, line("U2"))
    graph.see(H, PHONE)
    graph.see(T, PHONE)
    assert graph.people() == people("hanako h@x.jp t@x.jp U2 +819012345678")
    split(graph, PHONE)
    assert graph.people() == people("hanako h@x.jp", "t@x.jp U2", "+819012345678")


def test_followers_go_with_the_links_that_are_left(graph):
    graph.see(H, browser("of h"))
    graph.see(T, browser("of t"))
    graph.see(H, T, browser("of both"))
    assert graph.people() == {frozenset(["h@x.jp", "t@x.jp", "of h", "of t", "of both"])}
    split(graph, T)
    assert graph.people() == {
        frozenset(["h@x.jp", "of h", "of both"]), frozenset(["t@x.jp", "of t"]),
    }  # fmt: skip


def test_a_browser_that_is_split_from_a_person_never_follows_that_person_again(graph):
    graph.see(HANAKO, browser("b"))
    split(graph, browser("b"))
    graph.see(HANAKO, browser("b"))
    graph.see(H, browser("b"))
    assert graph.people() == people("hanako", "h@x.jp b")
    graph.see(HANAKO, H)
    assert graph.people() == people("hanako h@x.jp", "b")


def test_a_tablet_that_joined_two_customers_is_undone_by_one_split():
    graph = Graph(IdentityPolicy().with_kinds({"device_id": {"joins": True}}))
    graph.see(H, TABLET)
    graph.see(T, TABLET)
    assert graph.people() == people("h@x.jp t@x.jp tablet")
    split(graph, TABLET)
    graph.see(H, TABLET)
    graph.see(T, TABLET)
    assert graph.people() == people("h@x.jp", "t@x.jp", "tablet")


def test_browsers_of_one_group_are_taken_apart(graph):
    graph.see(browser("b1"), browser("b2"))
    graph.see(HANAKO, browser("b1"))
    split(graph, browser("b2"))
    graph.see(browser("b1"), browser("b2"))
    assert graph.people() == people("hanako b1", "b2")


def test_a_split_of_somebody_alone_or_unknown_is_taken_and_changes_nothing(graph):
    graph.see(HANAKO, H)
    split(graph, TARO)
    split(graph, line("U1"))
    assert [(row["voided"], row["moved"]) for row in graph.commands] == [(0, 0), (0, 0)]
    assert graph.people() == people("hanako h@x.jp")


def test_a_replayed_split_says_the_same_again_and_changes_nothing(graph):
    graph.see(HANAKO, H)
    answers = split(graph, H)
    graph.see(H, line("U1"))
    stored = dict(graph.store.rows)
    again = graph.process(graph.log[1:2])
    assert graph.store.rows == stored
    assert graph.commands[0] == graph.commands[1]
    assert {a.identifier_id for a in answers} <= {a.identifier_id for a in again}


def test_a_named_other_side_is_split_from_whoever_belongs_to_it(graph):
    graph.see(HANAKO, H)
    graph.see(HANAKO, line("U1"))
    split(graph, H, against=[HANAKO])
    assert graph.people() == people("hanako U1", "h@x.jp")
    graph.see(H, line("U1"))
    assert graph.people() == people("hanako U1", "h@x.jp")


def test_a_voided_join_no_longer_counts_for_the_rate():
    graph = Graph(IdentityPolicy(joins_per_day=1))
    graph.see(HANAKO, H)
    split(graph, H)
    graph.see(HANAKO, line("U1"))
    assert graph.people() == people("hanako U1", "h@x.jp")


def test_a_part_of_a_group_does_not_keep_the_followers_of_the_other_part():
    policy = IdentityPolicy().with_kinds({"anonymous_id": {"limit": 2}})
    graph = Graph(policy)
    one, other = device("d1"), device("d4")
    graph.see(one, other)
    graph.see(one, browser("zz"))
    split(graph, other)
    for name in ("a", "b"):
        graph.see(other, browser(name))
    assert graph.people() == people("d1 zz", "d4 a b")


# The many refusals of a shared number


def shared_phone(most: int, customers: int) -> Graph:
    graph = Graph(IdentityPolicy())
    graph.stage = replace(graph.stage, withdrawn_at_once=most)
    for number in range(customers):
        graph.append((customer(f"c{number:04}"), PHONE), graph.now_ms)
    graph.process(graph.log[:])
    graph.done = len(graph.log)
    return graph


def test_more_refusals_than_one_step_takes_are_withdrawn_in_several():
    graph = shared_phone(3, 9)
    split(graph, PHONE)
    while graph.done < len(graph.log):
        batch, graph.done = graph.log[graph.done :], len(graph.log)
        graph.process(batch)
    verdicts = [graph.verdicts[own(customer(f"c{n:04}")), own(PHONE)] for n in range(1, 9)]
    assert [verdict.sources for verdict in verdicts] == [[]] * 8
    # A touch received before is no reason to decide one anew, a later one is.
    graph.see(customer("c0005"), PHONE)
    assert "c0005 +819012345678" in {" ".join(sorted(one, reverse=True)) for one in graph.people()}


def test_the_steps_of_a_withdrawal_say_the_same_again_when_they_are_replayed():
    graph = shared_phone(3, 9)
    split(graph, PHONE)
    while graph.done < len(graph.log):
        batch, graph.done = graph.log[graph.done :], len(graph.log)
        graph.process(batch)
    decisions, stored = dict(graph.decisions), dict(graph.store.rows)
    withdrawn = {at for at, row in decisions.items() if row["verdict"] == "withdrawn"}
    assert len(withdrawn) == 8
    graph.decisions.clear()
    for record in graph.log[9:]:
        graph.process([record])
    assert graph.store.rows == stored
    assert withdrawn <= graph.decisions.keys()


def test_a_split_of_a_number_of_thousands_fits_one_record_batch():
    graph = shared_phone(500, 3000)
    later(graph)
    graph.command(PHONE)
    decision = graph.stage.decide(graph.log[3000:3001], graph.store)
    assert sum(len(key) + len(row or b"") for key, row in decision.rows.items()) < 600_000
    (voided,) = [row for row in graph.commands if row["voided"]]
    assert voided["moved"] == 1


# Single links and sources


def test_lifting_an_identifier_leaves_what_was_undone_link_by_link(graph):
    graph.see(HANAKO, H)
    split(graph, H, lead=HANAKO)
    graph.see(HANAKO, line("U1"))
    graph.see(H, line("U1"))
    split(graph, H)
    split(graph, H, lift=True)
    graph.see(HANAKO, H)
    link = graph.verdicts[own(HANAKO), own(H)]
    assert (link.holds, link.sources) == (False, None)


def test_a_link_undone_against_its_source_may_be_made_by_another(graph):
    graph.see(HANAKO, H, source="kiosk")
    split(graph, H, lead=HANAKO, source="kiosk")
    answers = graph.see(HANAKO, H, source="kiosk")
    assert graph.people() == people("hanako", "h@x.jp")
    assert [a.verdicts[own(H)].sources for a in answers if a.value == "hanako"] == [["kiosk"]]
    graph.see(HANAKO, H, source="web")
    assert graph.people() == people("hanako h@x.jp")


def test_a_link_undone_against_every_source_stands_until_it_is_lifted(graph):
    graph.see(HANAKO, H)
    split(graph, H, lead=HANAKO)
    graph.see(HANAKO, H, source="crm")
    assert graph.people() == people("hanako", "h@x.jp")
    split(graph, H, lead=HANAKO, lift=True)
    graph.see(HANAKO, H)
    assert graph.people() == people("hanako h@x.jp")


def test_an_untrusted_source_joins_nothing_and_a_trusted_one_does():
    graph = Graph(IdentityPolicy(), frozenset({"kiosk"}))
    for _ in range(2):
        answers = graph.see(HANAKO, H, browser("b"), source="kiosk")
    assert graph.people() == people("hanako", "h@x.jp", "b")
    verdicts = [a.verdicts[own(H)] for a in answers if a.value == "hanako"]
    assert verdicts == [messages.Verdict(False, 0, ["kiosk"])]
    graph.see(HANAKO, H, browser("b"), source="web")
    assert graph.people() == people("hanako h@x.jp b")
    graph.see(HANAKO, H, source="kiosk")
    assert graph.people() == people("hanako h@x.jp b")
    assert graph.conflicts == []
