"""Whose identifiers are: derived from the sets, groups and marks of the graph's rows.

A person's identifiers have the profile of the strongest. Followers are placed strongest first and
within the person's limits; the rest are nobody's.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TypeVar

import msgspec

from processors.identity_rows import EVERY, Group, Node, Person, WorkingCopy, key
from schemas.identifiers import IdentityPolicy

T = TypeVar("T")


class Placing:
    """Places identifiers at one position of the log of links."""

    def __init__(
        self, policy: IdentityPolicy, copy: WorkingCopy, position: int, occurred_ms: int
    ) -> None:
        self.policy = policy
        self.copy = copy
        self.position = position
        self.occurred_ms = occurred_ms
        #: The identifiers whose profile changed.
        self.changed: list[str] = []

    def _put(self, prefix: bytes, name: str, row: msgspec.Struct | None) -> None:
        self.copy.put(key(prefix, name), row, self.position)

    def _existing_node(self, one: str) -> Node:
        return _there(self.copy.get(key(b"n:", one), Node))

    def _person(self, name: str) -> Person:
        return _there(self.copy.get(key(b"s:", name), Person))

    def _group(self, name: str) -> Group:
        return _there(self.copy.get(key(b"g:", name), Group))

    def _strongest(self, members: Iterable[str]) -> str:
        return min(members, key=self._strength)

    def _strength(self, one: str) -> tuple[int, str, bytes]:
        return self.policy.strength(self._existing_node(one).identifier)

    def _takes(self, person_name: str, group_name: str) -> bool:
        """Place a group that begins to follow a person, if that moves nobody else.

        It does not where there is room, and where the group is weaker than all that are there.
        So a person with thousands of browsers costs little more than one with few.
        """
        group, person = self._group(group_name), self._person(person_name)
        profile_id = self._existing_node(person.members[0]).profile_id
        if self._led_by(group_name, 1) or not self._reached(group_name, person_name, profile_id):
            return False
        lead = self._lead_of(group_name)
        count, weakest = person.taken.get(group.kind, (0, lead))
        count += len(group.members)
        last = self._strength(lead) >= self._strength(weakest)
        if count <= self.policy.kind(group.kind).limit:
            person.taken[group.kind] = count, lead if last else weakest
            self._put(b"s:", person_name, person)
            self._assign_group(group_name, profile_id)
            return True
        if last:
            self._assign_group(group_name, self._loose_profile(group_name))
        return last

    def _losing(self, group_name: str, owner: str) -> list[str]:
        """The person that a group leaves, unless it had no room there."""
        if not owner:
            return []
        there = self._existing_node(self._person(owner).members[0]).profile_id
        return [owner] if self._profile_of(group_name) == there else []

    def _led_by(self, group_name: str, limit: int = EVERY) -> list[str]:
        """The groups of weaker kinds that were linked with a group."""
        kind = self.policy.kind(self._group(group_name).kind)
        weaker = (
            not one.joins and one.strength >= kind.strength and one.name != kind.name
            for one in self.policy.kinds.values()
        )
        return self.copy.under(key(b"d:", group_name), limit) if any(weaker) else []

    def _reassign(self, groups: Sequence[str], persons: Sequence[str]) -> None:
        """Derive anew whose the given groups and persons, and all that follow them, are."""
        people = {name: None for name in persons if name}
        loose: dict[str, None] = {}
        for name in groups:
            owner = self._owner(name)
            if owner:
                people[owner] = None
            else:
                loose[name] = None
        settled: set[str] = set()
        for name in people:
            self._reassign_person(name, settled, loose)
        for name in list(loose):
            self._reassign_loose(name, settled)

    def _reassign_person(self, name: str, settled: set[str], loose: dict[str, None]) -> None:
        """Assign a person's identifiers and, strongest first and within the limits, followers.

        The groups that now are the person's go to `settled`, the rest of those that were looked
        at to `loose`.
        """
        person = self._person(name)
        profile_id = self._strongest(person.members)
        for one in person.members:
            self._assign(one, profile_id)
        taken: dict[str, tuple[int, str]] = {}
        for group_name in self._candidates(name, loose):
            group = self._group(group_name)
            count = taken.get(group.kind, (0, ""))[0] + len(group.members)
            fits = count <= self.policy.kind(group.kind).limit
            if fits and self._reached(group_name, name, profile_id):
                taken[group.kind] = count, self._lead_of(group_name)
                self._assign_group(group_name, profile_id)
                settled.add(group_name)
            else:
                self._assign_group(group_name, self._loose_profile(group_name))
                loose[group_name] = None

        if taken != person.taken:
            person.taken = taken
            self._put(b"s:", name, person)

    def _candidates(self, name: str, loose: dict[str, None]) -> list[str]:
        """The groups that would follow a person if there were no limits, strongest first."""
        if not self._person(name).followers:
            return []
        mine: dict[str, None] = {}
        for group_name in self.copy.under(key(b"q:", name)):
            into = mine if self._group(group_name).owner == name else loose
            into[group_name] = None
        waiting = list(mine)
        for group_name in waiting:
            for weaker in self._led_by(group_name):
                if self._owner(weaker) == name:
                    if weaker not in mine:
                        mine[weaker] = None
                        waiting.append(weaker)
                elif not self._group(weaker).persons:
                    loose[weaker] = None
        return sorted(mine, key=lambda group: self._strength(self._lead_of(group)))

    def _reached(self, group_name: str, person_name: str, profile_id: str) -> bool:
        """Whether a group that follows through devices still has one with the person."""
        group = self._group(group_name)
        if group.owner == person_name:
            return True
        return all(self._profile_of(device) == profile_id for device in group.follows)

    def _reassign_loose(self, name: str, settled: set[str]) -> None:
        """Assign a group that belongs to no one person, and the weaker ones that follow it."""
        if name in settled:
            return
        self._assign_group(name, self._loose_profile(name))
        for weaker in self._led_by(name):
            if not self._group(weaker).persons:
                self._reassign_loose(weaker, settled)

    def _loose_profile(self, name: str) -> str:
        """The profile of a group that is with no person: its device's if that is nobody's too."""
        group = self._group(name)
        followed = {self._profile_of(device) for device in group.follows}
        if not group.persons and len(followed) == 1:
            profile_id = followed.pop()
            # A person's device whose person has no room for this group.
            if not self.policy.kind(self._existing_node(profile_id).kind).joins:
                return profile_id
        return self._lead_of(name)

    def _owner(self, name: str) -> str:
        """The one person whom a group belongs to before limits, '' if there is none."""
        group = self._group(name)
        if group.persons:
            return group.owner if group.persons == 1 else ""
        owners = {self._owner(device) for device in group.follows}
        return owners.pop() if len(owners) == 1 else ""

    def _lead_of(self, group_name: str) -> str:
        return self._strongest(self._group(group_name).members)

    def _profile_of(self, group_name: str) -> str:
        return self._existing_node(self._group(group_name).members[0]).profile_id

    def _assign_group(self, name: str, profile_id: str) -> None:
        for one in self._group(name).members:
            self._assign(one, profile_id)

    def _assign(self, one: str, profile_id: str) -> None:
        node = self._existing_node(one)
        if node.profile_id == profile_id:
            return
        node.profile_id = profile_id
        node.version = self.position + 1
        node.linked_ms = self.occurred_ms
        self._put(b"n:", one, node)
        if one not in self.changed:
            self.changed.append(one)


def _there(row: T | None) -> T:
    """A row that another row names; without it the state is broken, and the process must stop."""
    if row is None:
        raise LookupError("the graph names a row that is not there")
    return row
