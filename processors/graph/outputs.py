"""The output of the graph: assignments of identifiers, verdicts on links, decisions, refusals."""

from __future__ import annotations

import msgspec

from processors.graph.rows import Link, LinkDecision, key
from processors.graph.working_copy import WorkingCopy
from processors.stage import Output
from schemas import messages, topics
from schemas.times import rfc3339

#: Reasons for which a policy refuses a link.
CONFLICTS = ("unique", "limit", "rate")


_encode = msgspec.json.Encoder().encode


class _VerdictRow(msgspec.Struct):
    """A row of `identity_verdicts`."""

    epoch: int
    identifier_id: str
    kind: str
    value: str
    lead_id: str
    lead_kind: str
    lead_value: str
    reason: str
    occurred_at: str
    position: int
    verdict: str
    split_id: str
    source: str
    event_id: str
    received_at: str
    decided_at: str


class _ConflictRow(msgspec.Struct):
    """A row of `identity_conflicts`."""

    epoch: int
    identifier_id: str
    kind: str
    value: str
    lead_id: str
    lead_kind: str
    lead_value: str
    reason: str
    occurred_at: str
    profile_id: str
    other_profile_id: str
    version: int


class GraphOutputs:
    """The records that a batch of links publishes: the latest assignments, each decision."""

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
        """Publish the assignment of an identifier as of the end of the batch."""
        self._verdicts.setdefault(one, {})

    def verdict(self, lead: str, other: str) -> None:
        """Publish the verdict on a link as of the end of the batch, with the lead's assignment."""
        self._verdicts.setdefault(lead, {})[other] = None

    def decided(self, lead: str, other: str, decision: LinkDecision) -> None:
        """Publish a decision about a link, and also the conflict if it is one."""
        first, second = self._copy.nodes[lead], self._copy.nodes[other]
        occurred_at = rfc3339(decision.occurred_ms)
        row = _VerdictRow(
            self.epoch, other, second.kind, second.value, lead, first.kind, first.value,
            decision.reason, occurred_at, decision.position, decision.outcome, decision.split_id,
            decision.source, decision.event_id, rfc3339(decision.received_ms),
            rfc3339(decision.decided_ms),
        )  # fmt: skip
        at = (lead, other, decision.position)
        self._rows[topics.LINK_VERDICTS.name, *at] = _output(topics.LINK_VERDICTS.name, lead, row)
        if decision.reason in CONFLICTS:
            conflict = _ConflictRow(
                self.epoch, other, second.kind, second.value, lead, first.kind, first.value,
                decision.reason, occurred_at, decision.stays, decision.other,
                decision.position + 1,
            )  # fmt: skip
            self._rows[topics.CONFLICTS.name, *at] = _output(topics.CONFLICTS.name, other, conflict)

    def go_on(self, withdrawal: messages.Withdrawal) -> None:
        """Ask the graph to continue a withdrawal after the records that arrived meanwhile."""
        key, value = withdrawal.split_id.encode(), messages.encode(withdrawal)
        self._rest[value] = Output(topics.LINK_REQUESTS.name, key, value, 0)

    def command(self, split_id: str, position: int, row: bytes) -> None:
        """Publish the result of an operator's command."""
        output = Output(topics.SPLITS.name, split_id.encode(), row)
        self._rows[topics.SPLITS.name, split_id, "", position] = output

    def outputs(self) -> list[Output]:
        """Return the records to publish."""
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


def _output(topic: str, identifier: str, row: msgspec.Struct) -> Output:
    return Output(topic, identifier.encode(), _encode(row))
