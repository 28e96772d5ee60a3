"""Requests for verdicts on links: which are open, and which are under way.

A touch asks the graph about each link it names, unless the verdict known here is final, or is not
open to its source. An unanswered request is not repeated, because the graph answers every link. A
touch received after the one that asked may need another decision: an operator's command may come
between. So its request is held until the answer shows whether the link is still open to it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from processors.stage import Decision, Output, Store
from processors.trails.rows import unpack_verdict, verdict_key
from processors.trails.touches import Touch
from schemas import messages, topics
from schemas.identifiers import identifier_id
from schemas.times import parse_receipt_ms

#: The most links that a partition remembers: asked and unanswered; answered finally.
MOST_REMEMBERED = 200_000

#: Id of the lead, kind and value of the other identifier.
Link = tuple[str, str, str]


class PendingRequest(NamedTuple):
    """An unanswered request: the receipt of its touch (ms), and the newest request since then."""

    received_ms: int
    held: messages.LinkRequest | None = None


@dataclass(slots=True)
class LinkMemory:
    """The partition's memory of links: `processors.stage.Store.memory` of the stage `trails`."""

    #: Key of the verdict's row -> source -> the request under way.
    pending: dict[bytes, dict[str, PendingRequest]] = field(default_factory=dict)
    #: Links whose verdict is final for every source; any other verdict clears it.
    final: set[Link] = field(default_factory=set)

    def bound(self) -> None:
        """Forget everything that has grown too large; at worst links are asked for again."""
        for memory in (self.pending, self.final):
            if len(memory) > MOST_REMEMBERED:
                memory.clear()


def request_verdicts(touches: Sequence[Touch], store: Store, decision: Decision) -> None:
    """Request the links that are open for the source of a touch, strongest first."""
    memory = store.memory(LinkMemory)
    memory.bound()
    links = _links(touches, memory.final)
    keys = {link: verdict_key(link[0], identifier_id(*link[1:])) for link, _ in links}
    known = dict(zip(keys, store.get_many(list(keys.values())), strict=True))
    for link, touch in links:
        key, stored, source = keys[link], known[link], touch.row.source
        verdict = None if stored is None else unpack_verdict(stored)
        if verdict is not None and verdict.sources is None:
            memory.final.add(link)
            continue
        received_ms = parse_receipt_ms(touch.row.received_at)
        if verdict is not None and not verdict.open_to(source, received_ms):
            continue
        pending = memory.pending.get(key, {}).get(source)
        if pending is None or (verdict is not None and received_ms > pending.received_ms):
            decision.outputs.append(_output(_request(touch, *link[1:])))
            pending = PendingRequest(received_ms)
        elif received_ms > pending.received_ms:
            pending = PendingRequest(pending.received_ms, _request(touch, *link[1:]))
        memory.pending.setdefault(key, {})[source] = pending


def answer_arrived(
    key: bytes, verdict: messages.Verdict, memory: LinkMemory, decision: Decision
) -> None:
    """End the requests that a verdict answers, and send those held for a link that is still open.

    `key` is that of the verdict's row.
    """
    for source, pending in memory.pending.pop(key, {}).items():
        held = pending.held
        if held is not None and verdict.open_to(source, held.received_ms):
            decision.outputs.append(_output(held))
            memory.pending.setdefault(key, {})[source] = PendingRequest(held.received_ms)


def _links(touches: Sequence[Touch], final: set[Link]) -> list[tuple[Link, Touch]]:
    """Return the links that touches name, but those with a final verdict for every source."""
    links = []
    for touch in touches:
        row = touch.row
        lead_kind, lead_value, lead_id = row.lead_kind, row.lead_value, row.lead_id
        for kind, values in row.identifiers.items():
            for value in values:
                link = (lead_id, kind, value)
                if link not in final and (kind != lead_kind or value != lead_value):
                    links.append((link, touch))
    return links


def _request(touch: Touch, kind: str, value: str) -> messages.LinkRequest:
    row = touch.row
    return messages.LinkRequest(
        row.lead_kind,
        row.lead_value,
        kind,
        value,
        row.source,
        row.event_id,
        touch.at_ms,
        parse_receipt_ms(row.received_at),
    )


def _output(request: messages.LinkRequest) -> Output:
    lead = identifier_id(request.lead_kind, request.lead_value)
    return Output(topics.LINK_REQUESTS.name, lead.encode(), messages.encode(request), 0)
