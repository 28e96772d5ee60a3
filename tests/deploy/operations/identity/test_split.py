"""Splitting and lifting, over the stages and the real ClickHouse."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime

import pytest

from deploy.operations.identity import split_text
from deploy.operations.identity.log import LinkSelection
from deploy.operations.identity.split import (
    Order,
    SplitError,
    SplitResult,
    plan,
    refuse_during_switch,
    split,
)
from deploy.operations.identity.split_many import (
    LinkCount,
    SplitTarget,
    active_splits,
    count,
    holding,
    split_many,
)
from ingest.publishing.port import NotAcknowledged
from schemas.identifiers import Identifier, IdentityPolicy, identifier_id
from schemas.messages import SplitCommand
from schemas.times import parse_ms
from tests.support.deployment import World

POLICY = IdentityPolicy()
CUSTOMER, EMAIL, PHONE = (
    ("customer_id", "1"),
    ("email", "ada@example.com"),
    ("phone", "+81312345678"),
)
BROWSER = ("anonymous_id", "b-1")


def order(world: World, split_id: str = "s1", *, lift: bool = False) -> Order:
    world.pipeline.now_ms += 1000
    return Order(split_id, world.pipeline.now_ms, lift, "sisters")


def done(
    world: World, one: tuple[str, str], split_id: str = "s1", *, lift: bool = False
) -> SplitResult:
    what = plan(world.log, POLICY, Identifier(*one), lift=lift)
    assert what is not None
    return split(world.log, world, what, order(world, split_id, lift=lift))


def test_who_was_never_seen_cannot_be_split(world: World):
    assert plan(world.log, POLICY, Identifier(*EMAIL), lift=False) is None


def test_who_is_alone_cannot_be_split(world: World):
    world.touch("1", EMAIL)
    with pytest.raises(SplitError, match=r"this email is alone"):
        plan(world.log, POLICY, Identifier(*EMAIL), lift=False)


def test_without_a_split_nothing_can_be_lifted(world: World):
    world.touch("1", CUSTOMER, EMAIL)
    with pytest.raises(SplitError, match=r"no split of this email stands"):
        plan(world.log, POLICY, Identifier(*EMAIL), lift=True)


def test_a_split_says_who_moved_and_what_was_undone(world: World):
    world.touch("1", CUSTOMER, EMAIL)
    world.touch("2", CUSTOMER, PHONE)
    what = done(world, EMAIL)
    assert what.moved == {Identifier(*EMAIL): identifier_id(*EMAIL)}
    assert [(link.event_id, link.state) for link in what.links] == [("1", "voided")]
    (command,) = world.sent
    assert (command.kind, command.value, command.lead_kind, command.note) == (*EMAIL, "", "sisters")
    with pytest.raises(SplitError, match="alone"):
        plan(world.log, POLICY, Identifier(*EMAIL), lift=False)


def test_a_lift_opens_what_the_split_undid(world: World):
    world.touch("1", CUSTOMER, EMAIL)
    done(world, EMAIL)
    what = done(world, EMAIL, "s2", lift=True)
    assert [(link.event_id, link.state) for link in what.links] == [("1", "withdrawn")]
    world.pipeline.now_ms += 1000
    world.touch("2", CUSTOMER, EMAIL)
    assert world.profile(*EMAIL) == identifier_id(*CUSTOMER)


def test_a_plan_names_the_links_that_the_split_then_undoes(world: World):
    world.touch("1", CUSTOMER, EMAIL, BROWSER)
    world.touch("2", EMAIL, BROWSER)
    world.touch("3", EMAIL, PHONE)
    what = plan(world.log, POLICY, Identifier(*EMAIL), lift=False)
    assert what is not None
    assert {link.event_id for link in what.links} == {"1", "3"}
    after = split(world.log, world, what, order(world))
    before, undone = (
        {(one.lead, one.other) for one in links} for links in (what.links, after.links)
    )
    assert undone == before
    said = "\n".join(split_text.planned(what))
    assert "would undo: 2 links of email:ada@example.com" in said
    assert split_text.plan_json(what)["applied"] is False


def test_what_was_done_is_said_with_how_to_lift_it(world: World):
    world.touch("1", CUSTOMER, EMAIL)
    what = plan(world.log, POLICY, Identifier(*EMAIL), lift=False)
    assert what is not None
    after = split(world.log, world, what, order(world))
    said = list(split_text.done(what, after))
    assert said[0] == "split email:ada@example.com: 1 link undone, 1 identifier moved"
    assert f"  email:ada@example.com has profile {identifier_id(*EMAIL)} now" in said
    assert said[-1] == "to lift it: touchline identity split email:ada@example.com --lift"
    (moved,) = split_text.done_json(what, after)["moved"]
    assert moved["profile_id_before"] == identifier_id(*CUSTOMER)


def test_a_split_that_does_not_show_in_time_says_what_to_check(world: World):
    world.touch("1", CUSTOMER, EMAIL)
    world.stuck = True
    with pytest.raises(SplitError, match=r"sent under the id s1, .* worker and sink"):
        done(world, EMAIL)
    assert len(world.sent) == 1


def test_an_epoch_that_is_built_beside_takes_splits_along_until_it_is_present(world: World):
    world.store.epochs.begin("cluster-2", datetime(2026, 11, 22, tzinfo=UTC))
    refuse_during_switch(world.store.epochs, present=1)
    with pytest.raises(SplitError, match=r"a rebuild is about to be shown; split after it is"):
        refuse_during_switch(world.store.epochs, present=2)


class TestMany:
    """Links by the touches that made them."""

    @pytest.fixture(autouse=True)
    def _people(self, world: World) -> None:
        for n in range(5):
            day = f"05-0{n + 1}"
            name = ("email", f"{n}@example.com")
            world.touch(f"k{n}", ("customer_id", f"c{n}"), name, source="kiosk", at=day)
            world.touch(f"s{n}", name, ("line", f"l{n}"), source="shop", at=day)

    def chosen(self, world: World, selection: LinkSelection) -> set[str]:
        return {item.one.value for page in holding(world.log, selection) for item in page}

    def test_links_are_chosen_by_source_and_time_of_the_touch(self, world: World):
        since, until = (parse_ms(f"2026-05-0{day}T12:00:00Z") for day in (2, 4))
        assert self.chosen(world, LinkSelection("kiosk")) == {f"{n}@example.com" for n in range(5)}
        assert self.chosen(world, LinkSelection("kiosk", since, until)) == {
            "1@example.com", "2@example.com",
        }  # fmt: skip
        assert self.chosen(world, LinkSelection(since_ms=until)) == {
            "3@example.com", "4@example.com", "l3", "l4",
        }  # fmt: skip
        assert self.chosen(world, LinkSelection("nobody")) == set()

    def test_pages_hold_every_link_once(self, world: World):
        for page in (1, 2, 3, 10, 100):
            pages = list(world.log.holding(LinkSelection(), page))
            found = [(link.lead, link.other) for links in pages for link in links]
            assert len(found) == len(set(found)) == 10
            assert max(map(len, pages)) <= page

    def test_a_count_changes_nothing_and_shows_a_sample(self, world: World):
        total = count(holding(world.log, LinkSelection()), lambda _: None)
        assert total.links == 10
        assert total.by == {("kiosk", "customer_id", "email"): 5, ("shop", "email", "line"): 5}
        assert len(total.sample) == 10
        assert not world.sent
        said = list(split_text.counted(total, lift=False))
        assert said[0] == "would undo: 10 links; give --apply to do it"
        assert said[1] == "         5  kiosk: customer_id with email"
        assert split_text.count_json(total, lift=False)["applied"] is False

    def test_each_link_is_commanded_for_its_source_and_the_others_stay(self, world: World):
        everything = holding(world.log, LinkSelection("kiosk"))
        total = split_many(world.log, world, everything, order(world), pause=False)
        assert total.links == len(world.sent) == 5
        assert {(one.split_id, one.source, one.lead_kind) for one in world.sent} == {
            ("s1", "kiosk", "customer_id")
        }
        assert world.settled == 1
        result = world.log.command_result("s1")
        assert (result.commands, result.voided) == (5, 5)
        assert world.profile("line", "l1") == identifier_id("email", "1@example.com")
        assert self.chosen(world, LinkSelection("kiosk")) == set()
        assert len(self.chosen(world, LinkSelection("shop"))) == 5
        said = list(split_text.applied(total, "s1", result, lift=False))
        assert said[-1] == "to lift it: touchline identity split --lift --split-id s1 --apply"

    @pytest.mark.parametrize(
        ("selection", "split_id", "lifted"),
        [
            (LinkSelection("kiosk"), "", 5),
            (LinkSelection("kiosk", since_ms=parse_ms("2026-05-04")), "", 2),
            (LinkSelection(), "s1", 5),
            (LinkSelection(), "s2", 0),
            (LinkSelection("shop"), "", 0),
        ],
    )
    def test_what_was_split_is_lifted_by_the_same_selection_or_the_id(
        self, world: World, selection: LinkSelection, split_id: str, lifted: int
    ):
        everything = holding(world.log, LinkSelection("kiosk"))
        split_many(world.log, world, everything, order(world), pause=False)
        pages = active_splits(world.log, selection, split_id)
        lift = order(world, "s9", lift=True)
        assert split_many(world.log, world, pages, lift, pause=False).links == lifted
        assert world.log.command_result("s9").voided == lifted
        world.pipeline.now_ms += 1000
        world.touch("again", ("customer_id", "c4"), ("email", "4@example.com"), source="kiosk")
        again = (
            identifier_id("customer_id", "c4")
            if lifted
            else identifier_id("email", "4@example.com")
        )
        assert world.profile("email", "4@example.com") == again

    def test_the_split_of_an_identifier_is_lifted_by_its_id_too(self, world: World):
        done(world, ("email", "1@example.com"))
        assert list(active_splits(world.log, LinkSelection(), "")) == []
        ((item,),) = active_splits(world.log, LinkSelection(), "s1")
        assert item == SplitTarget(Identifier("email", "1@example.com"), None, "", "")

    def test_a_broker_that_forgets_is_given_a_page_at_a_time(self, world: World):
        pages = world.log.holding(LinkSelection("kiosk"), 2)
        items = [
            [SplitTarget(link.other, link.lead, "kiosk", link.source) for link in page]
            for page in pages
        ]
        split_many(world.log, world, items, order(world), pause=True)
        assert world.settled == 3 + 1

    def test_without_links_nothing_is_sent(self, world: World):
        total = split_many(world.log, world, [], order(world), pause=False)
        assert (total.links, world.sent, world.settled) == (0, [], 0)
        said = split_text.applied(total, "s1", world.log.command_result("s1"), lift=False)
        assert list(said) == ["no links: nothing was done"]

    def test_an_outage_says_how_many_were_sent_and_what_to_do(self, world: World):
        outage = _Outage(world)
        pages = [page for page in holding(world.log, LinkSelection("kiosk"))] * 2
        with pytest.raises(SplitError, match=r"5 commands were sent before, under the id s1"):
            split_many(world.log, outage, pages, order(world), pause=False)


class _Outage:
    """Kafka is away after the first page."""

    def __init__(self, world: World) -> None:
        self.world = world

    def send(self, commands: Sequence[SplitCommand]) -> None:
        if self.world.sent:
            raise NotAcknowledged("Kafka did not acknowledge a batch (KafkaTimeoutError)")
        self.world.send(commands)

    def settle(self) -> bool:
        return self.world.settle()


def test_memory_is_bounded_by_a_page():
    """Only counts and a sample stay of a page that was handed on."""

    def pages() -> Iterator[list[SplitTarget]]:
        for n in range(50):
            yield [
                SplitTarget(Identifier("email", f"{n}-{m}"), Identifier("x", "x"), "s", "s")
                for m in range(100)
            ]

    total = count(pages(), lambda _: None)
    assert total.links == 5_000
    assert len(total.sample) == 20
    assert isinstance(total, LinkCount)
    assert total.by == {("s", "x", "email"): 5_000}
