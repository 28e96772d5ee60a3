"""The slow reference of who is who: derived anew from all links, as the architecture states it.

Nothing here is shared with the graph but the policy's numbers. Identifiers are (kind, value).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from schemas.identifiers import Identifier, IdentityPolicy
from schemas.messages import LinkMessage, LinkRequest, SplitCommand

DAY_MS = 86_400_000
Set = frozenset[Identifier]
Pair = tuple[Identifier, Identifier]
CONFLICTS = ("unique", "limit", "rate")


class Verdict(NamedTuple):
    """The standing of a link: an outcome, and why."""

    outcome: str
    reason: str = ""


@dataclass
class Link:
    """A link that was asked for. Only touches received after `closed_ms` may open it again."""

    verdict: Verdict
    #: Sources whose touches do not make it.
    declined: set[str] = field(default_factory=set)
    closed_ms: int = 0
    #: When it made two people one, by the log's time.
    joined_ms: int | None = None
    #: Voided by a command about this link alone.
    alone: bool = False

    def open_to(self, source: str, received_ms: int) -> bool:
        """Return whether a touch has it decided anew."""
        outcome, reason = self.verdict
        if received_ms <= self.closed_ms:
            return False
        if outcome == "withdrawn":
            return True
        by_source = reason == "source" or (outcome == "voided" and bool(self.declined))
        return by_source and source not in self.declined


class Reference:
    """The log of links, one message after the other."""

    def __init__(self, policy: IdentityPolicy, untrusted: Iterable[str] = ()) -> None:
        self.policy = policy
        self.untrusted = frozenset(untrusted)
        self.links: dict[Pair, Link] = {}
        self.known: set[Identifier] = set()
        #: (x, y): x was split from y.
        self.apart: set[Pair] = set()
        #: (lead, other, reason) of what the policy refused -> the profiles of lead and other then.
        self.conflicts: dict[tuple[Identifier, Identifier, str], Pair] = {}

    # The log

    def take(self, message: LinkMessage, record_ms: int) -> None:
        """A record of the log of links."""
        if isinstance(message, SplitCommand):
            self.command(message)
        elif isinstance(message, LinkRequest):
            self.request(message, record_ms)
        # The graph goes on with a command slice by slice; here it was done at once.

    def link(self, lead: Identifier, other: Identifier, at_ms: int = 0) -> str:
        """A plain request; why it is refused, '' if it holds."""
        self.request(LinkRequest(*lead, *other, "web", "e", at_ms, at_ms), at_ms)
        return self.links[lead, other].verdict.reason

    def request(self, message: LinkRequest, record_ms: int) -> None:
        """A touch named two identifiers."""
        lead = Identifier(message.lead_kind, message.lead_value)
        other = Identifier(message.kind, message.value)
        self.known |= {lead, other}
        link = self.links.get((lead, other))
        if link is None:
            link = self.links[lead, other] = Link(Verdict("undecided"))
        elif not link.open_to(message.source, message.received_ms):
            return
        if message.source in self.untrusted:
            link.declined.add(message.source)
            link.verdict = Verdict("refused", "source")
            return
        reason = self._refusal(lead, other, record_ms)
        if not reason and self._joins(other) and not self._together(lead, other):
            link.joined_ms = record_ms
        if reason in CONFLICTS:
            profile = self.profiles()
            self.conflicts[lead, other, reason] = profile[lead], profile[other]
        link.verdict = Verdict("refused" if reason else "holds", reason)

    def command(self, command: SplitCommand) -> None:
        """An operator splits or lifts."""
        one = Identifier(command.kind, command.value)
        lead = Identifier(command.lead_kind, command.lead_value) if command.lead_kind else None
        against = [Identifier(*other) for other in command.against]
        if one not in self.known or (lead is not None and lead not in self.known):
            return
        before = self.profiles()
        if lead is not None:
            links = [(lead, one)] if (lead, one) in self.links else []
            ends = {lead, one} if links else set()
        else:
            others = self._other_side(one, against, before, lift=command.lift)
            links = [p for p in self.links if one in p and others & set(p) - {one}]
            ends = {one, *others}
        undone = [p for p in links if self._undoes(self.links[p], command, alone=lead is not None)]
        if not undone and (lead is not None or not ends - {one}):
            return
        concerned = {before[end] for end in ends}
        refused = [
            pair
            for pair, link in self.links.items()
            if link.verdict.outcome == "refused"
            and link.verdict.reason in (*CONFLICTS, "split")
            and concerned & {before[end] for end in pair}
        ]
        for pair in undone:
            self._close(self.links[pair], command, voided=not command.lift)
        # What was refused because of these people is decided anew when next seen.
        for pair in refused:
            self._close(self.links[pair], command, voided=False)

    def _other_side(
        self,
        one: Identifier,
        against: Sequence[Identifier],
        profiles: dict[Identifier, Identifier],
        *,
        lift: bool,
    ) -> set[Identifier]:
        """Return and note whom an identifier is split from, or was."""
        if lift:
            others = {y for x, y in self.apart if x == one}
            self.apart -= {(one, y) for y in others}
            return others
        mates = {y for y in self.known if profiles[y] == profiles[one]} - {one}
        # Weaker ones that follow choose anew; they are split off if there is nobody else.
        rest = {y for y in mates if self._joins(y) or self._rank(y)[:2] <= self._rank(one)[:2]}
        others = (set(against) & self.known if against else rest or mates) - {one}
        self.apart |= {(one, y) for y in others}
        return others

    @staticmethod
    def _undoes(link: Link, command: SplitCommand, *, alone: bool) -> bool:
        if command.lift:
            return link.verdict.outcome == "voided" and link.alone == alone
        return link.verdict.outcome == "holds"

    @staticmethod
    def _close(link: Link, command: SplitCommand, *, voided: bool) -> None:
        reason = "lift" if command.lift else "split"
        link.verdict = Verdict("voided" if voided else "withdrawn", reason)
        link.alone = voided and bool(command.lead_kind)
        link.closed_ms = max(link.closed_ms, command.at_ms)
        link.declined = link.declined | {command.source} if voided and command.source else set()
        link.joined_ms = None

    # What follows from the links that hold

    def profiles(self) -> dict[Identifier, Identifier]:
        """Identifier -> the identifier whose own id is its profile."""
        persons = self._sets(one for one in self.known if self._joins(one))
        groups = self._groups()
        profile = {one: self._strongest(person) for person in persons for one in person}
        owner = {self._strongest(person): person for person in persons}
        owner |= {self._strongest(group): group for group in groups}
        taken: dict[tuple[Identifier, str], int] = {}
        # Kind by kind and the strongest first, so that a device is placed before its browsers.
        for group in sorted(groups, key=lambda g: self._rank(self._strongest(g))):
            lead = target = self._strongest(group)
            host = self._host(group, persons, groups, profile)
            if host is not None and not self._split(group, owner[host]):
                kind = self.policy.kind(lead.kind)
                count = taken.get((host, kind.name), 0) + len(group)
                if count <= kind.limit:
                    taken[host, kind.name] = count
                    target = host
            profile |= dict.fromkeys(group, target)
        return profile

    def _host(
        self,
        group: Set,
        persons: list[Set],
        groups: list[Set],
        profile: dict[Identifier, Identifier],
    ) -> Identifier | None:
        """The profile that a group would follow if there were no limits; None for nobody's."""
        linked = self._linked(group, persons)
        if linked:
            return self._strongest(linked[0]) if len(linked) == 1 else None
        mine = self.policy.kind(self._strongest(group).kind).strength
        places = {
            profile[self._strongest(one)]
            for one in self._linked(group, groups)
            if self.policy.kind(self._strongest(one).kind).strength < mine
        }
        return places.pop() if len(places) == 1 else None

    def _joins(self, one: Identifier) -> bool:
        return self.policy.kind(one.kind).joins

    def _rank(self, one: Identifier) -> tuple[int, str, bytes]:
        return self.policy.strength(one)

    def _strongest(self, some: Iterable[Identifier]) -> Identifier:
        return min(some, key=self._rank)

    def _holding(self) -> list[Pair]:
        return [pair for pair, link in self.links.items() if link.verdict.outcome == "holds"]

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

    def _set_of(self, one: Identifier) -> Set:
        """The person that it is part of, or the group."""
        alike = [
            o for o in self.known
            if self._joins(o) == self._joins(one) and (self._joins(one) or o.kind == one.kind)
        ]  # fmt: skip
        return next(some for some in self._sets(alike) if one in some)

    def _together(self, a: Identifier, b: Identifier) -> bool:
        return b in self._set_of(a)

    def _split(self, some: Set, others: Set) -> bool:
        """Return whether an operator split one of these from one of those."""
        return any((a, b) in self.apart or (b, a) in self.apart for a in some for b in others)

    def _linked(self, group: Set, some: list[Set]) -> list[Set]:
        """Those that the group was linked with. One that it was split from does not count."""
        pairs = self._holding()
        near = {b for a, b in pairs if a in group} | {a for a, b in pairs if b in group}
        return [one for one in some if one != group and near & one and not self._split(group, one)]

    def _refusal(self, lead: Identifier, other: Identifier, at_ms: int) -> str:
        first, second = self._set_of(lead), self._set_of(other)
        if first == second:
            return ""
        if self._split(first, second):
            return "split"
        return self._conflict(lead, other, first | second, at_ms) if self._joins(other) else ""

    def _conflict(self, lead: Identifier, other: Identifier, person: Set, at_ms: int) -> str:
        kinds = [one.kind for one in person]
        counts = {kind: kinds.count(kind) for kind in kinds}
        if any(self.policy.kind(kind).unique and n > 1 for kind, n in counts.items()):
            return "unique"
        if any(n > self.policy.kind(kind).limit for kind, n in counts.items()):
            return "limit"
        for end in (lead, other):
            joined = [link.joined_ms for pair, link in self.links.items() if end in pair]
            recent = [at for at in joined if at is not None and at > at_ms - DAY_MS]
            if len(recent) >= self.policy.joins_per_day:
                return "rate"
        return ""
