"""The graph finds the same people as a slow derivation from all links."""

from __future__ import annotations

import random
from dataclasses import replace

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from schemas import messages, topics
from schemas.identifiers import Identifier, IdentityPolicy, identifier_id
from schemas.times import HOUR_MS
from tests.support.graph_log import START_MS, Graph, Pair
from tests.support.identity_reference import Reference
from tests.support.pipeline import Pipeline
from tests.support.touches import touch

KINDS = {
    "customer_id": 3, "loyalty_id": 2, "email": 4, "phone": 2, "line": 2, "shop_card": 2,
    "device_id": 4, "till_id": 2, "anonymous_id": 6,
}  # fmt: skip
ANYONE = [Identifier(kind, f"{kind[0]}{i}") for kind, n in KINDS.items() for i in range(n)]


def follows(one: Identifier) -> bool:
    return one.kind in ("device_id", "till_id", "anonymous_id")


#: Three kinds that follow, with limits that a few links reach.
SMALL = IdentityPolicy().with_kinds(
    {
        "email": {"limit": 2},
        "device_id": {"limit": 2},
        "till_id": {"joins": False, "strength": 905, "limit": 1},
        "anonymous_id": {"limit": 3},
    }
)
#: Nothing is refused; followers still have limits.
PEACEFUL = replace(
    SMALL.with_kinds(
        {
            kind: {"unique": False, "limit": 100}
            for kind in ("customer_id", "loyalty_id", "email", "phone", "line")
        }
    ),
    joins_per_day=1000,
)
NO_LIMITS = PEACEFUL.with_kinds(
    {kind: {"limit": 100} for kind in ("device_id", "till_id", "anonymous_id")}
)
STRICT = replace(SMALL, joins_per_day=2)

QUICK = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])


def pair(policy: IdentityPolicy, some: list[Identifier]) -> Pair:
    first, second = sorted(some, key=policy.strength)
    return first, second


#: Small worlds, so that links meet: limits are reached, devices shared, people joined by bridges.
WORLDS = [
    ANYONE,
    [one for one in ANYONE if one.value in ("c0", "c1", "e0") or follows(one)],
    [
        one
        for one in ANYONE
        if one.value in ("c0", "c1") or one.kind in ("device_id", "anonymous_id")
    ],
    [one for one in ANYONE if one.value in ("c0", "e0") or follows(one)],
    [one for one in ANYONE if not follows(one)],
]


@st.composite
def links(draw, policy: IdentityPolicy, most: int = 30) -> list[Pair]:
    """Random links; or a forest in which all of a kind lean towards one stronger identifier.

    Purely random links soon make one heap of everything. The forest is what people look like:
    followers in numbers around one device or person, and few bridges.
    """
    world = draw(st.sampled_from(WORLDS))
    two = st.lists(st.sampled_from(world), min_size=2, max_size=2, unique=True)
    if draw(st.booleans()):
        return [pair(policy, some) for some in draw(st.lists(two, max_size=most))]
    some = draw(st.lists(st.sampled_from(world), min_size=2, unique=True))
    order = sorted(some, key=policy.strength)
    favourite = {one.kind: draw(st.integers(0, 3)) for one in order}
    forest = []
    for number, one in enumerate(order[1:], 1):
        parent = draw(st.one_of(st.none(), st.just(favourite[one.kind]), st.integers(0, 3)))
        if parent is not None:
            forest.append([order[min(parent, number - 1)], one])
    bridges = draw(st.lists(two, max_size=2))
    return [pair(policy, some) for some in draw(st.permutations([*forest, *bridges]))]


def run(policy: IdentityPolicy, log: list[tuple[Pair, int]], seed: int) -> Graph:
    """The log in random batches, some of them delivered twice."""
    rng = random.Random(seed)
    graph = Graph(policy)
    for one, at_ms in log:
        graph.append(one, at_ms)
    at = 0
    while at < len(graph.log):
        size = rng.choice((1, 1, 2, 5, 100))
        graph.process(graph.log[at : at + size])
        if rng.random() < 0.2:
            graph.process(graph.log[at : at + rng.randint(1, size)])
        at += size
    return graph


def expected(policy: IdentityPolicy, log: list[tuple[Pair, int]]) -> Reference:
    reference = Reference(policy)
    for (lead, other), at_ms in log:
        reference.link(lead, other, at_ms)
    return reference


def profile_ids(reference: Reference) -> dict[Identifier, str]:
    return {one: identifier_id(*profile) for one, profile in reference.profiles().items()}


def check(policy: IdentityPolicy, log: list[tuple[Pair, int]], seed: int) -> Graph:
    graph, reference = run(policy, log, seed), expected(policy, log)
    assert graph.nodes() == profile_ids(reference)
    # What was published is what is stored.
    own = {one: identifier_id(*one) for one in graph.nodes()}
    published = {
        one: graph.published[i].profile_id if (i := own[one]) in graph.published else i
        for one in own
    }
    assert published == graph.nodes()
    assert {pair: verdict.holds for pair, verdict in graph.verdicts.items()} == {
        (identifier_id(*lead), identifier_id(*other)): link.verdict.outcome == "holds"
        for (lead, other), link in reference.links.items()
    }
    return graph


