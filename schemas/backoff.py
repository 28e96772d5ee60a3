"""The length of pauses between attempts: the one rule by which every process tries again.

It is here, although nothing of it travels, because ingest, processors, sinks and deploy share no
other package. Waiting is left to each of them: one blocks a thread, one awaits, one only looks.
"""

from __future__ import annotations

#: More doublings reach any limit.
_MOST_DOUBLINGS = 32


def backoff_s(failures: int, *, first_s: float, longest_s: float) -> float:
    """Return the pause after some failures in a row, in seconds: doubled each time, bounded.

    `failures` are those before the last one: with 0 the pause is `first_s`.
    """
    return min(longest_s, first_s * 2.0 ** min(failures, _MOST_DOUBLINGS))
