"""One link of identifiers: whether it holds, and what it joins or makes follow.

The rules are in `processors.graph.stage`; this module applies them to the rows of a working copy.
"""

from __future__ import annotations

from collections.abc import Collection
from itertools import islice

from processors.graph.answers import CONFLICTS, Answers
from processors.graph.placing import Placing
from processors.graph.rows import Cluster, Link, LinkDecision, Mark, Node, WorkingCopy, key
from processors.stage import Record
from schemas.identifiers import IdentityPolicy, identifier_id
from schemas.messages import LinkRequest
from schemas.times import DAY_MS

#: The most browsers in a group. A larger group is not the browsers of one person but a value that a
#: faulty source gives to all as the previous one, and each link would move them all.
MOST_IN_GROUP = 500


class Deciding(Placing):
    """The decision about one request."""

    def __init__(
        self,
        policy: IdentityPolicy,
        copy: WorkingCopy,
        answers: Answers,
        record: Record,
        request: LinkRequest,
    ) -> None:
        super().__init__(policy, copy, record.offset, request.occurred_ms)
        self.answers = answers
        self.request = request
        self.record_ms = record.timestamp_ms
        self.lead = identifier_id(request.lead_kind, request.lead_value)
        self.other = identifier_id(request.kind, request.value)
        #: True if no link has named the weaker identifier before.
        self._newcomer = False

    def decide(self, untrusted: Collection[str] = ()) -> None:
        """Decide the link if it is open, and answer it. Touches of `untrusted` join nothing."""
        request = self.request
        link = self.copy.get(key(b"l:", self.lead, self.other), Link)
        if link is None:
            self._ensure(self.lead, request.lead_kind, request.lead_value)
            self._newcomer = self._ensure(self.other, request.kind, request.value)
            self.copy.put(key(b"b:", self.other, self.lead), Mark(), self.position)
            link = Link()
        if self._is_open(link):
            self._decide(link, trusted=request.source not in untrusted)
            self.answers.count("links")
        decision = link.at(self.position)
        if decision is not None:
            # On a replay of the position everything is published again.
            for one in decision.changed:
                self.answers.assignment(one)
            self.answers.decided(self.lead, self.other, decision)
        self.answers.assignment(self.other)
        self.answers.verdict(self.lead, self.other)

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
            self.position, "holds", "", request.source, request.event_id,
            request.occurred_ms, request.received_ms, self.record_ms, changed=self.changed,
        )  # fmt: skip
        if trusted:
            decision.reason = self._refusal()
        else:
            decision.reason = "source"
            link.declined = sorted({*link.declined, request.source})
        if decision.reason:
            decision.outcome = "refused"
            if decision.reason != "source":
                decision.stays = self._node(self.other).profile_id
                decision.other = self._node(self.lead).profile_id
            if decision.reason in CONFLICTS:
                self.answers.count(f"conflicts.{decision.reason}")
            self._keep(link, decision)
            return
        self._carry_out(link, decision)

    def _keep(self, link: Link, decision: LinkDecision) -> None:
        link.decisions = [*link.decisions, decision]
        self.copy.put(key(b"l:", self.lead, self.other), link, self.position)

    def _carry_out(self, link: Link, decision: LinkDecision) -> None:
        """Make the link hold. Changes made after `_keep` are part of the decision too."""
        first, second = self._within(self.lead), self._within(self.other)
        if self._newcomer and self._welcomes(first):
            self._keep(link, decision)
            self._welcome(first, decision)
        elif self._joins(self.other):
            self._keep(link, decision)
            if first != second:
                self._note_join(decision)
                self._settle([self._unite(first, second)])
        elif self._node(self.lead).kind == self._node(self.other).kind:
            self._keep(link, decision)
            if first != second:
                self._settle([], [self._unite(first, second)])
        elif self._joins(self.lead):
            before = list(islice(self._persons(second), 2))
            self._keep(link, decision)
            if len(before) < 2 and first not in before and not self._takes(second):
                self._settle([], [second])
        else:
            known = first in self._above(second)
            self._keep(link, decision)
            if not known and not any(self._persons(second)) and not self._takes(second):
                self._settle([], [second])

    def _welcomes(self, person: str) -> bool:
        """Return True if a newcomer only joins or follows its lead's person, and moves no other.

        Then the other identifiers need no check, which is most of the work on most links.
        """
        return (
            self._joins(self.lead)
            and not self._cluster(person).apart
            and self._strength(self.lead) < self._strength(self.other)
        )

    def _welcome(self, person: str, decision: LinkDecision) -> None:
        """Add a newcomer to a person's identifiers, as a member or a follower."""
        if not self._joins(self.other):
            if not self._takes_in(person, self.other):
                self._settle([], [self.other])
            return
        self._note_join(decision)
        self.copy.withdraw_cluster(self.other)
        self._node(self.other).within = person
        cluster = self._cluster(person)
        cluster.members = [*cluster.members, self.other]
        self._put_cluster(person, cluster)
        self._assign(self.other, self._node(self.lead).profile_id)

    def _ensure(self, one: str, kind: str, value: str) -> bool:
        """Create a node for an identifier that is new; return True if it was new."""
        new = self.copy.node(one) is None
        if new:
            self._put_node(one, Node(kind, value, one, one, 0, self.request.occurred_ms))
            self._put_cluster(one, Cluster([one]))
        return new

    def _refusal(self) -> str:
        """Return the reason why the two may not be linked, '' if they may."""
        lead, other = self._within(self.lead), self._within(self.other)
        if lead == other:
            return ""
        if self._apart(lead, other):
            return "split"
        if self._joins(self.other):
            return self._conflict(lead, other)
        size = len(self._cluster(lead).members) + len(self._cluster(other).members)
        same_kind = self._node(self.lead).kind == self._node(self.other).kind
        return "limit" if same_kind and size > MOST_IN_GROUP else ""

    def _conflict(self, lead: str, other: str) -> str:
        """Return the policy's objection to uniting two sets, '' if there is none."""
        per_kind: dict[str, int] = {}
        for name in (lead, other):
            for one in self._cluster(name).members:
                kind = self._node(one).kind
                per_kind[kind] = per_kind.get(kind, 0) + 1
        counted = [(self.policy.kind(kind), count) for kind, count in per_kind.items()]
        if any(kind.unique and count > 1 for kind, count in counted):
            return "unique"
        if any(count > kind.limit for kind, count in counted):
            return "limit"
        since = self.record_ms - DAY_MS
        for one in (self.lead, self.other):
            if sum(at > since for at in self._node(one).joins) >= self.policy.joins_per_day:
                return "rate"
        return ""

    def _note_join(self, decision: LinkDecision) -> None:
        """Note that the link unites two people."""
        decision.joined = True
        self.answers.count("joins")
        since = self.record_ms - DAY_MS
        for one in (self.lead, self.other):
            node = self._node(one)
            node.joins = [at for at in node.joins if at > since] + [self.record_ms]
            self._put_node(one, node)

    def _unite(self, first: str, second: str) -> str:
        """Merge two sets or groups, under the name of the larger; return that name."""
        kept_name, gone_name = sorted(
            (first, second), key=lambda name: (-len(self._cluster(name).members), name)
        )
        kept, gone = self._cluster(kept_name), self._cluster(gone_name)
        for one in gone.members:
            node = self._node(one)
            node.within = kept_name
            self._put_node(one, node)
        kept.members = kept.members + gone.members
        kept.apart = kept.apart + gone.apart
        self._put_cluster(kept_name, kept)
        self._put_cluster(gone_name, Cluster([]))
        return kept_name
