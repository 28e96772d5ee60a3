"""Splitting many links at once, chosen by the touches that made them, and lifting such a split."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from deploy.operations.identity.log import IdentityLog, LinkSelection
from deploy.operations.identity.split import Commands, Order, SplitError, wait_until_seen
from ingest.publishing.port import NotAcknowledged
from schemas.identifiers import Identifier

#: Links that are read, commanded and held in memory at once.
PAGE = 1_000
SAMPLE = 20


class SplitTarget(NamedTuple):
    """One command of a split of many: an identifier or a link, and the source that it concerns."""

    one: Identifier
    lead: Identifier | None
    source: str
    #: Source of the touch that made the link, if known.
    touched: str


@dataclass(slots=True)
class LinkCount:
    """The number of links of a selection."""

    links: int = 0
    #: (source, kind of the lead, kind) -> links.
    by: Counter[tuple[str, str, str]] = field(default_factory=Counter)
    sample: list[tuple[Identifier, Identifier]] = field(default_factory=list)


def holding(log: IdentityLog, selection: LinkSelection) -> Iterator[list[SplitTarget]]:
    """Yield the links of a selection that hold, to be split."""
    for page in log.holding(selection, PAGE):
        yield [SplitTarget(link.other, link.lead, selection.source, link.source) for link in page]


def active_splits(
    log: IdentityLog, selection: LinkSelection, split_id: str
) -> Iterator[list[SplitTarget]]:
    """Yield the standing splits, to be lifted: those of an id, or else of a selection's links."""
    for page in log.active_splits(selection, PAGE, split_id):
        yield [
            SplitTarget(
                Identifier(row.kind, row.value),
                Identifier(row.lead_kind, row.lead_value) if row.lead_kind else None,
                row.source,
                row.source,
            )
            for row in page
        ]


def count(
    pages: Iterable[Sequence[SplitTarget]], each: Callable[[Sequence[SplitTarget]], None]
) -> LinkCount:
    """Count the items of all pages and pass each page on. Memory is bounded by one page."""
    total = LinkCount()
    for page in pages:
        each(page)
        total.links += len(page)
        for item in page:
            lead_kind = item.lead.kind if item.lead else ""
            total.by[item.touched, lead_kind, item.one.kind] += 1
            if len(total.sample) < SAMPLE:
                total.sample.append((item.lead or item.one, item.one))
    return total


def split_many(
    log: IdentityLog,
    commands: Commands,
    pages: Iterable[Sequence[SplitTarget]],
    order: Order,
    *,
    pause: bool,
) -> LinkCount:
    """Send one command for each item, and wait until the views show all results.

    `pause`: wait after each page too, because the broker cannot hold all of them. If interrupted,
    the same call again commands the remaining items. Raises SplitError.
    """
    sent = 0

    def send(page: Sequence[SplitTarget]) -> None:
        nonlocal sent
        try:
            commands.send([order.command(item.one, item.lead, item.source) for item in page])
        except NotAcknowledged as error:
            raise SplitError(
                f"{error}; {sent} commands were sent before, under the id {order.split_id}: give "
                "the same command again for the rest"
            ) from error
        sent += len(page)
        if pause:
            wait_until_seen(log, commands, order, sent)

    total = count(pages, send)
    if total.links:
        wait_until_seen(log, commands, order, sent)
    return total
