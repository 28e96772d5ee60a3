"""An operator's command: it undoes links, or reopens them.

An undone link is as if it had never been: people and followers are derived from the remaining
links. The rules are in `processors.graph.stage`.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal, NamedTuple

import msgspec

from processors.graph.identity_graph import IdentityGraph
from processors.graph.outputs import GraphOutputs
from processors.graph.placement import ProfilePlacement
from processors.graph.rows import Cluster, Command, Link, LinkDecision, command_key, key
from processors.graph.withdrawal import Pair, decide_by_command, link_of, refused_links
from processors.stage import Record
from schemas.identifiers import NOBODY, identifier_id
from schemas.messages import SplitCommand, Withdrawal
from schemas.times import rfc3339


class _Scope(NamedTuple):
    """The scope of a command: links (lead, other), and all identifiers that they may concern."""

    links: list[Pair]
    concerned: list[str]


class SplitHandler:
    """One command."""

    def __init__(
        self,
        graph: IdentityGraph,
        outputs: GraphOutputs,
        record: Record,
        command: SplitCommand,
    ) -> None:
        self.position = record.offset
        self.outputs = outputs
        self.command = command
        self._graph = graph
        self._copy = graph.copy
        self._placement = ProfilePlacement(graph, record.offset, command.at_ms)
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
        done = self._copy.get(command_key(self.position), Command)
        if done is None:
            done = self._carry_out(at_once)
            self._copy.put(command_key(self.position), done, self.position)
            self.outputs.count("splits")
        for pair in done.links:
            decision = link_of(self._copy, pair).at(self.position)
            if decision is not None:
                self.outputs.decided(*pair, decision)
                self.outputs.verdict(*pair)
        for one in done.changed:
            self.outputs.assignment(one)
        if done.more:
            command = self.command
            self.outputs.go_on(Withdrawal(command.split_id, command.lift, command.at_ms, done.more))
        self.outputs.command(self.command.split_id, self.position, done.row)

    def _carry_out(self, at_once: int) -> Command:
        undone, more = 0, list[str]()
        if all(self._known(one) for one in (self.one, self.lead) if one):
            scope = self._single() if self.lead else self._all_of_one()
            # As of before the command: the refused links of these people.
            refused = refused_links(self._copy, scope.concerned)
            undone = self._lift(scope.links) if self.command.lift else self._void(scope.links)
            if undone or (self.against and not self.lead):
                for pair in refused[:at_once]:
                    self._decide_link(pair, "withdrawn")
                # The many links of a shared number are withdrawn slice by slice, each in its own
                # step.
                more = scope.concerned if len(refused) > at_once else more
                self._rederive(scope.concerned)
        return Command(list(self.decided), self._placement.changed, self._row(undone), more)

    # Scope

    def _single(self) -> _Scope:
        pair = (self.lead, self.one)
        if not self._linked(pair):
            return _Scope([], [])
        return _Scope([pair], [one for end in pair for one in self._placement.same_profile(end)])

    def _all_of_one(self) -> _Scope:
        """Return the scope of the identifier and the rest of its person, or those named."""
        node = self._graph.node(self.one)
        if self.command.lift:
            others = [one for one in node.apart if self._known(one)]
            node.apart = []
        else:
            named = [one for one in self.against if self._known(one)]
            others = named if self.command.against else self._rest()
            node.apart = list(dict.fromkeys([*node.apart, *others]))
        self._copy.put_node(self.one, node, self.position)
        self.against = {one: self._graph.node(one).identifier for one in others}
        pairs = [pair for other in others for pair in ((self.one, other), (other, self.one))]
        return _Scope(
            [pair for pair in pairs if self._linked(pair)],
            [one for end in (self.one, *others) for one in self._placement.same_profile(end)],
        )

    def _rest(self) -> list[str]:
        graph = self._graph
        together = [graph.node(one).identifier for one in self._placement.same_profile(self.one)]
        split = graph.policy.split_from(graph.node(self.one).identifier, together)
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
                self._decide_link(pair, "voided")
        return undone

    def _lift(self, links: Iterable[Pair]) -> int:
        undone = 0
        for pair in links:
            # A lift reopens only links that were undone in the same way (one link, or one
            # identifier).
            last = self._last(pair)
            if last.outcome == "voided" and last.single == bool(self.lead):
                undone += 1
                self._decide_link(pair, "withdrawn")
        return undone

    def _decide_link(self, pair: Pair, outcome: Literal["voided", "withdrawn"]) -> None:
        command = self.command
        link = link_of(self._copy, pair)
        declined = link.declined
        decide_by_command(link, outcome, command, self.position, self.record_ms)
        link.last.single = outcome == "voided" and bool(self.lead)
        if outcome == "voided" and command.source:
            link.declined = sorted({*declined, command.source})
        self._copy.put(key(b"l:", *pair), link, self.position)
        self.decided[pair] = None

    def _forget_join(self, pair: Pair, at_ms: int) -> None:
        for one in pair:
            node = self._graph.node(one)
            if at_ms in node.joins:
                node.joins.remove(at_ms)
                self._copy.put_node(one, node, self.position)

    # Consequences

    def _rederive(self, concerned: Iterable[str]) -> None:
        """Derive sets and groups from the links that are left, then their profiles."""
        whole = dict.fromkeys(self._graph.within(one) for one in concerned)
        self._placement.rederive([part for name in whole for part in self._parts(name)])

    def _parts(self, name: str) -> list[str]:
        """Divide a set or group by the links that are left; return the names of the parts."""
        graph = self._graph
        cluster = graph.cluster(name)
        parts: dict[str, list[str]] = {one: [one] for one in cluster.members}
        for one in cluster.members:
            for lead in self._copy.seconds(b"b:", one):
                if parts.get(lead, parts[one]) is not parts[one] and graph.holds(lead, one):
                    merged = parts[lead] + parts[one]
                    parts |= dict.fromkeys(merged, merged)
        names = []
        for members in {id(part): part for part in parts.values()}.values():
            part = name if name in members else graph.strongest(members)
            names.append(part)
            for one in members:
                node = graph.node(one)
                if node.within != part:
                    node.within = part
                    self._copy.put_node(one, node, self.position)
            apart = [other for one in members for other in graph.node(one).apart]
            taken = cluster.taken if part == name else {}
            self._copy.put_cluster(part, Cluster(members, apart, taken), self.position)
        return names

    # The row

    def _row(self, undone: int) -> bytes:
        command = self.command
        return msgspec.json.encode(
            {
                "epoch": self.outputs.epoch,
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
                "moved": len(self._placement.changed),
                "note": command.note,
                "commanded_at": rfc3339(command.at_ms),
                "decided_at": rfc3339(self.record_ms),
            }
        )

    def _known(self, one: str) -> bool:
        return self._copy.node(one) is not None

    def _linked(self, pair: Pair) -> bool:
        return self._copy.get(key(b"l:", *pair), Link) is not None

    def _last(self, pair: Pair) -> LinkDecision:
        return link_of(self._copy, pair).last
