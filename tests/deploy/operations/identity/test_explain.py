"""Explanations why identifiers are one person, over the stages and the real ClickHouse."""

from __future__ import annotations

import json
import random

import pytest

from deploy.operations.identity.chains import chain, spanning_tree
from deploy.operations.identity.explain import MOST_LINKS, Explanation, explain
from deploy.operations.identity.explain_text import explanation
from deploy.operations.identity.log import Link
from schemas.identifiers import Identifier, IdentityPolicy, identifier_id
from schemas.messages import SplitCommand
from tests.support.deployment import World

POLICY = IdentityPolicy()
CUSTOMER, EMAIL, PHONE = (
    ("customer_id", "1815"),
    ("email", "ada@example.com"),
    ("phone", "+81312345678"),
)
BROWSER, TABLET = ("anonymous_id", "b-1"), ("device_id", "tablet")


def asked(world: World, one: tuple[str, str]) -> Explanation:
    found = explain(world.log, POLICY, Identifier(*one))
    assert found is not None
    return found


def said(world: World, one: tuple[str, str]) -> str:
    return "\n".join(explanation(asked(world, one)))


def pairs(links: list[Link]) -> list[tuple[str, str]]:
    return [(link.lead.value, link.other.value) for link in links]


def test_an_identifier_that_was_never_seen_has_no_explanation(world: World):
    assert explain(world.log, POLICY, Identifier(*EMAIL)) is None


def test_every_identifier_hangs_together_with_the_strongest_by_touches(world: World):
    world.touch("m-1", EMAIL, BROWSER, source="web")
    world.touch("m-2", CUSTOMER, EMAIL, source="crm", at="05-02")
    world.touch("m-3", EMAIL, PHONE, at="05-03")
    world.touch("m-4", CUSTOMER, PHONE, at="05-04")
    found = asked(world, BROWSER)
    assert found.profile_id == identifier_id(*CUSTOMER)
    assert found.identifiers == [Identifier(*one) for one in (CUSTOMER, EMAIL, PHONE, BROWSER)]
    way = chain(Identifier(*BROWSER), found.towards)
    assert [(link.source, link.event_id) for link in way] == [("web", "m-1"), ("crm", "m-2")]
    assert way[0].occurred_at == "2026-05-01 12:00:00.000"
    assert [link.event_id for link in found.further] == ["m-3"]
    assert found.nobody is None
    assert found.complete
    assert not found.unexplained()
    lines = said(world, BROWSER).splitlines()
    assert lines[0] == f"profile {identifier_id(*CUSTOMER)}"
    (tied,) = (line for line in lines if line.startswith("      anonymous_id:b-1"))
    assert "web, event m-1 of 2026-05-01 12:00:00.000, decided 20" in tied
    assert "further links that say the same: 1" in lines


def test_it_is_complete_for_programs(world: World):
    world.touch("m-1", CUSTOMER, EMAIL, BROWSER)
    world.touch("m-2", CUSTOMER, ("customer_id", "1900"))
    document = json.loads(json.dumps(asked(world, EMAIL).as_dict()))
    assert document["profile_id"] == identifier_id(*CUSTOMER)
    by_value = {one["value"]: one for one in document["identifiers"]}
    assert by_value["1815"]["chain"] == []
    (link,) = by_value["b-1"]["chain"]
    assert link["other"] == {
        "kind": "anonymous_id",
        "value": "b-1",
        "profile_id": identifier_id(*CUSTOMER),
    }
    (refused,) = document["refused"]
    assert refused["reason"] == "unique"
    assert refused["other"]["profile_id"] == identifier_id("customer_id", "1900")


def test_what_was_refused_says_why_in_words(world: World):
    world.touch("m-1", CUSTOMER, ("customer_id", "1900"))
    text = said(world, CUSTOMER)
    assert "refused: 1" in text
    assert "each side has an identifier of which one person has only one" in text
    assert f"; customer_id:1900 has profile {identifier_id('customer_id', '1900')}" in text


def test_a_shared_tablet_is_nobodys_because_of_two_people(world: World):
    world.touch("m-1", CUSTOMER, TABLET)
    world.touch("m-2", ("customer_id", "1900"), TABLET)
    found = asked(world, TABLET)
    assert found.nobody is not None
    assert found.nobody.reason == "several"
    assert found.nobody.people.keys() == {
        identifier_id("customer_id", "1815"),
        identifier_id("customer_id", "1900"),
    }
    text = said(world, TABLET)
    assert "nobody's: linked with 2 people" in text
    assert "event m-1 of" in text
    assert "also named with, but no part of it: 1" in said(world, CUSTOMER)


def test_a_browser_that_was_never_seen_with_a_person_says_so(world: World):
    world.touch("m-1", BROWSER)
    assert "never named together with an identifier that makes a person" in said(world, BROWSER)


