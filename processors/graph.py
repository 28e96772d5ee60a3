"""The graph: which identifiers are one person.

One partition on purpose: links have a total order, the order of the log `identity.links`. Only
links that have no verdict yet come here. Each is decided once:

* *both kinds join*: the two sets become one person, unless that would put two values of a unique
  kind or more than the limit of a kind on one profile, or one identifier joined too many people
  within a day. Then it is refused and both stay where they are.
* *one follows*: the link is noted. The follower belongs to the person with whom all its links
  are; linked with different people it is nobody's, and has a profile of its own.
* *both follow*: those of one kind are one group and follow as one; of two kinds, the weaker one
  follows the stronger one while it was linked with no person itself.

Whose a follower is follows from the links alone, whatever their order. Answers are absolute and
versioned by the position of the link that changed them; every link is answered, again if asked
again.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

import msgspec

from processors.identity_rows import EVERY, Group, Link, Mark, Node, Person, WorkingCopy, key
from processors.stage import Decision, Output, Record, Store, Tick
from schemas import messages, topics
from schemas.identifiers import IdentityPolicy, identifier_id
from schemas.times import DAY_MS, rfc3339

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class GraphStage:
    """The stage `graph`; see the module."""

    epoch: int
    policy: IdentityPolicy = field(default_factory=IdentityPolicy)

    name = "graph"
    inputs = (topics.LINKS.name,)
    atomic = True
    deduplicates = False

    def decide(self, records: Sequence[Record], store: Store) -> Decision:
        """Decide the links in their order and answer each."""
        copy = WorkingCopy(store, self.epoch)
        answers = _Answers(self.epoch, copy)
        for record in records:
            request = messages.decode_link(record.value)
            _Deciding(self.policy, copy, answers, record, request).decide()
        decision = Decision(rows=copy.changes(), outputs=answers.outputs())
        decision.counts = answers.counts
        return decision

    def tick(self, tick: Tick, store: Store) -> Decision:
        """Nothing here depends on time."""
        return Decision()

    def deadline(self, key: bytes, value: bytes) -> int | None:
        """Nothing here depends on time."""
        return None


class _Answers:
    """What a batch of links publishes: each identifier's latest assignment, conflicts."""

    def __init__(self, epoch: int, copy: WorkingCopy) -> None:
        self._epoch = epoch
        self._copy = copy
        self._verdicts: dict[str, dict[str, bool]] = {}
        self._conflicts: dict[bytes, bytes] = {}
        self.counts: dict[str, int] = {"links": 0, "joins": 0, "conflicts": 0}

    def assignment(self, one: str) -> None:
        """Publish whose an identifier is at the end of the batch."""
        self._verdicts.setdefault(one, {})

    def verdict(self, lead: str, other: str, *, holds: bool) -> None:
        """Publish with the lead's assignment whether a link holds."""
        self._verdicts.setdefault(lead, {})[other] = holds

    def conflict(self, request: messages.LinkRequest, link: Link) -> None:
        """Publish a refusal."""
        lead = identifier_id(request.lead_kind, request.lead_value)
        other = identifier_id(request.kind, request.value)
        row = {
            "epoch": self._epoch,
            "identifier_id": other,
            "kind": request.kind,
            "value": request.value,
            "lead_id": lead,
            "lead_kind": request.lead_kind,
            "lead_value": request.lead_value,
            "profile_id": link.stays,
            "other_profile_id": link.other,
            "reason": link.reason,
            "occurred_at": rfc3339(link.occurred_ms),
            "version": link.position + 1,
        }
        self._conflicts[key(b"", other, lead)] = msgspec.json.encode(row)

    def outputs(self) -> list[Output]:
        """The records to publish."""
        out = []
        for one, verdicts in self._verdicts.items():
            node = self._copy.get(key(b"n:", one), Node)
            if node is None:
                continue
            answer = messages.Assignment(
                one, node.kind, node.value, node.profile_id, node.version, node.linked_ms, verdicts
            )
            out.append(Output(topics.ASSIGNMENTS.name, one.encode(), messages.encode(answer)))
        for pair, row in self._conflicts.items():
            out.append(Output(topics.CONFLICTS.name, pair[:36], row))
        return out


class _Deciding:
    """One link."""

    def __init__(
        self,
        policy: IdentityPolicy,
        copy: WorkingCopy,
        answers: _Answers,
        record: Record,
        request: messages.LinkRequest,
    ) -> None:
        self.policy = policy
        self.copy = copy
        self.answers = answers
        self.request = request
        self.position = record.offset
        self.record_ms = record.timestamp_ms
        self.lead = identifier_id(request.lead_kind, request.lead_value)
        self.other = identifier_id(request.kind, request.value)
        self.changed: list[str] = []

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

    # Nodes, persons and groups

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

    # Whose everything is

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
        node.linked_ms = self.request.occurred_ms
        self._put(b"n:", one, node)
        if one not in self.changed:
            self.changed.append(one)


def _there(row: T | None) -> T:
    """A row that another row names; without it the state is broken, and the process must stop."""
    if row is None:
        raise LookupError("the graph names a row that is not there")
    return row
