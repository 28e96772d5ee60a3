"""The graph over a log of links in memory; every answer is checked for what it must keep."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from processors.graph.rows import Node
from processors.graph.stage import GraphStage
from processors.stage import Record
from schemas import messages, rows, topics
from schemas.identifiers import Identifier, IdentityPolicy, identifier_id
from schemas.times import HOUR_MS
from tests.support.pipeline import MemoryStore

START_MS = 1_780_000_000_000
Pair = tuple[Identifier, Identifier]


class Graph:
    """The stage over a store, with what it published so far."""

    def __init__(self, policy: IdentityPolicy, untrusted: frozenset[str] = frozenset()) -> None:
        self.stage = GraphStage(1, policy, untrusted)
        self.store = MemoryStore(self.stage)
        self.log: list[Record] = []
        self.published: dict[str, messages.Assignment] = {}
        self.verdicts: dict[tuple[str, str], messages.Verdict] = {}
        self.conflicts: list[dict[str, object]] = []
        self.decisions: dict[tuple[str, str, int], dict[str, object]] = {}
        self.commands: list[dict[str, object]] = []
        self.done = 0
        self.now_ms = START_MS

    def append(self, one: Pair, at_ms: int, source: str = "web") -> None:
        (kind, value), (other_kind, other_value) = one
        offset = len(self.log)
        request = messages.LinkRequest(
            kind, value, other_kind, other_value, source, f"e{offset}", at_ms, at_ms
        )
        self.record(identifier_id(*one[0]).encode(), request, at_ms)

    def record(self, key: bytes, message: messages.LinkMessage, at_ms: int) -> None:
        value = messages.encode(message)
        self.log.append(Record(topics.LINK_REQUESTS.name, 0, len(self.log), at_ms, key, value))

    def command(
        self,
        one: Identifier,
        lead: Identifier | None = None,
        *,
        lift: bool = False,
        source: str = "",
        against: Sequence[Identifier] = (),
    ) -> list[messages.Assignment]:
        """An operator's split or lift; the answers."""
        split_id = f"s{len(self.log)}"
        command = messages.SplitCommand(
            split_id, lift, self.now_ms, *one, *(lead or ("", "")), source,
            [(other.kind, other.value) for other in against],
        )  # fmt: skip
        self.record(split_id.encode(), command, self.now_ms)
        return self._new()

    def see(self, *identifiers: Identifier, source: str = "web") -> list[messages.Assignment]:
        """A touch that names these: its lead is linked with each other one; the answers."""
        lead, *others = sorted(identifiers, key=self.stage.policy.strength)
        for other in others:
            self.append((lead, other), self.now_ms, source)
        return self._new()

    def _new(self) -> list[messages.Assignment]:
        batch, self.done = self.log[self.done :], len(self.log)
        return self.process(batch)

    def process(self, batch: list[Record]) -> list[messages.Assignment]:
        """Decide a batch and check what every answer must keep."""
        decision = self.stage.decide(batch, self.store)
        assert None not in decision.rows.values(), "rows of the graph are never deleted"
        for out in decision.outputs:
            if out.topic == topics.LINK_REQUESTS.name:
                offset = len(self.log)
                self.log.append(
                    Record(topics.LINK_REQUESTS.name, 0, offset, self.now_ms, out.key, out.value)
                )
        self.store.apply(decision)
        self.conflicts += [
            msgspec.json.decode(out.value)
            for out in decision.outputs
            if out.topic == topics.CONFLICTS.name
        ]
        for out in decision.outputs:
            if out.topic == topics.LINK_VERDICTS.name:
                row = msgspec.json.decode(out.value)
                at = (row["lead_id"], row["identifier_id"], row["position"])
                assert self.decisions.setdefault(at, row) == row
        self.commands += [
            msgspec.json.decode(out.value)
            for out in decision.outputs
            if out.topic == topics.SPLITS.name
        ]
        answers = [
            messages.decode_assignment(out.value)
            for out in decision.outputs
            if out.topic == topics.ASSIGNMENTS.name
        ]
        for answer in answers:
            before = self.published.get(answer.identifier_id)
            if before is not None:
                assert answer.version >= before.version
                if answer.version == before.version:
                    assert answer.profile_id == before.profile_id
            self.published[answer.identifier_id] = answer
            for other, verdict in answer.verdicts.items():
                known = self.verdicts.get((answer.identifier_id, other))
                if known is not None:
                    assert verdict.position >= known.position
                    assert verdict.position > known.position or verdict == known
                self.verdicts[answer.identifier_id, other] = verdict
        by_id = {answer.identifier_id: answer for answer in answers}
        for record in batch:
            asked = messages.decode_link(record.value)
            if not isinstance(asked, messages.LinkRequest):
                continue
            other = identifier_id(asked.kind, asked.value)
            assert other in by_id
            assert other in by_id[identifier_id(asked.lead_kind, asked.lead_value)].verdicts
        return answers

    def nodes(self) -> dict[Identifier, str]:
        decode = msgspec.msgpack.Decoder(Node).decode
        found = [
            decode(row[rows.SIZE :]) for key, row in self.store.rows.items() if key[:2] == b"n:"
        ]
        return {node.identifier: node.profile_id for node in found}

    def people(self) -> set[frozenset[str]]:
        """The values of the identifiers of each profile."""
        found: dict[str, set[str]] = {}
        for one, profile_id in self.nodes().items():
            found.setdefault(profile_id, set()).add(one.value)
        return {frozenset(values) for values in found.values()}

    def profile(self, one: Identifier) -> str:
        return self.nodes()[one]


def later(graph: Graph) -> None:
    """An hour passes."""
    graph.now_ms += HOUR_MS


def split(graph: Graph, one: Identifier, **how: Any) -> list[messages.Assignment]:
    """Carry out a command an hour after what was before it; then another hour passes."""
    later(graph)
    answers = graph.command(one, **how)
    later(graph)
    return answers
