"""Chains of links within one person: for each identifier the link towards the strongest one.

Only links between kinds that join make people one, so those are searched first; followers
(browsers, devices) are then attached to the identifiers that they were seen with, or to each other.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Sequence

from deploy.operations.identity.log import Link
from schemas.identifiers import Identifier


def spanning_tree(
    members: Sequence[Identifier], links: Iterable[Link], joins: Callable[[str], bool]
) -> dict[Identifier, Link]:
    """Return member -> the link that ties it towards the strongest, the first of `members`.

    Each path to the strongest is a shortest one; among equals the links decided first are chosen. A
    member that no link reaches is missing. `links` hold and have both ends among the members;
    `joins` returns True for a kind that joins people.
    """
    ends: dict[Identifier, list[Link]] = {one: [] for one in members}
    for link in sorted(links, key=lambda link: link.position):
        ends[link.lead].append(link)
        ends[link.other].append(link)
    towards: dict[Identifier, Link] = {}
    reached = [members[0]]

    def spread(may: Callable[[Link, Identifier], bool]) -> None:
        waiting = deque(reached)
        while waiting:
            here = waiting.popleft()
            for link in ends[here]:
                there = link.opposite(here)
                if there != members[0] and there not in towards and may(link, there):
                    towards[there] = link
                    reached.append(there)
                    waiting.append(there)

    spread(lambda link, _: joins(link.lead.kind) and joins(link.other.kind))
    spread(lambda _, there: not joins(there.kind))
    return towards


def chain(one: Identifier, towards: dict[Identifier, Link]) -> list[Link]:
    """Return the links from a member to the strongest; empty for the strongest itself."""
    links = []
    while one in towards:
        links.append(towards[one])
        one = towards[one].opposite(one)
    return links
