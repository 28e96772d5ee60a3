"""Conditions as functions of profile and time, and their combinations.

A `Test` tells whether a condition holds for a profile now, and until when that answer stands if
nothing but time passes: until a moment later than now, or `NEVER`. Up to that moment, exclusive,
the answer is the same; at that moment it is worth asking again. The moment may come before the
answer changes, never after.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from processors.segments.profile_view import ProfileView

NEVER = 2**63 - 1
Test = Callable[[ProfileView, int], tuple[bool, int]]

#: The number of times that a combination looks ahead for the moment when its own answer changes.
_LOOKS_AHEAD = 16


def negation(test: Test) -> Test:
    """Return a test that holds while `test` does not."""

    def negated(view: ProfileView, now_ms: int) -> tuple[bool, int]:
        holds, until = test(view, now_ms)
        return not holds, until

    return negated


def conjunction(tests: Sequence[Test]) -> Test:
    """Return a test that holds while all hold."""
    return _combination(tuple(tests), every=True)


def disjunction(tests: Sequence[Test]) -> Test:
    """Return a test that holds while at least one holds."""
    return _combination(tuple(tests), every=False)


def _combination(tests: tuple[Test, ...], every: bool) -> Test:
    """Return a test for all (`every`) or at least one of the tests.

    The latter is the same with true and false swapped. A test that returns `not every` decides the
    answer, which holds until the last of the deciding tests changes. If another test changes
    before, the answer may still remain; only then the tests are evaluated ahead.
    """

    def decide(view: ProfileView, now_ms: int) -> tuple[bool, int, bool]:
        others_until = NEVER
        decided_from, decided_until = NEVER, 0
        for test in tests:
            holds, until = test(view, now_ms)
            if holds is every:
                others_until = min(others_until, until)
            elif until == NEVER:
                return not every, NEVER, False
            else:
                decided_from, decided_until = min(decided_from, until), max(decided_until, until)
        if decided_until:
            doubtful = others_until <= decided_until or decided_from < decided_until
            return not every, decided_until, doubtful
        return every, others_until, False

    def combined(view: ProfileView, now_ms: int) -> tuple[bool, int]:
        answer, until, doubtful = decide(view, now_ms)
        looks = _LOOKS_AHEAD if doubtful else 0
        while looks and until != NEVER:
            then, following, _ = decide(view, until)
            if then is not answer:
                break
            until = following
            looks -= 1
        return answer, until

    return combined
