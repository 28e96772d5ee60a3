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

from processors.graph.identity_graph import IdentityGraph
from processors.graph.rows import Taken


class ProfilePlacement:
    """Places identifiers at one position of the log of links."""

    def __init__(self, graph: IdentityGraph, position: int, at_ms: int) -> None:
        self.position = position
        #: The time from which an identifier that moves belongs to its new profile.
        self.at_ms = at_ms
        #: The identifiers whose profile changed.
        self.changed: list[str] = []
        self._graph = graph
        self._copy = graph.copy
        #: Set or group -> its profile, while it is derived anew.
        self._placed: dict[str, str] = {}

    # Hosts

    def _profile_of(self, name: str) -> str:
        return (
            self._placed.get(name)
            or self._graph.node(self._graph.cluster(name).members[0]).profile_id
        )

    def _host(self, group_name: str) -> str:
        """Return the set or group that a group would follow if there were no limits, or ''."""
        graph = self._graph
        persons = list(islice(graph.persons(group_name), 2))
        if persons:
            return persons[0] if len(persons) == 1 else ""
        profiles = {self._profile_of(name) for name in graph.above(group_name)}
        host = graph.within(profiles.pop()) if len(profiles) == 1 else ""
        return "" if host and graph.is_split(group_name, host) else host

    def same_profile(self, one: str) -> list[str]:
        """Return all identifiers that have the same profile as this one now."""
        graph = self._graph
        profile_id = graph.node(one).profile_id
        host = graph.within(profile_id)
        names = {host: None}
        waiting = [host]
        for name in waiting:
            for group in graph.followers(name):
                if group not in names and self._profile_of(group) == profile_id:
                    names[group] = None
                    waiting.append(group)
        return [member for name in names for member in graph.cluster(name).members]

    # Placing

    def place_fast(self, group_name: str) -> bool:
        """Place a group that had a profile of its own, without reading all other followers.

        Return False if that is not enough: if more would move than this group and an equally large
        one that it displaces. So a kiosk or a person with thousands of browsers costs little more
        than one with few.
        """
        if not self._is_alone(group_name):
            return False
        host = self._host(group_name)
        return not host or self.place_with(host, group_name)

    def place_with(self, host: str, group_name: str) -> bool:
        """Place a group that is alone with its host; see `place_fast`."""
        graph = self._graph
        cluster, lead = graph.cluster(host), graph.lead_of(group_name)
        kind = graph.policy.kind(graph.node(lead).kind)
        new = (lead, len(graph.cluster(group_name).members))
        placed = list(cluster.taken.get(kind.name, ()))
        insort(placed, new, key=lambda one: graph.strength(one[0]))
        while sum(size for _, size in placed) > kind.limit:
            displaced = placed.pop()
            if displaced == new:
                return True
            if displaced[1] != new[1] or any(graph.followers(graph.within(displaced[0]))):
                return False
            # A group that was beyond the limit before still is: the displaced one has the same
            # size.
            self._assign_all(graph.within(displaced[0]), displaced[0])
        cluster.taken[kind.name] = placed
        self._copy.put_cluster(host, cluster, self.position)
        self._assign_all(group_name, self._profile_of(host))
        return True

    def _is_alone(self, group_name: str) -> bool:
        """Return True if a group has a profile of its own, and nobody follows it."""
        graph = self._graph
        lead = graph.lead_of(group_name)
        members = graph.cluster(group_name).members
        own = all(graph.node(one).profile_id == lead for one in members)
        return own and not any(graph.followers(group_name))

    def rederive(self, hosts: Iterable[str], groups: Iterable[str] = ()) -> None:
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
            cluster = self._graph.cluster(name)
            if cluster.taken != of_host:
                cluster.taken = of_host
                self._copy.put_cluster(name, cluster, self.position)
        self._placed = {}

    def _pass(self, taken: dict[str, Taken], groups: Iterable[str]) -> dict[str, None]:
        """Place the followers of the hosts in `taken`; return the hosts that are missing there."""
        graph = self._graph
        self._placed = {}
        missing: dict[str, None] = {}
        queue = _Queue(self._graph)
        for name in taken:
            if graph.joins(name):
                self._placed[name] = graph.lead_of(name)
                queue.push(graph.followers(name))
            else:
                queue.push([name])
        queue.push(groups)
        for name in queue:
            stored = {graph.node(one).profile_id for one in graph.cluster(name).members}
            target = self._target(name, taken, missing)
            self._placed[name] = target
            if stored != {target} or name in taken or graph.within(target) in taken:
                queue.push(g for g in graph.followers(name) if not any(graph.persons(g)))
            for profile_id in stored - {target}:
                left = graph.within(profile_id)
                if left != name and left not in taken:
                    missing[left] = None
        return missing

    def _target(self, name: str, taken: dict[str, Taken], missing: dict[str, None]) -> str:
        """Return the profile of a group whose stronger groups are placed already."""
        graph = self._graph
        lead, host = graph.lead_of(name), self._host(name)
        if host and host not in taken:
            missing[host] = None
        elif host:
            kind = graph.policy.kind(graph.node(lead).kind)
            placed, size = taken[host].get(kind.name, []), len(graph.cluster(name).members)
            if sum(other for _, other in placed) + size <= kind.limit:
                taken[host][kind.name] = [*placed, (lead, size)]
                return self._profile_of(host)
        return lead

    def _assign_all(self, name: str, profile_id: str) -> None:
        for one in self._graph.cluster(name).members:
            self.assign(one, profile_id)

    def assign(self, one: str, profile_id: str) -> None:
        """Assign an identifier to a profile; nothing happens if it belongs there already."""
        node = self._graph.node(one)
        if node.profile_id != profile_id:
            node.profile_id = profile_id
            node.version = self.position + 1
            node.linked_ms = self.at_ms
            self._copy.put_node(one, node, self.position)
            if one not in self.changed:
                self.changed.append(one)


class _Queue:
    """Groups, the strongest first, each once; a pushed group is weaker than those popped before."""

    def __init__(self, graph: IdentityGraph) -> None:
        self._graph = graph
        self._known: set[str] = set()
        self._heap: list[tuple[tuple[int, str, bytes], str]] = []

    def push(self, names: Iterable[str]) -> None:
        """Add the groups that were never in the queue."""
        for name in names:
            if name not in self._known:
                self._known.add(name)
                strength = self._graph.strength(self._graph.lead_of(name))
                heapq.heappush(self._heap, (strength, name))

    def __iter__(self) -> Iterator[str]:
        while self._heap:
            yield heapq.heappop(self._heap)[1]
