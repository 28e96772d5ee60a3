"""The graph: the identifiers that belong to one person.

It has one partition on purpose: links have a total order, the order of the log `identity.links`.
Its input is the links that have no verdict yet, and operators' splits. A link is decided once:

* *both kinds join*: the two sets become one person, unless that would put two values of a unique
  kind or more than the limit of a kind on one profile, one identifier joined too many people within
  a day, or an operator split one side from the other. Then the link is refused and both sides keep
  their profiles.
* *one kind follows*, or *both follow and differ*: the link is stored, and the weaker group follows
  its host (`processors.graph.placement`). A group linked with different people belongs to none of
  them.
* *both are of one kind that follows*: they form one group and follow together.

A follower's profile is derived only from its links, whatever their order. A split voids links,
which then are as if they had never been, and blocks new ones until it is lifted
(`processors.graph.splitting`). Links of a source that is not trusted are refused; the same link
from another source is decided.

Answers are absolute and versioned by the position in the log that changed them; every link is
answered, also when it is requested again. On a replay of a position its decisions are published
again.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field

from processors.graph.identity_graph import IdentityGraph
from processors.graph.linking import LinkDecider
from processors.graph.outputs import GraphOutputs
from processors.graph.rows import key
from processors.graph.splitting import SplitHandler
from processors.graph.withdrawal import WithdrawalHandler
from processors.graph.working_copy import WorkingCopy
from processors.stage import Decision, Record, Store, Tick
from schemas import messages, topics
from schemas.identifiers import IdentityPolicy, identifier_id


@dataclass(frozen=True, slots=True)
class GraphStage:
    """The stage `graph`; see the module."""

    epoch: int
    policy: IdentityPolicy = field(default_factory=IdentityPolicy)
    #: Sources whose touches join nobody and let nothing follow (`links: false`).
    untrusted: frozenset[str] = frozenset()
    #: Refused links that one record withdraws at most: its rows must fit one record batch.
    withdrawn_at_once: int = 500

    name = "graph"
    inputs = (topics.LINK_REQUESTS.name,)
    atomic = True
    timed = False
    deduplicates = False

    def decide(self, records: Sequence[Record], store: Store) -> Decision:
        """Decide links and splits in their order and answer each."""
        copy = WorkingCopy(store, self.epoch)
        graph = IdentityGraph(self.policy, copy)
        outputs = GraphOutputs(self.epoch, copy)
        requests = [(record, messages.decode_link(record.value)) for record in records]
        copy.load(_rows_of(message for _, message in requests))
        for record, message in requests:
            if isinstance(message, messages.Withdrawal):
                withdrawal = WithdrawalHandler(copy, outputs, record, message)
                withdrawal.decide(self.withdrawn_at_once)
            elif isinstance(message, messages.SplitCommand):
                split = SplitHandler(graph, outputs, record, message)
                split.decide(self.withdrawn_at_once)
            else:
                LinkDecider(graph, outputs, record, message).decide(self.untrusted)
        decision = Decision(rows=copy.changes(), outputs=outputs.outputs())
        decision.counts = outputs.counts
        return decision

    def tick(self, tick: Tick, store: Store) -> Decision:
        """Return an empty decision: nothing here depends on time."""
        return Decision()

    def deadline(self, key: bytes, value: bytes) -> int | None:
        """Return None: nothing here depends on time."""
        return None


def _rows_of(requests: Iterable[messages.LinkMessage]) -> Iterator[bytes]:
    """Yield the keys of the rows that requests read first."""
    for request in requests:
        if isinstance(request, messages.LinkRequest):
            lead = identifier_id(request.lead_kind, request.lead_value)
            other = identifier_id(request.kind, request.value)
            yield from (key(b"l:", lead, other), key(b"n:", lead), key(b"n:", other))
