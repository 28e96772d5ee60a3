"""Output of `touchline identity split`: lines for people, documents for programs."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict
from typing import Any

from deploy.operations.identity.explain_text import MOST, name, some_links
from deploy.operations.identity.log import CommandResult, Link
from deploy.operations.identity.split import SplitPlan, SplitResult
from deploy.operations.identity.split_many import LinkCount


def planned(plan: SplitPlan) -> Iterator[str]:
    """Yield the effect that a split of one identifier would have."""
    what = "open again" if plan.lift else "undo"
    yield f"would {what}: {_some(len(plan.links), 'link')} of {name(plan.identifier)}"
    yield from some_links(plan.links)


def done(plan: SplitPlan, what: SplitResult) -> Iterator[str]:
    """Yield the effect of a split of one identifier, and the command that lifts it."""
    one = name(plan.identifier)
    did = "lifted" if plan.lift else "split"
    undid = "open until a touch names both again" if plan.lift else "undone"
    links, moved = _some(len(what.links), "link"), _some(len(what.moved), "identifier")
    yield f"{did} {one}: {links} {undid}, {moved} moved"
    yield from some_links(what.links)
    for identifier, profile_id in list(what.moved.items())[:MOST]:
        yield f"  {name(identifier)} has profile {profile_id} now"
    if len(what.moved) > MOST:
        yield f"  and {len(what.moved) - MOST} more moved"
    if not plan.lift:
        yield f"to lift it: touchline identity split {one} --lift"


def counted(total: LinkCount, *, lift: bool) -> Iterator[str]:
    """Yield the effect that a split of many links would have."""
    what = "open again" if lift else "undo"
    yield f"would {what}: {_some(total.links, 'link')}; give --apply to do it"
    for (source, lead_kind, kind), links in sorted(total.by.items()):
        pair = f"{lead_kind} with {kind}" if lead_kind else f"{kind} with its person"
        yield f"  {links:>8}  {source or 'every source'}: {pair}"
    if total.sample:
        yield "for instance"
    for lead, one in total.sample:
        yield f"  {name(lead)} with {name(one)}" if lead != one else f"  {name(one)}"


def applied(total: LinkCount, split_id: str, result: CommandResult, *, lift: bool) -> Iterator[str]:
    """Yield the effect of a split of many links, and the command that lifts it."""
    if not total.links:
        yield "no links: nothing was done"
        return
    undid = "open until a touch names both again" if lift else "undone"
    yield f"{_some(result.voided, 'link')} {undid}, {_some(result.moved, 'move')}; id {split_id}"
    if not lift:
        yield f"to lift it: touchline identity split --lift --split-id {split_id} --apply"


def plan_json(plan: SplitPlan) -> dict[str, Any]:
    """Return `planned` for programs."""
    return {
        "action": "lift" if plan.lift else "split",
        "applied": False,
        "identifier": plan.identifier._asdict(),
        "links": [_link(link) for link in plan.links],
    }


def done_json(plan: SplitPlan, what: SplitResult) -> dict[str, Any]:
    """Return `done` for programs."""
    return plan_json(plan) | {
        "applied": True,
        "split_id": what.split_id,
        "links": [_link(link) for link in what.links],
        "moved": [
            one._asdict() | {"profile_id": profile, "profile_id_before": plan.profiles[one]}
            for one, profile in what.moved.items()
        ],
    }


def count_json(
    total: LinkCount, *, lift: bool, split_id: str = "", result: CommandResult | None = None
) -> dict[str, Any]:
    """Return `counted` or, if `result` is given, `applied` for programs."""
    return {
        "action": "lift" if lift else "split",
        "applied": result is not None,
        "links": total.links,
        "by": [
            {"source": source, "lead_kind": lead_kind, "kind": kind, "links": links}
            for (source, lead_kind, kind), links in sorted(total.by.items())
        ],
        "sample": [[lead._asdict(), one._asdict()] for lead, one in total.sample],
    } | (
        {}
        if result is None
        else {"split_id": split_id, "voided": result.voided, "moved": result.moved}
    )


def _some(count: int, what: str) -> str:
    return f"{count:,} {what}" + "s" * (count != 1)


def _link(link: Link) -> dict[str, Any]:
    ends = {"lead": link.lead._asdict(), "other": link.other._asdict()}
    return asdict(link) | ends
