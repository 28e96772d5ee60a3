"""The fault table."""

from __future__ import annotations

import statistics
from collections.abc import Sequence

from tests.faults.harness import Round

_HEAD = (
    "| fault | rounds | events | lost | doubled | caught up in, p50 | at most | failed |\n"
    "| --- | --- | --- | --- | --- | --- | --- | --- |"
)
PAIRS = "two at a time"


def table(rounds: Sequence[Round]) -> str:
    """A line for each fault that was alone, one for all pairs, and the sum."""
    kinds: dict[str, list[Round]] = {}
    for one in rounds:
        kinds.setdefault(one.faults[0] if len(one.faults) == 1 else PAIRS, []).append(one)
    names = sorted(kinds, key=lambda name: (name == PAIRS, name))
    lines = [_line(name, kinds[name]) for name in names]
    return "\n".join([_HEAD, *lines, _line("**all**", rounds)])


def _line(name: str, rounds: Sequence[Round]) -> str:
    times = [one.catch_up_s for one in rounds if one.catch_up_s] or [0.0]
    cells = (
        name,
        len(rounds),
        f"{sum(one.events for one in rounds):,}",
        sum(one.lost for one in rounds),
        sum(one.doubled for one in rounds),
        f"{statistics.median(times):.1f} s",
        f"{max(times):.1f} s",
        sum(bool(one.problems) for one in rounds),
    )
    return f"| {' | '.join(map(str, cells))} |"
