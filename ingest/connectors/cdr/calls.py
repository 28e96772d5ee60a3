"""Calls of several records: where the records of a call are, and the one touch that they become.

A telephone system writes a record for each leg of a call: each desk that rang, each transfer. They
may be far apart in a file, and in any order.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from ingest.connector import Result
from schemas.rejection import Rejection
from schemas.touchpoint import Touchpoint

#: Outcomes of the legs of a call, the one that counts for the call first; all others come last.
OUTCOMES = ("answered", "voicemail", "busy", "no_answer", "failed", "canceled")
#: Most records of a call, and bytes of them. More have an id in common by mistake: they stay apart.
MOST_LEGS = 1000
MOST_BYTES = 1024 * 1024
#: Reasons that other legs of the call make up for: a leg within the company, a number withheld.
_MADE_UP_FOR = frozenset({"unsupported", "no_identifier"})


class Leg(NamedTuple):
    """A record: its row number, and its first and last offset in the file."""

    number: int
    start: int
    end: int


class LegIndex:
    """The legs of the calls that have several, in a database on disk that nobody else sees.

    Memory does not grow with the file: SQLite keeps a few MB of pages.
    """

    def __init__(self, legs: Iterable[tuple[str, Leg]]) -> None:
        """Read all legs, each with the id of its call."""
        # Without a name: a file that is deleted when it is closed. A batch may be made in another
        # thread than the one before.
        self._database = sqlite3.connect("", check_same_thread=False, isolation_level=None)
        run = self._database.execute
        run("PRAGMA journal_mode = OFF")
        run("BEGIN")
        run("CREATE TABLE legs (call TEXT, number INTEGER PRIMARY KEY, start INTEGER, end INTEGER)")
        self._database.executemany(
            "INSERT INTO legs VALUES (?, ?, ?, ?)", ((call, *leg) for call, leg in legs)
        )
        run("CREATE INDEX by_call ON legs (call)")
        run(
            "CREATE TABLE calls AS SELECT call, max(number) AS last FROM legs GROUP BY call "
            "HAVING count(*) BETWEEN 2 AND ? AND sum(end - start) <= ?",
            (MOST_LEGS, MOST_BYTES),
        )
        run("CREATE UNIQUE INDEX by_id ON calls (call)")
        run("COMMIT")

    def __enter__(self) -> LegIndex:
        """Return the index."""
        return self

    def __exit__(self, *exception: object) -> None:
        """Delete the database."""
        self._database.close()

    def of_several(self, after: int) -> Iterator[tuple[int, str, bool]]:
        """Yield the rows behind a row that belong to a call of several, in the order of the file.

        Each with the id of the call, and True for the call's last one.
        """
        found = self._database.execute(
            "SELECT number, call, number = last FROM legs JOIN calls USING (call) "
            "WHERE number > ? ORDER BY number",
            (after,),
        )
        return ((number, call, bool(last)) for number, call, last in found)

    def legs(self, call: str) -> list[Leg]:
        """Return the legs of a call in the order of the file."""
        found = self._database.execute(
            "SELECT number, start, end FROM legs WHERE call = ? ORDER BY number", (call,)
        )
        return [Leg(*row) for row in found]


def call_of(touch: Touchpoint, column: str | None) -> str:
    """Return the id of the call of a leg's touch; of a leg without one an id of its own."""
    told = touch.properties.get(column or "linkedid")
    if told or column:
        return str(told or touch.event_id)
    return touch.event_id.removesuffix(f"-{touch.properties.get('sequence')}")


def one_touch_a_call(legs: list[Result], column: str | None, payload: bytes) -> Iterator[Result]:
    """Yield a touch for each call and customer of these legs, and what is wrong with others.

    The leg with the best outcome is the call's, of several the one with the longest talk. The call
    has the time and the id of its first leg, whatever the order in which they stand.
    """
    calls: dict[tuple[str, object], list[Touchpoint]] = {}
    refused: dict[str, Rejection] = {}
    for leg in legs:
        if isinstance(leg, Rejection):
            refused.setdefault(leg.detail, leg)
        else:
            calls.setdefault((call_of(leg, column), leg.identifiers), []).append(leg)
    for touches in calls.values():
        yield _joined(touches, payload) if len(touches) > 1 else touches[0]
    for rejection in refused.values():
        if not calls or rejection.reason not in _MADE_UP_FOR:
            yield rejection


def _joined(legs: list[Touchpoint], payload: bytes) -> Touchpoint:
    first = min(legs, key=_order)
    best = min(legs, key=lambda leg: (_rank(leg), -(leg.duration_s or 0), _order(leg)))
    call = best.model_copy(update={"event_id": first.event_id, "occurred_at": first.occurred_at})
    object.__setattr__(call, "original", payload)
    return call


def _rank(leg: Touchpoint) -> int:
    return OUTCOMES.index(leg.outcome) if leg.outcome in OUTCOMES else len(OUTCOMES)


def _order(leg: Touchpoint) -> tuple[float, int, str]:
    """Return a sort key by time; legs of one second have numbers in the order of their making."""
    time = leg.occurred_at.timestamp() if leg.occurred_at else 0.0
    sequence = str(leg.properties.get("sequence", ""))
    return time, int(sequence) if sequence.isdecimal() else 0, leg.event_id
