"""How the identifiers of one person hang together: for each the link to one nearer the strongest.

Only links between kinds that join make people one, so those are looked at first; followers
(browsers, devices) then hang on whom they were seen with, or on each other.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Sequence

from deploy.operations.identity.log import Link
from schemas.identifiers import Identifier


def hang_together(
    members: Sequence[Identifier], links: Iterable[Link], joins: Callable[[str], bool]
) -> dict[Identifier, Link]:
    """Member -> the link that ties it towards the strongest, which is the first of `members`.

    Each way to the strongest is as short as can be; of equal ones the links decided first stand.
    A member that no link reaches is missing. `links` hold and have both ends among the members;
    `joins` says of a kind whether it joins people.
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
    """The links from a member to the strongest; empty for the strongest itself."""
    links = []
    while one in towards:
        links.append(towards[one])
        one = towards[one].opposite(one)
    return links