def at_once(pairs: list[Pair]) -> list[tuple[Pair, int]]:
    return [(one, START_MS) for one in pairs]


@settings(QUICK, max_examples=300)
@given(pairs=links(NO_LIMITS), seed=st.integers(0, 2**32))
def test_without_limits_the_graph_finds_the_people_of_the_reference(pairs, seed):
    check(NO_LIMITS, at_once(pairs), seed)


@settings(QUICK, max_examples=500)
@given(pairs=links(PEACEFUL), seed=st.integers(0, 2**32))
def test_with_limits_of_followers_the_graph_finds_the_people_of_the_reference(pairs, seed):
    check(PEACEFUL, at_once(pairs), seed)


@settings(QUICK, max_examples=300)
@given(
    log=links(STRICT, 40).flatmap(
        lambda pairs: st.tuples(
            st.just(pairs), st.lists(st.integers(0, 12), min_size=len(pairs), max_size=len(pairs))
        )
    ),
    seed=st.integers(0, 2**32),
)
def test_conflicts_are_decided_in_the_order_of_the_log(log, seed):
    pairs, pauses = log
    now, timed = START_MS, []
    for one, pause in zip(pairs, pauses, strict=True):
        now += pause * HOUR_MS
        timed.append((one, now))
    check(STRICT, timed, seed)


@settings(QUICK, max_examples=200)
@given(data=st.data(), pairs=links(PEACEFUL), seed=st.integers(0, 2**32))
def test_links_without_conflicts_give_the_same_people_in_any_order(data, pairs, seed):
    repeated = [
        *pairs,
        *data.draw(st.lists(st.sampled_from(pairs), max_size=5) if pairs else st.just([])),
    ]
    shuffled = data.draw(st.permutations(repeated))
    assert (
        run(PEACEFUL, at_once(shuffled), seed).nodes() == run(PEACEFUL, at_once(pairs), 1).nodes()
    )


@settings(QUICK, max_examples=200)
@given(data=st.data(), pairs=links(STRICT), seed=st.integers(0, 2**32))
def test_a_replay_from_any_position_publishes_the_final_values_again(data, pairs, seed):
    graph = run(STRICT, at_once(pairs), seed)
    final, stored = dict(graph.published), dict(graph.store.rows)
    position = data.draw(st.integers(0, len(pairs)))
    again: dict[str, messages.Assignment] = {}
    for record in graph.log[position:]:
        again |= {one.identifier_id: one for one in graph.process([record])}
    nodes = {identifier_id(*one): profile for one, profile in graph.nodes().items()}
    for one, answer in again.items():
        assert (answer.profile_id, answer.version) == (nodes[one], final[one].version)
    assert {one for one, answer in final.items() if answer.version > position} <= again.keys()
    assert graph.store.rows == stored


@settings(QUICK, max_examples=100)
@given(
    touches=st.lists(
        st.lists(st.sampled_from(ANYONE), min_size=1, max_size=4, unique=True), max_size=12
    ),
    seed=st.integers(0, 2**32),
    faults=st.sampled_from([{}, {"crashes": 0.2}, {"echoes": 0.2}]),
)
def test_through_all_stages_every_identifier_and_touch_is_where_the_reference_says(
    touches, seed, faults
):
    policy = STRICT
    pipeline = Pipeline(policy=policy, rng=random.Random(seed), **faults)
    for number, identifiers in enumerate(touches):
        # Values that look like what they are, so that the edge keeps them.
        pipeline.touch(touch(f"e{number}", *(at_the_edge(one) for one in identifiers)))
        pipeline.step()
    pipeline.crashes = pipeline.echoes = 0.0
    pipeline.run()

    reference = Reference(policy)
    for record in pipeline.logs.get((topics.LINK_REQUESTS.name, 0), []):
        asked = messages.decode_link(record.value)
        lead = Identifier(asked.lead_kind, asked.lead_value)
        reference.link(lead, Identifier(asked.kind, asked.value), record.timestamp_ms)
    people = profile_ids(reference)
    leads = []
    for identifiers in touches:
        present = [at_the_edge(one) for one in identifiers]
        leads.append(min(present, key=policy.strength))
        for one in present:
            people.setdefault(one, identifier_id(*one))
    assert pipeline.identities() == {tuple(one): profile for one, profile in people.items()}
    counts: dict[str, int] = {}
    for lead in leads:
        counts[people[lead]] = counts.get(people[lead], 0) + 1
    assert {key: row["touchpoints"] for key, row in pipeline.profiles().items()} == counts


def at_the_edge(one: Identifier) -> Identifier:
    if one.kind == "email":
        return Identifier("email", f"{one.value}@example.com")
    if one.kind == "phone":
        return Identifier("phone", f"+8190123400{one.value[1:]}1")
    return one
