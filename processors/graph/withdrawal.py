"""Withdrawal of refused links by an operator's command, slice by slice; they are decided anew.

A command withdraws the refusals that concern its people. The many links of a shared number do not
fit one step, so the graph asks itself for the next slice in its own log.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal

from processors.graph.outputs import CONFLICTS, GraphOutputs
from processors.graph.rows import Link, LinkDecision, key
from processors.graph.working_copy import WorkingCopy, required
from processors.stage import Record
from schemas.messages import SplitCommand, Withdrawal

#: The reasons of refusals that a command withdraws, so that the links are decided anew.
_WITHDRAWN = (*CONFLICTS, "split")

#: A link: its lead and the other identifier.
Pair = tuple[str, str]


class WithdrawalHandler:
    """One slice of a command's withdrawal."""

    def __init__(
        self, copy: WorkingCopy, outputs: GraphOutputs, record: Record, withdrawal: Withdrawal
    ) -> None:
        self.copy = copy
        self.outputs = outputs
        self.record = record
        self.withdrawal = withdrawal

    def decide(self, at_once: int) -> None:
        """Reopen at most `at_once` links, schedule the rest, and publish those reopened here."""
        position, withdrawal = self.record.offset, self.withdrawal
        pairs = _links_with(self.copy, withdrawal.ends)
        old = [
            pair
            for pair in refused_links(self.copy, withdrawal.ends)
            if link_of(self.copy, pair).last.received_ms <= withdrawal.at_ms
        ]
        for pair in old[:at_once]:
            link = link_of(self.copy, pair)
            decide_by_command(link, "withdrawn", withdrawal, position, self.record.timestamp_ms)
            self.copy.put(key(b"l:", *pair), link, position)
        if len(old) > at_once:
            self.outputs.go_on(withdrawal)
        for pair in pairs:
            decision = link_of(self.copy, pair).at(position)
            if decision is not None:
                self.outputs.decided(*pair, decision)
                self.outputs.verdict(*pair)


def _links_with(copy: WorkingCopy, ends: Iterable[str]) -> dict[Pair, None]:
    """Return the links that have one of these identifiers as an end."""
    pairs: dict[Pair, None] = {}
    for one in ends:
        pairs |= {(one, other): None for other in copy.seconds(b"l:", one)}
        pairs |= {(lead, one): None for lead in copy.seconds(b"b:", one)}
    return pairs


def refused_links(copy: WorkingCopy, ends: Iterable[str]) -> list[Pair]:
    """Return those links that the policy or a split refuses."""
    lasts = ((pair, link_of(copy, pair).last) for pair in _links_with(copy, ends))
    return [p for p, last in lasts if last.outcome == "refused" and last.reason in _WITHDRAWN]


def link_of(copy: WorkingCopy, pair: Pair) -> Link:
    """Return a link. Raises LookupError if there is none."""
    return required(copy.get(key(b"l:", *pair), Link))


def decide_by_command(
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
