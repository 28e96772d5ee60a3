"""An operator's command: links that are undone, or open again.

What it undoes is as if it had never been: people and followers are what the remaining links make
of them. The rules are in `processors.graph`.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal, NamedTuple

import msgspec

from processors.answers import CONFLICTS, Answers
from processors.identity_rows import (
    Cluster,
    Command,
    Link,
    LinkDecision,
    WorkingCopy,
    command_key,
    key,
)
from processors.placing import Placing
from processors.stage import Record
from schemas.identifiers import IdentityPolicy, identifier_id
from schemas.messages import SplitCommand
from schemas.times import rfc3339

_NOBODY = "00000000-0000-0000-0000-000000000000"
#: What a command takes back, so that it is decided anew.
_WITHDRAWN = (*CONFLICTS, "split")


Pair = tuple[str, str]


class _Scope(NamedTuple):
    """What a command is about: links (lead, other), and everybody whom they may concern."""

    links: list[Pair]
    concerned: list[str]


class Splitting(Placing):
    """One command."""

    def __init__(
        self,
        policy: IdentityPolicy,
        copy: WorkingCopy,
        answers: Answers,
        record: Record,
        command: SplitCommand,
    ) -> None:
        super().__init__(policy, copy, record.offset, command.at_ms)
        self.answers = answers
        self.command = command
        self.record_ms = record.timestamp_ms
        self.one = identifier_id(command.kind, command.value)
        self.lead = (
            identifier_id(command.lead_kind, command.lead_value) if command.lead_kind else ""
        )
        self.against = {identifier_id(*other): other for other in command.against}
        #: Links that got a decision.
        self.decided: dict[Pair, None] = {}

    def decide(self) -> None:
        """Carry the command out, unless it was, and say what it came to."""
        done = self.copy.get(command_key(self.position), Command)
        if done is None:
            done = self._carry_out()
            self.copy.put(command_key(self.position), done, self.position)
            self.answers.count("splits")
        for pair in done.links:
            decision = _there(self._link(pair)).at(self.position)
            if decision is not None:
                self.answers.decided(*pair, decision)
                self.answers.verdict(*pair)
        for one in done.changed:
            self.answers.assignment(one)
        self.answers.command(self.command.split_id, self.position, done.row)

    def _carry_out(self) -> Command:
        undone = 0
        if all(self._known(one) for one in (self.one, self.lead) if one):
            scope = self._single() if self.lead else self._all_of_one()
            # As of before the command: who had refusals with these people.
            refused = self._refused(scope.concerned)
            undone = self._lift(scope.links) if self.command.lift else self._void(scope.links)
            if undone or (self.against and not self.lead):
                for pair in refused:
                    self._decision(pair, "withdrawn")
                self._derive(scope.concerned)
        return Command(list(self.decided), self.changed, self._row(undone))

    # Whom it is about

    def _single(self) -> _Scope:
        pair = (self.lead, self.one)
        if self._link(pair) is None:
            return _Scope([], [])
        return _Scope([pair], [*self._mates(self.lead), *self._mates(self.one)])

    def _all_of_one(self) -> _Scope:
        """The identifier on one side; the rest of its person, or whom the command names."""
        node = self._node(self.one)
        if self.command.lift:
            others = [one for one in node.apart if self._known(one)]
            node.apart = []
        else:
            named = [one for one in self.against if self._known(one)]
            others = named if self.command.against else self._rest()
            node.apart = list(dict.fromkeys([*node.apart, *others]))
        self._put(b"n:", self.one, node)
        self.against = {one: self._node(one).identifier for one in others}
        pairs = [pair for other in others for pair in ((self.one, other), (other, self.one))]
        return _Scope(
            [pair for pair in pairs if self._link(pair) is not None],
            [mate for one in (self.one, *others) for mate in self._mates(one)],
        )

    def _rest(self) -> list[str]:
        """The rest of the person, without those of weaker kinds that follow: they choose anew.

        So an e-mail address takes along the browsers that only it was seen with. If there is
        nobody else, it is they from whom the identifier is split.
        """
        rest = [one for one in self._mates(self.one) if one != self.one]
        kind = self._rank(self.one)
        return [one for one in rest if self._joins(one) or self._rank(one) <= kind] or rest

    def _rank(self, one: str) -> tuple[int, str]:
        return self._strength(one)[:2]

    def _refused(self, concerned: Iterable[str]) -> list[Pair]:
        """Links with one of these that are refused by the policy or by a split."""
        pairs: dict[Pair, None] = {}
        for one in concerned:
            pairs |= {(one, other): None for other in self.copy.seconds(b"l:", one)}
            pairs |= {(lead, one): None for lead in self.copy.seconds(b"b:", one)}
        lasts = ((pair, self._last(pair)) for pair in pairs)
        return [p for p, last in lasts if last.outcome == "refused" and last.reason in _WITHDRAWN]

    # What it does to links

    def _void(self, links: Iterable[Pair]) -> int:
        undone = 0
        for pair in links:
            last = self._last(pair)
            if last.outcome == "holds":
                undone += 1
                if last.joined:
                    self._forget_join(pair, last.decided_ms)
                self._decision(pair, "voided")
        return undone

    def _lift(self, links: Iterable[Pair]) -> int:
        undone = 0
        for pair in links:
            if self._last(pair).outcome == "voided":
                undone += 1
                self._decision(pair, "withdrawn")
        return undone

    def _decision(self, pair: Pair, outcome: Literal["voided", "withdrawn"]) -> None:
        link, command = _there(self._link(pair)), self.command
        last = link.last
        made = LinkDecision(
            self.position, outcome, "lift" if command.lift else "split", last.source,
            last.event_id, last.occurred_ms, last.received_ms, self.record_ms, command.split_id,
        )  # fmt: skip
        link.decisions = [*link.decisions, made]
        link.closed_ms = max(link.closed_ms, command.at_ms)
        if outcome == "voided" and command.source:
            link.declined = sorted({*link.declined, command.source})
        else:
            link.declined = []
        self.copy.put(key(b"l:", *pair), link, self.position)
        self.decided[pair] = None

    def _forget_join(self, pair: Pair, at_ms: int) -> None:
        for one in pair:
            node = self._node(one)
            if at_ms in node.joins:
                node.joins.remove(at_ms)
                self._put(b"n:", one, node)

    # What follows from it

    def _derive(self, concerned: Iterable[str]) -> None:
        """Sets and groups from the links that are left, then whose they are."""
        whole = dict.fromkeys(self._within(one) for one in concerned)
        parts = [part for name in whole for part in self._parts(name)]
        self._settle(
            [part for part in parts if self._joins(part)],
            [part for part in parts if not self._joins(part)],
        )

    def _parts(self, name: str) -> list[str]:
        """Divide a set or group into what its links still hold together; the names of the parts."""
        cluster = self._cluster(name)
        parts: dict[str, list[str]] = {one: [one] for one in cluster.members}
        for one in cluster.members:
            for lead in self.copy.seconds(b"b:", one):
                if parts.get(lead, parts[one]) is not parts[one] and self._holds(lead, one):
                    merged = parts[lead] + parts[one]
                    parts |= dict.fromkeys(merged, merged)
        names = []
        for members in {id(part): part for part in parts.values()}.values():
            part = name if name in members else self._strongest(members)
            names.append(part)
            for one in members:
                node = self._node(one)
                if node.within != part:
                    node.within = part
                    self._put(b"n:", one, node)
            apart = [other for one in members for other in self._node(one).apart]
            self._put_cluster(part, Cluster(members, apart, cluster.taken if part == name else {}))
        return names

    # The row

    def _row(self, undone: int) -> bytes:
        command = self.command
        return msgspec.json.encode(
            {
                "epoch": self.answers.epoch,
                "position": self.position,
                "split_id": command.split_id,
                "action": "lift" if command.lift else "split",
                "identifier_id": self.one,
                "kind": command.kind,
                "value": command.value,
                "lead_id": self.lead or _NOBODY,
                "lead_kind": command.lead_kind,
                "lead_value": command.lead_value,
                "source": command.source,
                "against_kinds": [kind for kind, _ in self.against.values()],
                "against_values": [value for _, value in self.against.values()],
                "voided": undone,
                "moved": len(self.changed),
                "note": command.note,
                "commanded_at": rfc3339(command.at_ms),
                "decided_at": rfc3339(self.record_ms),
            }
        )

    def _known(self, one: str) -> bool:
        return self.copy.node(one) is not None

    def _link(self, pair: Pair) -> Link | None:
        return self.copy.get(key(b"l:", *pair), Link)

    def _last(self, pair: Pair) -> LinkDecision:
        return _there(self._link(pair)).last


def _there(link: Link | None) -> Link:
    if link is None:
        raise LookupError("a command names a link that is not there")
    return link
