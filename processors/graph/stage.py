"""The graph: which identifiers are one person.

One partition on purpose: links have a total order, the order of the log `identity.links`. Only
links that have no verdict yet come here, and operators' splits. A link is decided once:

* *both kinds join*: the two sets become one person, unless that would put two values of a unique
  kind or more than the limit of a kind on one profile, one identifier joined too many people within
  a day, or an operator split one side from the other. Then it is refused and both stay where they
  are.
* *one follows*, or *both of two kinds*: the link is noted, and the weaker group follows its host
  (`processors.graph.placing`). Linked with different people it is nobody's.
* *both of one kind that follows*: they are one group and follow as one.

Whose a follower is follows from the links alone, whatever their order. A split voids links, which
then are as if they had never been, and stands against new ones until it is lifted
(`processors.graph.splitting`). A source that is not trusted has its links refused; those of another
source are decided.

Answers are absolute and versioned by the position in the log that changed them; every link is
answered, again if asked again. On a replay of a position all that was decided there is said again.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field

from processors.graph.answers import Answers
from processors.graph.linking import Deciding
from processors.graph.rows import WorkingCopy, key
from processors.graph.splitting import Splitting, Withdrawing
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
    inputs = (topics.LINKS.name,)
    atomic = True
    timed = False
    deduplicates = False

    def decide(self, records: Sequence[Record], store: Store) -> Decision:
        """Decide links and splits in their order and answer each."""
        copy = WorkingCopy(store, self.epoch)
        answers = Answers(self.epoch, copy)
        asked = [(record, messages.decode_link(record.value)) for record in records]
        copy.load(_rows_of(message for _, message in asked))
        for record, message in asked:
            if isinstance(message, messages.Withdrawal):
                Withdrawing(copy, answers, record, message).decide(self.withdrawn_at_once)
            elif isinstance(message, messages.SplitCommand):
                split = Splitting(self.policy, copy, answers, record, message)
                split.decide(self.withdrawn_at_once)
            else:
                Deciding(self.policy, copy, answers, record, message).decide(self.untrusted)
        decision = Decision(rows=copy.changes(), outputs=answers.outputs())
        decision.counts = answers.counts
        return decision

    def tick(self, tick: Tick, store: Store) -> Decision:
        """Nothing here depends on time."""
        return Decision()

    def deadline(self, key: bytes, value: bytes) -> int | None:
        """Nothing here depends on time."""
        return None


def _rows_of(asked: Iterable[messages.LinkMessage]) -> Iterator[bytes]:
    """The rows that requests begin with."""
    for request in asked:
        if isinstance(request, messages.LinkRequest):
            lead = identifier_id(request.lead_kind, request.lead_value)
            other = identifier_id(request.kind, request.value)
            yield from (key(b"l:", lead, other), key(b"n:", lead), key(b"n:", other))
