"""An operator's command: it undoes links, or reopens them.

An undone link is as if it had never been: people and followers are derived from the remaining
links. The rules are in `processors.graph.stage`.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal, NamedTuple

import msgspec

from processors.graph.answers import CONFLICTS, Answers
from processors.graph.placing import Placing
from processors.graph.rows import (
    Cluster,
    Command,
    Link,
    LinkDecision,
    WorkingCopy,
    command_key,
    key,
    there,
)
from processors.stage import Record
from schemas.identifiers import NOBODY, IdentityPolicy, identifier_id
from schemas.messages import SplitCommand, Withdrawal
from schemas.times import rfc3339

#: The reasons of refusals that a command withdraws, so that the links are decided anew.
_WITHDRAWN = (*CONFLICTS, "split")


Pair = tuple[str, str]


class _Scope(NamedTuple):
    """The scope of a command: links (lead, other), and all identifiers that they may concern."""

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

    def decide(self, at_once: int) -> None:
        """Carry the command out, unless it was already, and publish its result.

        At most `at_once` refused links are withdrawn in this step, the others in later ones.
        """
        done = self.copy.get(command_key(self.position), Command)
        if done is None:
            done = self._carry_out(at_once)
            self.copy.put(command_key(self.position), done, self.position)
            self.answers.count("splits")
        for pair in done.links:
            decision = _link(self.copy, pair).at(self.position)
            if decision is not None:
                self.answers.decided(*pair, decision)
                self.answers.verdict(*pair)
        for one in done.changed:
            self.answers.assignment(one)
        if done.more:
            command = self.command
            self.answers.go_on(Withdrawal(command.split_id, command.lift, command.at_ms, done.more))
        self.answers.command(self.command.split_id, self.position, done.row)

    def _carry_out(self, at_once: int) -> Command:
        undone, more = 0, list[str]()
        if all(self._known(one) for one in (self.one, self.lead) if one):
            scope = self._single() if self.lead else self._all_of_one()
            # As of before the command: the refused links of these people.
            refused = _refused(self.copy, scope.concerned)
            undone = self._lift(scope.links) if self.command.lift else self._void(scope.links)
            if undone or (self.against and not self.lead):
                for pair in refused[:at_once]:
                    self._decision(pair, "withdrawn")
                # The many links of a shared number are withdrawn slice by slice, each in its own
                # step.
                more = scope.concerned if len(refused) > at_once else more
                self._derive(scope.concerned)
        return Command(list(self.decided), self.changed, self._row(undone), more)

    # Scope

    def _single(self) -> _Scope:
        pair = (self.lead, self.one)
        if not self._linked(pair):
            return _Scope([], [])
        return _Scope([pair], [*self._mates(self.lead), *self._mates(self.one)])

    def _all_of_one(self) -> _Scope:
        """Return the scope of the identifier and the rest of its person, or those named."""
        node = self._node(self.one)
        if self.command.lift:
            others = [one for one in node.apart if self._known(one)]
            node.apart = []
        else:
            named = [one for one in self.against if self._known(one)]
            others = named if self.command.against else self._rest()
            node.apart = list(dict.fromkeys([*node.apart, *others]))
        self._put_node(self.one, node)
        self.against = {one: self._node(one).identifier for one in others}
        pairs = [pair for other in others for pair in ((self.one, other), (other, self.one))]
        return _Scope(
            [pair for pair in pairs if self._linked(pair)],
            [mate for one in (self.one, *others) for mate in self._mates(one)],
        )

    def _rest(self) -> list[str]:
        mates = [self._node(one).identifier for one in self._mates(self.one)]
        split = self.policy.split_from(self._node(self.one).identifier, mates)
        return [identifier_id(*one) for one in split]

    # Effects on links

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
            # A lift reopens only links that were undone in the same way (one link, or one
            # identifier).
            last = self._last(pair)
            if last.outcome == "voided" and last.single == bool(self.lead):
                undone += 1
                self._decision(pair, "withdrawn")
        return undone

    def _decision(self, pair: Pair, outcome: Literal["voided", "withdrawn"]) -> None:
        command = self.command
        link = _link(self.copy, pair)
        declined = link.declined
        _close(link, outcome, command, self.position, self.record_ms)
        link.last.single = outcome == "voided" and bool(self.lead)
        if outcome == "voided" and command.source:
            link.declined = sorted({*declined, command.source})
        self.copy.put(key(b"l:", *pair), link, self.position)
        self.decided[pair] = None

    def _forget_join(self, pair: Pair, at_ms: int) -> None:
        for one in pair:
            node = self._node(one)
            if at_ms in node.joins:
                node.joins.remove(at_ms)
                self._put_node(one, node)

    # Consequences

    def _derive(self, concerned: Iterable[str]) -> None:
        """Derive sets and groups from the links that are left, then their profiles."""
        whole = dict.fromkeys(self._within(one) for one in concerned)
        self._settle([part for name in whole for part in self._parts(name)])

    def _parts(self, name: str) -> list[str]:
        """Divide a set or group by the links that are left; return the names of the parts."""
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
                    self._put_node(one, node)
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
                "lead_id": self.lead or NOBODY,
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

    def _linked(self, pair: Pair) -> bool:
        return self.copy.get(key(b"l:", *pair), Link) is not None

    def _last(self, pair: Pair) -> LinkDecision:
        return _link(self.copy, pair).last


class Withdrawing:
    """One slice of a command's withdrawal."""

    def __init__(
        self, copy: WorkingCopy, answers: Answers, record: Record, withdrawal: Withdrawal
    ) -> None:
        self.copy = copy
        self.answers = answers
        self.record = record
        self.withdrawal = withdrawal

    def decide(self, at_once: int) -> None:
        """Reopen at most `at_once` links, schedule the rest, and publish those reopened here."""
        position, withdrawal = self.record.offset, self.withdrawal
        pairs = _pairs(self.copy, withdrawal.ends)
        old = [
            pair
            for pair in _refused(self.copy, withdrawal.ends)
            if _link(self.copy, pair).last.received_ms <= withdrawal.at_ms
        ]
        for pair in old[:at_once]:
            link = _link(self.copy, pair)
            _close(link, "withdrawn", withdrawal, position, self.record.timestamp_ms)
            self.copy.put(key(b"l:", *pair), link, position)
        if len(old) > at_once:
            self.answers.go_on(withdrawal)
        for pair in pairs:
            decision = _link(self.copy, pair).at(position)
            if decision is not None:
                self.answers.decided(*pair, decision)
                self.answers.verdict(*pair)


