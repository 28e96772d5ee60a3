"""A segment's answer about a profile, with names."""

from __future__ import annotations

from typing import NamedTuple

from processors.segments import Segment
from processors.segments.profile_view import ProfileView
from processors.segments.truth import NEVER


class Verdict(NamedTuple):
    """Membership of a profile in a segment now, and the moment to ask again.

    As long as the profile stays as it is, the answer is the same at every moment before `next_ms`
    (always later than the moment asked about; None: for ever).
    """

    is_member: bool
    next_ms: int | None


def evaluate(segment: Segment, view: ProfileView, now_ms: int) -> Verdict:
    """Return whether the profile is a member at `now_ms` (ms since 1970)."""
    holds, until = segment.test(view, now_ms)
    return Verdict(holds, None if until >= NEVER else until)
