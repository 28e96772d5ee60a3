"""The identity graph as it is: identifiers, their sets and groups, and the links that hold.

It only reads; `processors.graph.placement` derives profiles from it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from processors.graph.rows import Link, key
from processors.graph.working_copy import WorkingCopy
from schemas.identifiers import IdentityPolicy


class IdentityGraph:
    """The identifiers and links of a working copy, under a policy.

    A set or group is named by one of its members.
    """

    def __init__(self, policy: IdentityPolicy, copy: WorkingCopy) -> None:
        self.policy = policy
        self.copy = copy
        #: Rows, by the name of an identifier and by that of a set or group.
        self.node = copy.nodes.__getitem__
        self.cluster = copy.clusters.__getitem__

    # Rows

    def within(self, one: str) -> str:
        """Return the name of the set or group of an identifier."""
        return self.node(one).within

    def joins(self, one: str) -> bool:
        """Return True if an identifier is of a kind that joins people."""
        return self.policy.kind(self.node(one).kind).joins

    def strength(self, one: str) -> tuple[int, str, bytes]:
        """Return the sort key of an identifier: the stronger one is smaller."""
        return self.policy.strength(self.node(one).identifier)

    def strongest(self, members: Iterable[str]) -> str:
        """Return the strongest of some identifiers."""
        return min(members, key=self.strength)

    def lead_of(self, name: str) -> str:
        """Return the strongest identifier of a set or group."""
        return self.strongest(self.cluster(name).members)

    # Links

    def holds(self, lead: str, other: str) -> bool:
        """Return True if there is a link of two identifiers, and it holds."""
        link = self.copy.get(key(b"l:", lead, other), Link)
        return link is not None and link.last.outcome == "holds"

    def led_by(self, one: str) -> Iterator[str]:
        """Yield the identifiers that it was linked with as the stronger one."""
        return (other for other in self.copy.seconds(b"l:", one) if self.holds(one, other))

    def leads_of(self, one: str) -> Iterator[str]:
        """Yield the identifiers that it was linked with as the weaker one."""
        return (lead for lead in self.copy.seconds(b"b:", one) if self.holds(lead, one))

    def is_split(self, first: str, second: str) -> bool:
        """Return True if an operator split a member of one set or group from one of the other."""
        one, other = self.cluster(first), self.cluster(second)
        if not one.apart and not other.apart:
            return False
        return not (
            set(one.apart).isdisjoint(other.members) and set(other.apart).isdisjoint(one.members)
        )

    def persons(self, group_name: str) -> Iterator[str]:
        """Yield the people that a group was linked with, each once; they are read lazily."""
        known: set[str] = set()
        for one in self.cluster(group_name).members:
            for lead in self.leads_of(one):
                if self.joins(lead) and (name := self.within(lead)) not in known:
                    known.add(name)
                    if not self.is_split(group_name, name):
                        yield name

    def above(self, group_name: str) -> Iterator[str]:
        """Yield the groups of stronger kinds that a group was linked with."""
        for one in self.cluster(group_name).members:
            for lead in self.leads_of(one):
                name = self.within(lead)
                if name != group_name and not self.is_split(group_name, name):
                    yield name

    def followers(self, name: str) -> Iterator[str]:
        """Yield the groups that were linked with a set or with a group of a stronger kind.

        A group may come more than once; they are read lazily.
        """
        for one in self.cluster(name).members:
            if self.policy.leads_followers(self.node(one).kind):
                for other in self.led_by(one):
                    if not self.joins(other) and (group := self.within(other)) != name:
                        yield group
