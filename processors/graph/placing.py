"""Assignment of identifiers to profiles: derived from the sets, the groups and the links that hold.

A person's identifiers have the profile of the strongest. A group follows its *host*, if it has one:

* the person with whom it has all its links with kinds that join;
* without any such link, it looks at the groups of stronger following kinds that it was linked with:
  if all of them have one profile, its host is the person or group of that profile (a browser
  follows its device).

A host accepts followers up to the limit of their kind, the strongest first. A group without a host,
or beyond the limit of its host, has a profile of its own.
"""

from __future__ import annotations

import heapq
from bisect import insort
from collections.abc import Iterable, Iterator
from itertools import islice

from processors.graph.rows import Cluster, Link, Node, Taken, WorkingCopy, key
from schemas.identifiers import IdentityPolicy


class Placing:
    """Places identifiers at one position of the log of links."""

    def __init__(
        self, policy: IdentityPolicy, copy: WorkingCopy, position: int, at_ms: int
    ) -> None:
        self.policy = policy
        self.copy = copy
        self.position = position
        #: The time from which an identifier that moves belongs to its new profile.
        self.at_ms = at_ms
        #: The identifiers whose profile changed.
        self.changed: list[str] = []
        #: Set or group -> its profile, while it is derived anew.
        self._placed: dict[str, str] = {}
        # Rows, by the name of an identifier and by that of a set or group.
        self._node = copy.nodes.__getitem__
        self._cluster = copy.clusters.__getitem__

    # Rows

    def _put_node(self, one: str, row: Node) -> None:
        self.copy.put_node(one, row, self.position)

    def _within(self, one: str) -> str:
        return self._node(one).within

    def _put_cluster(self, name: str, row: Cluster) -> None:
        self.copy.put_cluster(name, row, self.position)

    def _joins(self, one: str) -> bool:
        return self.policy.kind(self._node(one).kind).joins

    def _strength(self, one: str) -> tuple[int, str, bytes]:
        return self.policy.strength(self._node(one).identifier)

    def _strongest(self, members: Iterable[str]) -> str:
        return min(members, key=self._strength)

    def _lead_of(self, name: str) -> str:
        return self._strongest(self._cluster(name).members)

    # Links

    def _holds(self, lead: str, other: str) -> bool:
        link = self.copy.get(key(b"l:", lead, other), Link)
        return link is not None and link.last.outcome == "holds"

    def _led_by(self, one: str) -> Iterator[str]:
        """Yield the identifiers that it was linked with as the stronger one."""
        return (other for other in self.copy.seconds(b"l:", one) if self._holds(one, other))

    def _leads_of(self, one: str) -> Iterator[str]:
        """Yield the identifiers that it was linked with as the weaker one."""
        return (lead for lead in self.copy.seconds(b"b:", one) if self._holds(lead, one))

    def _apart(self, first: str, second: str) -> bool:
        """Return True if an operator split a member of one set or group from one of the other."""
        one, other = self._cluster(first), self._cluster(second)
        if not one.apart and not other.apart:
            return False
        return not (
            set(one.apart).isdisjoint(other.members) and set(other.apart).isdisjoint(one.members)
        )

    def _persons(self, group_name: str) -> Iterator[str]:
        """Yield the people that a group was linked with, each once; they are read lazily."""
        known: set[str] = set()
        for one in self._cluster(group_name).members:
            for lead in self._leads_of(one):
                if self._joins(lead) and (name := self._within(lead)) not in known:
                    known.add(name)
                    if not self._apart(group_name, name):
                        yield name

    def _above(self, group_name: str) -> Iterator[str]:
        """Yield the groups of stronger kinds that a group was linked with."""
        for one in self._cluster(group_name).members:
            for lead in self._leads_of(one):
                name = self._within(lead)
                if name != group_name and not self._apart(group_name, name):
                    yield name

    def _followers(self, name: str) -> Iterator[str]:
        """Yield the groups that were linked with a set or with a group of a stronger kind.

        A group may come more than once; they are read lazily.
        """
        for one in self._cluster(name).members:
            if self.policy.leads_followers(self._node(one).kind):
                for other in self._led_by(one):
                    if not self._joins(other) and (group := self._within(other)) != name:
                        yield group

    # Hosts

    def _profile_of(self, name: str) -> str:
        return self._placed.get(name) or self._node(self._cluster(name).members[0]).profile_id

    def _host(self, group_name: str) -> str:
        """Return the set or group that a group would follow if there were no limits, or ''."""
        persons = list(islice(self._persons(group_name), 2))
        if persons:
            return persons[0] if len(persons) == 1 else ""
        profiles = {self._profile_of(name) for name in self._above(group_name)}
        host = self._within(profiles.pop()) if len(profiles) == 1 else ""
        return "" if host and self._apart(group_name, host) else host

    def _mates(self, one: str) -> list[str]:
        """Return all identifiers that have the same profile as this one now."""
        profile_id = self._node(one).profile_id
        host = self._within(profile_id)
        names = {host: None}
        waiting = [host]
        for name in waiting:
            for group in self._followers(name):
                if group not in names and self._profile_of(group) == profile_id:
                    names[group] = None
                    waiting.append(group)
        return [member for name in names for member in self._cluster(name).members]

    # Placing

    def _takes(self, group_name: str) -> bool:
        """Place a group that had a profile of its own, without reading all other followers.

        Return False if that is not enough: if more would move than this group and an equally large
        one that it displaces. So a kiosk or a person with thousands of browsers costs little more
        than one with few.
        """
        if not self._alone(group_name):
            return False
        host = self._host(group_name)
        return not host or self._takes_in(host, group_name)

    def _takes_in(self, host: str, group_name: str) -> bool:
        """Place a group that is alone with its host; see `_takes`."""
        cluster, lead = self._cluster(host), self._lead_of(group_name)
        kind = self.policy.kind(self._node(lead).kind)
        new = (lead, len(self._cluster(group_name).members))
        placed = list(cluster.taken.get(kind.name, ()))
        insort(placed, new, key=lambda one: self._strength(one[0]))
        while sum(size for _, size in placed) > kind.limit:
            displaced = placed.pop()
            if displaced == new:
                return True
            if displaced[1] != new[1] or any(self._followers(self._within(displaced[0]))):
                return False
            # A group that was beyond the limit before still is: the displaced one has the same
            # size.
            self._assign_all(self._within(displaced[0]), displaced[0])
        cluster.taken[kind.name] = placed
        self._put_cluster(host, cluster)
        self._assign_all(group_name, self._profile_of(host))
        return True

    def _alone(self, group_name: str) -> bool:
        """Return True if a group has a profile of its own, and nobody follows it."""
        lead = self._lead_of(group_name)
        members = self._cluster(group_name).members
        own = all(self._node(one).profile_id == lead for one in members)
        return own and not any(self._followers(group_name))

    def _settle(self, hosts: Iterable[str], groups: Iterable[str] = ()) -> None:
        """Derive anew the profiles of these sets and groups, and of all that they move.

        Hosts are people, and groups that others may follow. A group that leaves a host, or comes to
        one, affects all followers of that host: then the host is included, and the pass starts
        again.
        """
        known, groups = dict.fromkeys(hosts), dict.fromkeys(groups)
        while True:
            taken: dict[str, Taken] = {name: {} for name in known}
            missing = self._pass(taken, groups)
            if not missing:
                break
            known |= missing
        for name, profile_id in self._placed.items():
            self._assign_all(name, profile_id)
        for name, of_host in taken.items():
            cluster = self._cluster(name)
            if cluster.taken != of_host:
                cluster.taken = of_host
                self._put_cluster(name, cluster)
        self._placed = {}

    def _pass(self, taken: dict[str, Taken], groups: Iterable[str]) -> dict[str, None]:
        """Place the followers of the hosts in `taken`; return the hosts that are missing there."""
        self._placed = {}
        missing: dict[str, None] = {}
        queue = _Queue(self)
        for name in taken:
            if self._joins(name):
                self._placed[name] = self._lead_of(name)
                queue.push(self._followers(name))
            else:
                queue.push([name])
        queue.push(groups)
        for name in queue:
            stored = {self._node(one).profile_id for one in self._cluster(name).members}
            target = self._target(name, taken, missing)
            self._placed[name] = target
            if stored != {target} or name in taken or self._within(target) in taken:
                queue.push(g for g in self._followers(name) if not any(self._persons(g)))
            for profile_id in stored - {target}:
                left = self._within(profile_id)
                if left != name and left not in taken:
                    missing[left] = None
        return missing

    def _target(self, name: str, taken: dict[str, Taken], missing: dict[str, None]) -> str:
        """Return the profile of a group whose stronger groups are placed already."""
        lead, host = self._lead_of(name), self._host(name)
        if host and host not in taken:
            missing[host] = None
        elif host:
            kind = self.policy.kind(self._node(lead).kind)
            placed, size = taken[host].get(kind.name, []), len(self._cluster(name).members)
            if sum(other for _, other in placed) + size <= kind.limit:
                taken[host][kind.name] = [*placed, (lead, size)]
                return self._profile_of(host)
        return lead

    def _assign_all(self, name: str, profile_id: str) -> None:
        for one in self._cluster(name).members:
            self._assign(one, profile_id)

    def _assign(self, one: str, profile_id: str) -> None:
        node = self._node(one)
        if node.profile_id != profile_id:
            node.profile_id = profile_id
            node.version = self.position + 1
            node.linked_ms = self.at_ms
            self._put_node(one, node)
            if one not in self.changed:
                self.changed.append(one)


class _Queue:
    """Groups, the strongest first, each once; a pushed group is weaker than those popped before."""

    def __init__(self, placing: Placing) -> None:
        self._placing = placing
        self._known: set[str] = set()
        self._heap: list[tuple[tuple[int, str, bytes], str]] = []

    def push(self, names: Iterable[str]) -> None:
        """Add the groups that were never in the queue."""
        for name in names:
            if name not in self._known:
                self._known.add(name)
                strength = self._placing._strength(self._placing._lead_of(name))
                heapq.heappush(self._heap, (strength, name))

    def __iter__(self) -> Iterator[str]:
        while self._heap:
            yield heapq.heappop(self._heap)[1]
