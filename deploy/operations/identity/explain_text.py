"""The output of `touchline identity explain` for a person, line by line."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from deploy.operations.identity.explain import Explanation
from deploy.operations.identity.log import Link
from schemas.identifiers import Identifier

#: Links shown of one list; `--json` has all.
MOST = 20
WHY_REFUSED = {
    "unique": "each side has an identifier of which one person has only one",
    "limit": "together they would have more identifiers of a kind than one person may",
    "rate": "one of the two had joined too many people within a day",
    "split": "an operator split the two sides from each other",
    "source": "touches of this source may not join them (links: false, or an operator split it)",
}
WHY_NOBODY = {
    "several": "linked with {n} people, so it belongs to none of them",
    "room": "linked with one person, who has no room for more of its kind",
    "split": "split by an operator from whom it was linked with",
    "alone": "never named together with an identifier that makes a person",
}


def explanation(it: Explanation) -> Iterator[str]:
    """Yield the profile; its links; links outside of it, with the reasons; and its splits."""
    count = len(it.identifiers)
    yield f"profile {it.profile_id}"
    yield f"identifiers ({count}), the strongest first"
    for one in it.identifiers:
        yield f"  {name(one)}"
    if it.nobody is not None:
        yield "nobody's: " + WHY_NOBODY[it.nobody.reason].format(n=len(it.nobody.people))
        people = list(it.nobody.people.items())
        yield from _some(people, lambda found: f"{_pair(found[1])}, profile {found[0]}")
    if count > 1:
        yield "held together by (each was named with the one above it; times are UTC)"
        yield from _tree(it)
        if it.further:
            yield f"further links that say the same: {len(it.further)}"
            yield from _some(it.further, _pair)
    yield from _list("also named with, but no part of it", it.outside * (not it.nobody), it)
    yield from _list("refused", it.refused, it, WHY_REFUSED)
    yield from _list("open until a touch names both again", it.withdrawn, it)
    if it.splits:
        yield "splits"
    for split in it.splits:
        yield from _split(split, it.voided)
    if not it.complete:
        yield "there is more than is shown here; see touchline_bi.identity_links"


def name(one: Identifier) -> str:
    """Return an identifier in the form that the commands accept."""
    return f"{one.kind}:{one.value}"


def touch(link: Link) -> str:
    """Describe the touch that named both ends."""
    return f"{link.source}, event {link.event_id} of {link.occurred_at}"


def some_links(found: Sequence[Link]) -> Iterator[str]:
    """Yield the first links of a list, and the number of the others."""
    yield from _some(found, _pair)


def _tree(it: Explanation) -> Iterator[str]:
    below: dict[Identifier, list[Identifier]] = {}
    for one, link in it.towards.items():
        below.setdefault(link.opposite(one), []).append(one)
    waiting = [(it.identifiers[0], 1)]
    while waiting:
        one, depth = waiting.pop()
        line = f"{'  ' * depth}{name(one)}"
        if one in it.towards:
            link = it.towards[one]
            line = f"{line:<40}  {touch(link)}, decided {link.decided_at}"
        yield line
        waiting += [(child, depth + 1) for child in reversed(below.get(one, []))]
    for one in it.unexplained():
        yield f"  {name(one):<38}  by a link that is not recorded"


def _list(
    title: str, found: Sequence[Link], it: Explanation, why: dict[str, str] | None = None
) -> Iterator[str]:
    if not found:
        return

    def line(link: Link) -> str:
        far = link.other if it.profiles.get(link.lead) == it.profile_id else link.lead
        whose = f"; {name(far)} has profile {it.profiles[far]}" if far in it.profiles else ""
        said = f": {why.get(link.reason, link.reason)}" if why else ""
        return _pair(link) + whose * (it.profiles.get(far) != it.profile_id) + said

    yield f"{title}: {len(found)}"
    yield from _some(found, line)


def _split(row: dict[str, Any], voided: Iterable[Link]) -> Iterator[str]:
    what = f"{row['kind']}:{row['value']}"
    if row["lead_kind"]:
        what += f" from {row['lead_kind']}:{row['lead_value']}"
    elif row["against"]:
        what += f" from {', '.join(row['against'][:MOST])}"
    what += f" for touches of {row['source']}" if row["source"] else ""
    state = ", stands" if row["stands"] else ", lifted since" * (row["action"] == "split")
    note = f" ({row['note']})" if row["note"] else ""
    yield f"  {row['commanded_at']}  {row['action']} {what}{note}{state}; id {row['split_id']}"
    undone = [link for link in voided if link.split_id == row["split_id"]]
    for line in _some(undone, lambda link: f"undid {_pair(link)}"):
        yield f"  {line}"


def _pair(link: Link) -> str:
    return f"{name(link.lead)} with {name(link.other)}  ({touch(link)})"


def _some(found: Sequence[Any], line: Any) -> Iterator[str]:
    for one in found[:MOST]:
        yield f"  {line(one)}"
    if len(found) > MOST:
        yield f"  and {len(found) - MOST} more"