def _pairs(copy: WorkingCopy, ends: Iterable[str]) -> dict[Pair, None]:
    """Return the links that have one of these identifiers as an end."""
    pairs: dict[Pair, None] = {}
    for one in ends:
        pairs |= {(one, other): None for other in copy.seconds(b"l:", one)}
        pairs |= {(lead, one): None for lead in copy.seconds(b"b:", one)}
    return pairs


def _refused(copy: WorkingCopy, ends: Iterable[str]) -> list[Pair]:
    """Return those links that the policy or a split refuses."""
    lasts = ((pair, _link(copy, pair).last) for pair in _pairs(copy, ends))
    return [p for p, last in lasts if last.outcome == "refused" and last.reason in _WITHDRAWN]


def _link(copy: WorkingCopy, pair: Pair) -> Link:
    return there(copy.get(key(b"l:", *pair), Link))


def _close(
    link: Link,
    outcome: Literal["voided", "withdrawn"],
    by: SplitCommand | Withdrawal,
    position: int,
    record_ms: int,
) -> None:
    """Decide a link by an operator's command."""
    last = link.last
    made = LinkDecision(
        position, outcome, "lift" if by.lift else "split", last.source, last.event_id,
        last.occurred_ms, last.received_ms, record_ms, by.split_id,
    )  # fmt: skip
    link.decisions = [*link.decisions, made]
    link.closed_ms = max(link.closed_ms, by.at_ms)
    link.declined = []