def test_a_split_and_what_it_undid_stand_there_until_it_is_lifted(world: World):
    world.touch("m-0", CUSTOMER, PHONE)
    world.touch("m-1", CUSTOMER, EMAIL)
    world.send([SplitCommand("s1", False, world.pipeline.now_ms, *EMAIL, note="sisters")])
    world.settle()
    world.pipeline.now_ms += 1000
    world.touch("m-2", EMAIL, PHONE)
    assert asked(world, EMAIL).identifiers == [Identifier(*EMAIL)]
    for one in (CUSTOMER, EMAIL):
        assert [split["stands"] for split in asked(world, one).splits] == [True]
        text = said(world, one)
        assert "split email:ada@example.com from customer_id:1815" in text
        assert "(sisters), stands; id s1" in text
        assert "undid customer_id:1815 with email:ada@example.com" in text
        assert "an operator split the two sides from each other" in text
    world.send([SplitCommand("s2", True, world.pipeline.now_ms, *EMAIL)])
    world.settle()
    text = said(world, CUSTOMER)
    assert "(sisters), lifted since; id s1" in text
    assert "; id s2" in text


def test_links_from_before_they_were_recorded_are_said_to_be(world: World):
    world.touch("m-1", CUSTOMER, EMAIL)
    world.store.clickhouse.run(f"TRUNCATE TABLE {world.store.storage}.identity_links")
    found = asked(world, CUSTOMER)
    assert found.unexplained() == [Identifier(*EMAIL)]
    assert "by a link that is not recorded" in said(world, CUSTOMER)


def test_a_kiosk_with_thousands_of_people_is_explained_as_far_as_that_helps(world: World):
    ids = "toUUID(toString(generateUUIDv4(number)))"
    world.store.clickhouse.run(
        f"INSERT INTO {world.store.storage}.identity_links (epoch, position, lead_id, lead_kind,"
        f" lead_value, identifier_id, kind, value, verdict) SELECT 1, number, {ids},"
        f" 'customer_id', toString(number), '{identifier_id(*TABLET)}', 'device_id', 'tablet',"
        f" 'holds' FROM numbers({MOST_LINKS + 5})"
    )
    world.touch("m-1", TABLET)
    found = asked(world, TABLET)
    assert len(found.outside) == MOST_LINKS
    assert not found.complete
    assert "there is more than is shown here" in said(world, TABLET)


@pytest.mark.parametrize("value", ["o'hara", 'a"b', "back\\slash", "tab\there", "{ids}", "花子"])
def test_any_value_can_be_asked_for(world: World, value: str):
    world.touch("m-1", ("line", value), EMAIL)
    world.send([SplitCommand("s1", False, world.pipeline.now_ms, "line", value)])
    world.settle()
    assert f"line:{value}" in said(world, ("line", value))
    assert len(asked(world, ("line", value)).splits) == 1


class TestChains:
    """`spanning_tree` alone."""

    def link(self, lead: str, other: str, position: int = 0) -> Link:
        ends = [Identifier(*text.split(":")) for text in (lead, other)]
        return Link(*ends, "holds", "", "", "shop", "e", "", "", position)

    def ways(self, *links: Link) -> dict[str, list[str]]:
        members = {one for link in links for one in (link.lead, link.other)}
        ordered = sorted(members, key=POLICY.strength)
        shuffled = random.Random(1).sample(links, len(links))
        towards = spanning_tree(ordered, shuffled, lambda kind: POLICY.kind(kind).joins)
        ends = {
            one: [link.opposite(one).value for link in chain(one, towards)[:1]] for one in ordered
        }
        return {one.value: end for one, end in ends.items()}

    def test_a_browser_is_no_reason_why_two_are_one(self):
        assert self.ways(
            self.link("customer_id:c", "anonymous_id:b", 0),
            self.link("email:e", "anonymous_id:b", 1),
            self.link("email:e", "phone:p", 2),
            self.link("customer_id:c", "phone:p", 3),
        ) == {"c": [], "e": ["p"], "p": ["c"], "b": ["c"]}

    def test_the_shortest_way_and_then_the_earliest_link(self):
        assert self.ways(
            self.link("email:e", "phone:p", 0),
            self.link("customer_id:c", "email:e", 1),
            self.link("email:e", "anonymous_id:b", 3),
            self.link("phone:p", "anonymous_id:b", 2),
            self.link("customer_id:c", "phone:p", 4),
        ) == {"c": [], "e": ["c"], "p": ["c"], "b": ["e"]}

    def test_followers_hang_on_each_other(self):
        assert self.ways(
            self.link("device_id:d", "anonymous_id:a", 0),
            self.link("anonymous_id:a", "anonymous_id:b", 1),
        ) == {"d": [], "a": ["d"], "b": ["a"]}

    def test_what_hangs_on_something_unreached_is_unreached(self):
        assert self.ways(
            self.link("customer_id:c", "device_id:d", 0),
            self.link("email:e", "phone:p", 1),
        ) == {"c": [], "d": ["c"], "e": [], "p": []}
