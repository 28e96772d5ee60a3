"""What the graph publishes: whose identifiers are, verdicts on links, refusals."""

from __future__ import annotations

import msgspec

from processors.identity_rows import Link, Node, WorkingCopy, key
from processors.stage import Output
from schemas import messages, topics
from schemas.identifiers import identifier_id
from schemas.times import rfc3339


class Answers:
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
