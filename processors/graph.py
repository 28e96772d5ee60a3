"""The graph: which identifiers are one person.

One partition on purpose: links have a total order, the order of the log `identity.links`. Only
links that have no verdict yet come here. Each is decided once:

* *both kinds join*: the two sets become one person, unless that would put two values of a unique
  kind or more than the limit of a kind on one profile, or one identifier joined too many people
  within a day. Then it is refused and both stay where they are.
* *one follows*: the link is noted. The follower belongs to the person with whom all its links
  are; linked with different people it is nobody's, and has a profile of its own.
* *both follow*: those of one kind are one group and follow as one; of two kinds, the weaker one
  follows the stronger one while it was linked with no person itself.

Whose a follower is follows from the links alone, whatever their order. Answers are absolute and
versioned by the position of the link that changed them; every link is answered, again if asked
again.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from processors.answers import Answers
from processors.identity_rows import WorkingCopy
from processors.linking import Deciding
from processors.stage import Decision, Record, Store, Tick
from schemas import messages, topics
from schemas.identifiers import IdentityPolicy


@dataclass(frozen=True, slots=True)
class GraphStage:
    """The stage `graph`; see the module."""

    epoch: int
    policy: IdentityPolicy = field(default_factory=IdentityPolicy)

    name = "graph"
    inputs = (topics.LINKS.name,)
    atomic = True
    deduplicates = False

    def decide(self, records: Sequence[Record], store: Store) -> Decision:
        """Decide the links in their order and answer each."""
        copy = WorkingCopy(store, self.epoch)
        answers = Answers(self.epoch, copy)
        for record in records:
            request = messages.decode_link(record.value)
            Deciding(self.policy, copy, answers, record, request).decide()
        decision = Decision(rows=copy.changes(), outputs=answers.outputs())
        decision.counts = answers.counts
        return decision

    def tick(self, tick: Tick, store: Store) -> Decision:
        """Nothing here depends on time."""
        return Decision()

    def deadline(self, key: bytes, value: bytes) -> int | None:
        """Nothing here depends on time."""
        return None
