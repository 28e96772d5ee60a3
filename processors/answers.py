"""What the graph publishes: whose identifiers are, verdicts on links, decisions, refusals."""

from __future__ import annotations

from typing import Any

import msgspec

from processors.identity_rows import Link, LinkDecision, Node, WorkingCopy, key, there
from processors.stage import Output
from schemas import messages, topics
from schemas.times import rfc3339

#: Reasons for which a policy refuses a link.
CONFLICTS = ("unique", "limit", "rate")


class Answers:
    """What a batch of links publishes: each identifier's latest assignment, each decision."""

    def __init__(self, epoch: int, copy: WorkingCopy) -> None:
        self.epoch = epoch
        self._copy = copy
        self._verdicts: dict[str, dict[str, None]] = {}
        self._rows: dict[tuple[str, str, str, int], Output] = {}
        self._rest: dict[bytes, Output] = {}
        self.counts: dict[str, int] = {}

    def count(self, name: str) -> None:
        """Count something for the metrics."""
        self.counts[name] = self.counts.get(name, 0) + 1

    def assignment(self, one: str) -> None:
        """Publish whose an identifier is at the end of the batch."""
        self._verdicts.setdefault(one, {})

    def verdict(self, lead: str, other: str) -> None:
        """Publish with the lead's assignment what stands of a link at the end of the batch."""
        self._verdicts.setdefault(lead, {})[other] = None

    def decided(self, lead: str, other: str, decision: LinkDecision) -> None:
        """Publish a decision about a link, and the conflict if it is one."""
        first, second = self._node(lead), self._node(other)
        common: dict[str, Any] = {
            "epoch": self.epoch,
            "identifier_id": other,
            "kind": second.kind,
            "value": second.value,
            "lead_id": lead,
            "lead_kind": first.kind,
            "lead_value": first.value,
            "reason": decision.reason,
            "occurred_at": rfc3339(decision.occurred_ms),
        }
        row = common | {
            "position": decision.position,
            "verdict": decision.outcome,
            "split_id": decision.split_id,
            "source": decision.source,
            "event_id": decision.event_id,
            "received_at": rfc3339(decision.received_ms),
            "decided_at": rfc3339(decision.decided_ms),
        }
        at = (lead, other, decision.position)
        self._rows[topics.VERDICTS.name, *at] = _output(topics.VERDICTS.name, lead, row)
        if decision.reason in CONFLICTS:
            conflict = common | {
                "profile_id": decision.stays,
                "other_profile_id": decision.other,
                "version": decision.position + 1,
            }
            self._rows[topics.CONFLICTS.name, *at] = _output(topics.CONFLICTS.name, other, conflict)

    def go_on(self, withdrawal: messages.Withdrawal) -> None:
        """Have the graph go on with a command when it has answered what came meanwhile."""
        key, value = withdrawal.split_id.encode(), messages.encode(withdrawal)
        self._rest[value] = Output(topics.LINKS.name, key, value, 0)

    def command(self, split_id: str, position: int, row: bytes) -> None:
        """Publish what an operator's command came to."""
        output = Output(topics.SPLITS.name, split_id.encode(), row)
        self._rows[topics.SPLITS.name, split_id, "", position] = output

    def outputs(self) -> list[Output]:
        """The records to publish."""
        out = []
        for one, others in self._verdicts.items():
            node = self._copy.node(one)
            if node is None:
                continue
            verdicts = {
                other: link.verdict()
                for other in others
                if (link := self._copy.get(key(b"l:", one, other), Link)) is not None
            }
            answer = messages.Assignment(
                one, node.kind, node.value, node.profile_id, node.version, node.linked_ms, verdicts
            )
            out.append(Output(topics.ASSIGNMENTS.name, one.encode(), messages.encode(answer)))
        return [*out, *self._rows.values(), *self._rest.values()]

    def _node(self, one: str) -> Node:
        return there(self._copy.node(one))


def _output(topic: str, identifier: str, row: dict[str, Any]) -> Output:
    return Output(topic, identifier.encode(), msgspec.json.encode(row))
