"""Links, splits and lifts in any order and any batches: the reference's people, sound rows."""

from __future__ import annotations

import random
from dataclasses import dataclass

import msgspec
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from processors.graph.rows import Cluster, Node
from schemas import messages, rows
from schemas.identifiers import Identifier, IdentityPolicy, identifier_id
from schemas.times import HOUR_MS
from tests.support.graph_log import Graph
from tests.support.identity_reference import Reference

UNTRUSTED = frozenset({"kiosk"})
SOURCES = ("web", "web", "crm", "kiosk")
KINDS = {"customer_id": 2, "email": 4, "phone": 3, "device_id": 5, "anonymous_id": 7}
ANYONE = [Identifier(kind, f"{kind[0]}{i}") for kind, n in KINDS.items() for i in range(n)]
TIGHT = {"device_id": {"limit": 1}, "anonymous_id": {"limit": 2}}
POLICIES = [
    IdentityPolicy().with_kinds(kinds)
    for kinds in (
        {"email": {"limit": 2}, "device_id": {"limit": 2}, "anonymous_id": {"limit": 3}},
        TIGHT,
        TIGHT
        | {"phone": {"joins": False, "limit": 2}}
        | {kind: {"joins": False} for kind in ("line", "facebook", "instagram", "x")},
        {
            "device_id": {"joins": True, "limit": 2},
            "anonymous_id": {"joins": True, "limit": 3},
        },
    )
]
_nodes = msgspec.msgpack.Decoder(Node).decode
_clusters = msgspec.msgpack.Decoder(Cluster).decode


@dataclass(frozen=True)
class Step:
    """A touch that names two, or an operator's command; `about` chooses among the links so far."""

    what: str
    two: tuple[Identifier, Identifier]
    about: int
    source: str


STEPS = st.lists(
    st.builds(
        Step,
        st.sampled_from(("see",) * 12 + ("split", "split", "lift", "split link", "lift link")),
        st.lists(st.sampled_from(ANYONE), min_size=2, max_size=2, unique=True).map(
            lambda two: (two[0], two[1])
        ),
        st.integers(0, 20),
        st.sampled_from(SOURCES),
    ),
    max_size=40,
)


def written(policy: IdentityPolicy, steps: list[Step]) -> Graph:
    """The log of links of these steps, each an hour after the one before it."""
    graph = Graph(policy, UNTRUSTED)
    pairs: list[tuple[Identifier, Identifier]] = []
    for step in steps:
        graph.now_ms += HOUR_MS
        lead, other = sorted(step.two, key=policy.strength)
        if step.what == "see" or not pairs:
            pairs.append((lead, other))
            graph.append((lead, other), graph.now_ms, step.source)
            continue
        one, of = other, ("", "")
        if step.what.endswith("link"):
            of, one = pairs[step.about % len(pairs)]
        source = "" if step.about % 2 else "web"
        command = messages.SplitCommand(
            f"s{len(graph.log)}", "lift" in step.what, graph.now_ms, *one, *of, source
        )
        graph.record(b"", command, graph.now_ms)
    return graph


def check_rows(graph: Graph) -> None:
    """Sets and groups have the members that name them, and those followers that share a profile."""
    decoded = {key: row[rows.SIZE :] for key, row in graph.store.rows.items()}
    nodes = {key[2:].decode(): _nodes(row) for key, row in decoded.items() if key[:2] == b"n:"}
    clusters = {
        key[2:].decode(): cluster
        for key, row in decoded.items()
        if key[:2] == b"s:" and (cluster := _clusters(row)).members
    }
    policy = graph.stage.policy

    def strength(one: str) -> tuple[int, str, bytes]:
        return policy.strength(nodes[one].identifier)

    within = {member: name for name, row in clusters.items() for member in row.members}
    assert within == {one: node.within for one, node in nodes.items()}
    taken: dict[str, dict[str, list[tuple[str, int]]]] = {name: {} for name in clusters}
    for name, row in clusters.items():
        assert name in row.members
        assert sorted(row.apart) == sorted(o for one in row.members for o in nodes[one].apart)
        lead = min(row.members, key=strength)
        (profile_id,) = {nodes[one].profile_id for one in row.members}
        host = nodes[profile_id].within
        if host != name:
            kind = nodes[lead].kind
            taken[host].setdefault(kind, []).append((lead, len(row.members)))
    for name, row in clusters.items():
        found = {kind: list(map(tuple, placed)) for kind, placed in row.taken.items()}
        wanted = {
            kind: sorted(some, key=lambda one: strength(one[0]))
            for kind, some in taken[name].items()
        }
        assert {kind: placed for kind, placed in found.items() if placed} == wanted


@settings(deadline=None, max_examples=600, suppress_health_check=[HealthCheck.too_slow])
@given(policy=st.sampled_from(POLICIES), steps=STEPS, seed=st.integers(0, 2**32))
def test_links_and_splits_in_any_batches_give_the_people_of_the_reference(policy, steps, seed):
    rng, graph = random.Random(seed), written(policy, steps)
    reference, at = Reference(policy, UNTRUSTED), 0
    while at < len(graph.log):
        size = rng.choice((1, 1, 2, 5, 100))
        graph.process(graph.log[at : at + size])
        check_rows(graph)
        at += size
    for record in graph.log:
        reference.take(messages.decode_link(record.value), record.timestamp_ms)
    people = {one: identifier_id(*profile) for one, profile in reference.profiles().items()}
    assert graph.nodes() == people
