"""One link of identifiers: whether it holds, and what it joins or makes follow.

The rules are in `processors.graph`; here they are carried out on the rows of a working copy.
"""

from __future__ import annotations

from processors.answers import Answers
from processors.identity_rows import Group, Link, Mark, Node, Person, WorkingCopy, key
from processors.placing import Placing
from processors.stage import Record
from schemas.identifiers import IdentityPolicy, identifier_id
from schemas.messages import LinkRequest
from schemas.times import DAY_MS


class Deciding(Placing):
    """One link."""

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

    def decide(self) -> None:
        """Decide the link unless it was, and answer it."""
        link_key = key(b"l:", self.lead, self.other)
        link = self.copy.get(link_key, Link)
        if link is None:
            self.answers.counts["links"] += 1
            link = self._decide_anew()
            self.copy.put(link_key, link, self.position)
            again = True
        else:
            # A replay of the position that decided it says everything again; any later request
            # gets the two assignments.
            again = link.position >= self.position
        if again:
            for one in link.changed:
                self.answers.assignment(one)
            if link.reason:
                self.answers.conflict(self.request, link)
        self.answers.assignment(self.other)
        self.answers.verdict(self.lead, self.other, holds=not link.reason)

    def _decide_anew(self) -> Link:
        lead = self._node(self.lead, self.request.lead_kind, self.request.lead_value)
        other = self._node(self.other, self.request.kind, self.request.value)
        lead_joins = self.policy.kind(lead.kind).joins
        other_joins = self.policy.kind(other.kind).joins
        link = Link(
            self.position, "", self.changed, self.request.source, self.request.event_id,
            self.request.occurred_ms,
        )  # fmt: skip
        if lead_joins and other_joins:
            if lead.within != other.within:
                link.reason = self._refusal(lead, other)
                if link.reason:
                    self.answers.counts["conflicts"] += 1
                    link.stays, link.other = other.profile_id, lead.profile_id
                else:
                    self.answers.counts["joins"] += 1
                    self._join(lead, other)
        elif lead_joins or other_joins:
            person, follower = (lead, other) if lead_joins else (other, lead)
            self._follow_person(follower.within, person.within)
        elif lead.kind == other.kind:
            self._unite(lead.within, other.within)
        else:
            self._follow(lead.within, other.within)
        return link

    def _node(self, one: str, kind: str, value: str) -> Node:
        node = self.copy.get(key(b"n:", one), Node)
        if node is None:
            node = Node(kind, value, one, one, 0, self.request.occurred_ms)
            self._put(b"n:", one, node)
            if self.policy.kind(kind).joins:
                self._put(b"s:", one, Person([one]))
            else:
                self._put(b"g:", one, Group(kind, [one]))
        return node

    # Links between kinds that join

    def _refusal(self, lead: Node, other: Node) -> str:
        """Why the two may not become one person, '' if they may."""
        per_kind: dict[str, int] = {}
        for name in (lead.within, other.within):
            for one in self._person(name).members:
                kind = self._existing_node(one).kind
                per_kind[kind] = per_kind.get(kind, 0) + 1
        counted = [(self.policy.kind(kind), count) for kind, count in per_kind.items()]
        if any(kind.unique and count > 1 for kind, count in counted):
            return "unique"
        if any(count > kind.limit for kind, count in counted):
            return "limit"
        since = self.record_ms - DAY_MS
        for node in (lead, other):
            if sum(at > since for at in node.joins) >= self.policy.joins_per_day:
                return "rate"
        return ""

    def _join(self, lead: Node, other: Node) -> None:
        """Make one person of two: the smaller set is renamed to the larger one."""
        since = self.record_ms - DAY_MS
        for node, one in ((lead, self.lead), (other, self.other)):
            node.joins = [at for at in node.joins if at > since] + [self.record_ms]
            self._put(b"n:", one, node)
        large, small = sorted(
            (lead.within, other.within),
            key=lambda name: (-self._size(name), name),
        )
        kept, gone = self._person(large), self._person(small)
        for one in gone.members:
            node = self._existing_node(one)
            node.within = large
            self._put(b"n:", one, node)
        kept.members = kept.members + gone.members
        for group_name in self.copy.under(key(b"q:", small)):
            self._forget_person(group_name, small)
            self._note_person(group_name, large)
        self._put(b"s:", small, None)
        self._put(b"s:", large, kept)
        self._reassign([], [large])

    def _size(self, name: str) -> int:
        person = self._person(name)
        return len(person.members) + person.followers

    # Links with kinds that follow

    def _follow_person(self, group_name: str, person_name: str) -> None:
        """A group was linked with an identifier of a person."""
        before = self._owner(group_name)
        shared = self._group(group_name).persons > 1
        if not self._note_person(group_name, person_name) or shared:
            return
        if before or not self._takes(person_name, group_name):
            self._reassign([group_name], self._losing(group_name, before))

    def _note_person(self, group_name: str, person_name: str) -> bool:
        """Note that a group was linked with a person; whether that is new."""
        mark = key(b"p:", group_name, person_name)
        if self.copy.get(mark, Mark) is not None:
            return False
        self.copy.put(mark, Mark(), self.position)
        self._put(b"q:", person_name + group_name, Mark())
        group, person = self._group(group_name), self._person(person_name)
        group.persons += 1
        group.owner = person_name if group.persons == 1 else ""
        person.followers += 1
        self._put(b"g:", group_name, group)
        self._put(b"s:", person_name, person)
        return True

    def _forget_person(self, group_name: str, person_name: str) -> None:
        """The set's name goes; the one that it joins is noted next."""
        self.copy.put(key(b"p:", group_name, person_name), None, self.position)
        self._put(b"q:", person_name + group_name, None)
        group, person = self._group(group_name), self._person(person_name)
        group.persons -= 1
        person.followers -= 1
        if group.persons == 1:
            group.owner = self.copy.under(key(b"p:", group_name), 1)[0]
        self._put(b"g:", group_name, group)
        self._put(b"s:", person_name, person)

    def _unite(self, first: str, second: str) -> None:
        """Two groups of one kind become one: the one that fewer rows name joins the other."""
        if first == second:
            return
        before = [self._owner(first), self._owner(second)]
        first, second = sorted((first, second), key=lambda name: (-self._weight(name), name))
        kept, gone = self._group(first), self._group(second)
        for one in gone.members:
            node = self._existing_node(one)
            node.within = first
            self._put(b"n:", one, node)
        kept.members = kept.members + gone.members
        kept.follows = list({name: None for name in (*kept.follows, *gone.follows)})
        self._put(b"g:", first, kept)
        for person_name in self.copy.under(key(b"p:", second)):
            self._forget_person(second, person_name)
            self._note_person(first, person_name)
        for device in gone.follows:
            self._put(b"d:", device + second, None)
            self._put(b"d:", device + first, Mark())
        for weaker_name in self.copy.under(key(b"d:", second)):
            weaker = self._group(weaker_name)
            weaker.follows = list(
                {first if name == second else name: None for name in weaker.follows}
            )
            self._put(b"g:", weaker_name, weaker)
            self._put(b"d:", second + weaker_name, None)
            self._put(b"d:", first + weaker_name, Mark())
        self._put(b"g:", second, None)
        self._reassign([first], before)

    def _weight(self, name: str) -> int:
        group = self._group(name)
        return group.persons + len(group.members) + len(group.follows)

    def _follow(self, stronger: str, weaker: str) -> None:
        """A group of a weaker kind was linked with one of a stronger kind."""
        group = self._group(weaker)
        if stronger in group.follows:
            return
        before = self._owner(weaker)
        group.follows = [*group.follows, stronger]
        self._put(b"g:", weaker, group)
        self._put(b"d:", stronger + weaker, Mark())
        owner = self._owner(weaker)
        if before or not owner or not self._takes(owner, weaker):
            self._reassign([weaker], self._losing(weaker, before))
