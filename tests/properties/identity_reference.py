"""Who is who, the slow way: derived anew from all links, as the architecture's text states it.

Nothing here is shared with the graph but the policy's numbers. Identifiers are (kind, value).
"""

from __future__ import annotations

from collections.abc import Iterable

from schemas.identifiers import Identifier, IdentityPolicy

DAY_MS = 86_400_000
Set = frozenset[Identifier]


class Reference:
    """Links in the order of their log; only links between kinds that join can be refused."""

    def __init__(self, policy: IdentityPolicy) -> None:
        self.policy = policy
        self.verdicts: dict[tuple[Identifier, Identifier], str] = {}
        self.known: set[Identifier] = set()
        self.joined: list[tuple[Identifier, int]] = []

    def link(self, lead: Identifier, other: Identifier, at_ms: int = 0) -> str:
        """Take a link; why it is refused, '' if it holds."""
        self.known |= {lead, other}
        if (lead, other) not in self.verdicts:
            reason = ""
            if self._joins(lead) and self._joins(other) and not self._together(lead, other):
                reason = self._refusal(lead, other, at_ms)
                if not reason:
                    self.joined += [(lead, at_ms), (other, at_ms)]
            self.verdicts[lead, other] = reason
        return self.verdicts[lead, other]

    def profiles(self) -> dict[Identifier, Identifier]:
        """Identifier -> the identifier whose own id is its profile."""
        persons = self._sets(one for one in self.known if self._joins(one))
        profile = {one: self._strongest(person) for person in persons for one in person}
        groups = self._groups()
        whose = {group: self._person_of(group, persons, groups) for group in groups}
        taken: dict[tuple[Set, str], int] = {}
        crowd: dict[tuple[Identifier, str], int] = {}
        # Kind by kind and the strongest first, so that a device is placed before its browsers.
        for group in sorted(groups, key=lambda g: self._rank(self._strongest(g))):
            person = whose[group]
            devices = [] if self._linked_persons(group, persons) else self._above(group, groups)
            kind = self.policy.kind(self._strongest(group).kind)
            place = {profile[self._strongest(device)] for device in devices}
            target = self._strongest(group)
            if person is not None:
                with_person = not devices or place == {self._strongest(person)}
                count = taken.get((person, kind.name), 0) + len(group)
                if with_person and count <= kind.limit:
                    taken[person, kind.name] = count
                    target = self._strongest(person)
            # A browser also follows a device that is nobody's, within the same limit.
            if len(place) == 1 and not self._joins(root := next(iter(place))):
                count = crowd.get((root, kind.name), 0) + len(group)
                if count <= kind.limit:
                    crowd[root, kind.name] = count
                    target = root
            profile |= dict.fromkeys(group, target)
        return profile

    def _joins(self, one: Identifier) -> bool:
        return self.policy.kind(one.kind).joins

    def _rank(self, one: Identifier) -> tuple[int, str, bytes]:
        return self.policy.strength(one)

    def _strongest(self, some: Iterable[Identifier]) -> Identifier:
        return min(some, key=self._rank)

    def _holding(self) -> list[tuple[Identifier, Identifier]]:
        return [pair for pair, reason in self.verdicts.items() if not reason]

    def _sets(self, members: Iterable[Identifier]) -> list[Set]:
        """Connected components of `members` over the links that hold."""
        sets = {one: frozenset([one]) for one in members}
        for a, b in self._holding():
            if a in sets and b in sets:
                union = sets[a] | sets[b]
                sets |= dict.fromkeys(union, union)
        return list(dict.fromkeys(sets.values()))

    def _groups(self) -> list[Set]:
        followers = [one for one in self.known if not self._joins(one)]
        kinds = {one.kind for one in followers}
        return [g for kind in kinds for g in self._sets(o for o in followers if o.kind == kind)]

    def _together(self, a: Identifier, b: Identifier) -> bool:
        sets = self._sets(one for one in self.known if self._joins(one))
        return any(a in one and b in one for one in sets)

    def _refusal(self, lead: Identifier, other: Identifier, at_ms: int) -> str:
        sets = self._sets(one for one in self.known if self._joins(one))
        united = [one for s in sets if lead in s or other in s for one in s]
        counts = {one.kind: sum(o.kind == one.kind for o in united) for one in united}
        if any(self.policy.kind(kind).unique and n > 1 for kind, n in counts.items()):
            return "unique"
        if any(n > self.policy.kind(kind).limit for kind, n in counts.items()):
            return "limit"
        for end in (lead, other):
            recent = [at for one, at in self.joined if one == end and at > at_ms - DAY_MS]
            if len(recent) >= self.policy.joins_per_day:
                return "rate"
        return ""

    def _neighbours(self, group: Set) -> set[Identifier]:
        pairs = self._holding()
        return {b for a, b in pairs if a in group} | {a for a, b in pairs if b in group}

    def _linked_persons(self, group: Set, persons: list[Set]) -> list[Set]:
        near = self._neighbours(group)
        return [person for person in persons if near & person]

    def _above(self, group: Set, groups: list[Set]) -> list[Set]:
        """The groups of stronger following kinds that it was linked with."""
        near = self._neighbours(group)
        mine = self.policy.kind(self._strongest(group).kind).strength
        return [
            one
            for one in groups
            if near & one and self.policy.kind(self._strongest(one).kind).strength < mine
        ]

    def _person_of(self, group: Set, persons: list[Set], groups: list[Set]) -> Set | None:
        """Whose the group would be without limits; None if nobody's."""
        linked = self._linked_persons(group, persons)
        if linked:
            return linked[0] if len(linked) == 1 else None
        owners = {self._person_of(one, persons, groups) for one in self._above(group, groups)}
        return owners.pop() if len(owners) == 1 else None
