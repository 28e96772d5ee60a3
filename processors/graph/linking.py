"""One link of identifiers: whether it holds, and what it joins or makes follow.

The rules are in `processors.graph.stage`; this module applies them to the rows of a working copy.
"""

from __future__ import annotations

from collections.abc import Collection
from itertools import islice

from processors.graph.identity_graph import IdentityGraph
from processors.graph.outputs import CONFLICTS, GraphOutputs
from processors.graph.placement import ProfilePlacement
from processors.graph.rows import Cluster, EmptyRow, Link, LinkDecision, Node, key
from processors.stage import Record
from schemas.identifiers import identifier_id
from schemas.messages import LinkRequest
from schemas.times import DAY_MS

#: The most browsers in a group. A larger group is not the browsers of one person but a value that a
#: faulty source gives to all as the previous one, and each link would move them all.
MOST_IN_GROUP = 500


class LinkDecider:
    """The decision about one request."""

    def __init__(
        self,
        graph: IdentityGraph,
        outputs: GraphOutputs,
        record: Record,
        request: LinkRequest,
    ) -> None:
        self.position = record.offset
        self.outputs = outputs
        self.request = request
        self._graph = graph
        self._copy = graph.copy
        self._placement = ProfilePlacement(graph, record.offset, request.occurred_ms)
        self.record_ms = record.timestamp_ms
        self.lead = identifier_id(request.lead_kind, request.lead_value)
        self.other = identifier_id(request.kind, request.value)
        #: True if no link has named the weaker identifier before.
        self._newcomer = False

    def decide(self, untrusted: Collection[str] = ()) -> None:
        """Decide the link if it is open, and answer it. Touches of `untrusted` join nothing."""
        request = self.request
        link = self._copy.get(key(b"l:", self.lead, self.other), Link)
        if link is None:
            self._ensure(self.lead, request.lead_kind, request.lead_value)
            self._newcomer = self._ensure(self.other, request.kind, request.value)
            self._copy.put(key(b"b:", self.other, self.lead), EmptyRow(), self.position)
            link = Link()
        if self._is_open(link):
            self._decide(link, trusted=request.source not in untrusted)
            self.outputs.count("links")
        decision = link.at(self.position)
        if decision is not None:
            # On a replay of the position everything is published again.
            for one in decision.changed:
                self.outputs.assignment(one)
            self.outputs.decided(self.lead, self.other, decision)
        self.outputs.assignment(self.other)
        self.outputs.verdict(self.lead, self.other)

    def _is_open(self, link: Link) -> bool:
        """Return True if this request is to be decided, not answered with the present decision."""
        if not link.decisions:
            return True
        if link.last.position >= self.position:
            return False
        return link.verdict().open_to(self.request.source, self.request.received_ms)

    def _decide(self, link: Link, *, trusted: bool) -> None:
        request = self.request
        decision = LinkDecision(
            self.position, "holds", "", request.source, request.event_id, request.occurred_ms,
            request.received_ms, self.record_ms, changed=self._placement.changed,
        )  # fmt: skip
        if trusted:
            decision.reason = self._refusal()
        else:
            decision.reason = "source"
            link.declined = sorted({*link.declined, request.source})
        if decision.reason:
            decision.outcome = "refused"
            if decision.reason != "source":
                decision.stays = self._graph.node(self.other).profile_id
                decision.other = self._graph.node(self.lead).profile_id
            if decision.reason in CONFLICTS:
                self.outputs.count(f"conflicts.{decision.reason}")
            self._store(link, decision)
            return
        self._carry_out(link, decision)

    def _store(self, link: Link, decision: LinkDecision) -> None:
        link.decisions = [*link.decisions, decision]
        self._copy.put(key(b"l:", self.lead, self.other), link, self.position)

    def _carry_out(self, link: Link, decision: LinkDecision) -> None:
        """Make the link hold. Changes made after `_store` are part of the decision too."""
        graph = self._graph
        first, second = graph.within(self.lead), graph.within(self.other)
        if self._newcomer and self._is_plain_addition(first):
            self._store(link, decision)
            self._add_newcomer(first, decision)
        elif graph.joins(self.other):
            self._store(link, decision)
            if first != second:
                self._note_join(decision)
                self._placement.rederive([self._merge_clusters(first, second)])
        elif graph.node(self.lead).kind == graph.node(self.other).kind:
            self._store(link, decision)
            if first != second:
                self._placement.rederive([], [self._merge_clusters(first, second)])
        elif graph.joins(self.lead):
            before = list(islice(graph.persons(second), 2))
            self._store(link, decision)
            if len(before) < 2 and first not in before and not self._placement.place_fast(second):
                self._placement.rederive([], [second])
        else:
            known = first in graph.above(second)
            self._store(link, decision)
            if (
                not known
                and not any(graph.persons(second))
                and not self._placement.place_fast(second)
            ):
                self._placement.rederive([], [second])

    def _is_plain_addition(self, person: str) -> bool:
        """Return True if a newcomer only joins or follows its lead's person, and moves no other.

        Then the other identifiers need no check, which is most of the work on most links.
        """
        graph = self._graph
        return (
            graph.joins(self.lead)
            and not graph.cluster(person).apart
            and graph.strength(self.lead) < graph.strength(self.other)
        )

    def _add_newcomer(self, person: str, decision: LinkDecision) -> None:
        """Add a newcomer to a person's identifiers, as a member or a follower."""
        graph = self._graph
        if not graph.joins(self.other):
            if not self._placement.place_with(person, self.other):
                self._placement.rederive([], [self.other])
            return
        self._note_join(decision)
        self._copy.withdraw_cluster(self.other)
        graph.node(self.other).within = person
        cluster = graph.cluster(person)
        cluster.members = [*cluster.members, self.other]
        self._copy.put_cluster(person, cluster, self.position)
        self._placement.assign(self.other, graph.node(self.lead).profile_id)

    def _ensure(self, one: str, kind: str, value: str) -> bool:
        """Create a node for an identifier that is new; return True if it was new."""
        new = self._copy.node(one) is None
        if new:
            self._copy.put_node(
                one, Node(kind, value, one, one, 0, self.request.occurred_ms), self.position
            )
            self._copy.put_cluster(one, Cluster([one]), self.position)
        return new

    def _refusal(self) -> str:
        """Return the reason why the two may not be linked, '' if they may."""
        graph = self._graph
        lead, other = graph.within(self.lead), graph.within(self.other)
        if lead == other:
            return ""
        if graph.is_split(lead, other):
            return "split"
        if graph.joins(self.other):
            return self._conflict(lead, other)
        size = len(graph.cluster(lead).members) + len(graph.cluster(other).members)
        same_kind = graph.node(self.lead).kind == graph.node(self.other).kind
        return "limit" if same_kind and size > MOST_IN_GROUP else ""

    def _conflict(self, lead: str, other: str) -> str:
        """Return the policy's objection to uniting two sets, '' if there is none."""
        graph = self._graph
        per_kind: dict[str, int] = {}
        for name in (lead, other):
            for one in graph.cluster(name).members:
                kind = graph.node(one).kind
                per_kind[kind] = per_kind.get(kind, 0) + 1
        counted = [(graph.policy.kind(kind), count) for kind, count in per_kind.items()]
        if any(kind.unique and count > 1 for kind, count in counted):
            return "unique"
        if any(count > kind.limit for kind, count in counted):
            return "limit"
        since = self.record_ms - DAY_MS
        for one in (self.lead, self.other):
            if sum(at > since for at in graph.node(one).joins) >= graph.policy.joins_per_day:
                return "rate"
        return ""

    def _note_join(self, decision: LinkDecision) -> None:
        """Note that the link unites two people."""
        decision.joined = True
        self.outputs.count("joins")
        since = self.record_ms - DAY_MS
        for one in (self.lead, self.other):
            node = self._graph.node(one)
            node.joins = [at for at in node.joins if at > since] + [self.record_ms]
            self._copy.put_node(one, node, self.position)

    def _merge_clusters(self, first: str, second: str) -> str:
        """Merge two sets or groups, under the name of the larger; return that name."""
        graph = self._graph
        kept_name, gone_name = sorted(
            (first, second), key=lambda name: (-len(graph.cluster(name).members), name)
        )
        kept, gone = graph.cluster(kept_name), graph.cluster(gone_name)
        for one in gone.members:
            node = graph.node(one)
            node.within = kept_name
            self._copy.put_node(one, node, self.position)
        kept.members = kept.members + gone.members
        kept.apart = kept.apart + gone.apart
        self._copy.put_cluster(kept_name, kept, self.position)
        self._copy.put_cluster(gone_name, Cluster([]), self.position)
        return kept_name
