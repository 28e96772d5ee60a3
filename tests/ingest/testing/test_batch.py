"""The suite for files: a connector that keeps its promises, and some that break one."""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from ingest.connector import (
    BatchConnector,
    Context,
    Options,
    Position,
    Result,
    touchpoint,
)
from ingest.kit.fields import decode
from ingest.testing.batch import BatchConnectorSuite
from ingest.testing.values import MARK
from schemas.rejection import Rejection

PASSWORD, OWN = "not-to-be-shown", "shop@own.example"
GOOD = b'{"email": "a@example.com"}\n'
CONTENTS = {"three": GOOD + b'{"email": "b@example.com"}\n' + GOOD, "one": GOOD}
BROKEN = {"two": (GOOD + b'{"email": 5}\n{' + MARK.encode() + b"\n" + GOOD, 2)}
_NUMBERS = itertools.count()


class VisitOptions(Options):
    file: Path


class Visits(BatchConnector):
    """A visit a line, as JSON; two lines a batch. The cursor is the number of lines read."""

    name = "visits"
    doc = "Store: visits, a line each"
    options = VisitOptions

    def __init__(self, options: VisitOptions) -> None:
        self._options = options

    def read(
        self, cursor: str | None, context: Context
    ) -> Iterator[tuple[Sequence[Result], Position]]:
        lines = self._options.file.read_bytes().split(b"\n")
        for start in range(int(cursor or 0), len(lines), 2):
            end = min(start + 2, len(lines))
            numbered = enumerate(lines[start:end], start)
            results = [self.visit(number, line) for number, line in numbered if line.strip()]
            yield results, self.position(end, end / len(lines))

    def position(self, read: int, progress: float) -> Position:
        return Position(str(read), progress)

    def visit(self, number: int, line: bytes) -> Result:
        found = decode(line)
        if not isinstance(found, dict):
            return Rejection("unreadable", "the line: is not a JSON object", line)
        person = {"kind": "email", "value": found.get("email")}
        return touchpoint(
            {
                "event_id": f"{self._options.file.name}:{number}",
                "channel": "store",
                "type": "store_visited",
                "identifiers": [person],
            },
            line,
        )


class VisitContract(BatchConnectorSuite):
    name = "visits"
    contents = CONTENTS
    broken = BROKEN
    secrets = (PASSWORD,)
    own = (("email", OWN),)
    connector = Visits

    def make(self, content: bytes, folder: Path) -> BatchConnector:
        file = folder / "visits.jsonl"
        file.write_bytes(content)
        return self.connector(VisitOptions(file=file))


class TestVisits(VisitContract):
    def test_is_found_by_its_entry_point(self, tmp_path: Path):
        """It is not installed."""


class SkipsALine(Visits):
    def position(self, read: int, progress: float) -> Position:
        return Position(str(read + 1), progress)


class TellsItsPassword(Visits):
    def position(self, read: int, progress: float) -> Position:
        return Position(f"{read}", progress) if read < 2 else Position(PASSWORD, progress)


class CountsBackwards(Visits):
    def position(self, read: int, progress: float) -> Position:
        return Position(str(read), 1 - progress)


class FailsAtABadLine(Visits):
    def visit(self, number: int, line: bytes) -> Result:
        json.loads(line)["email"]
        return super().visit(number, line)


class RepeatsTheLine(Visits):
    def visit(self, number: int, line: bytes) -> Result:
        found = super().visit(number, line)
        return Rejection("invalid", str(line), line) if isinstance(found, Rejection) else found


class MakesIdsUp(Visits):
    def visit(self, number: int, line: bytes) -> Result:
        return super().visit(next(_NUMBERS), line)


class NamesLinesByContent(Visits):
    def visit(self, number: int, line: bytes) -> Result:
        return super().visit(hash(line), line)


class TakesTheCompanyToo(Visits):
    def visit(self, number: int, line: bytes) -> Result:
        return super().visit(number, line.replace(b"b@example.com", OWN.encode()))


@pytest.mark.parametrize(
    ("connector", "promise"),
    [
        (TakesTheCompanyToo, "own_accounts_never_become_customers"),
        (SkipsALine, "from_each_cursor_on_it_reads_the_rest"),
        (TellsItsPassword, "a_cursor_is_text_that_shows_no_secret"),
        (CountsBackwards, "progress_grows_from_0_to_1"),
        (FailsAtABadLine, "a_bad_row_is_refused_and_costs_no_other"),
        (FailsAtABadLine, "damaged_content_is_refused_or_read_never_an_exception"),
        (FailsAtABadLine, "any_bytes_give_results"),
        (RepeatsTheLine, "a_bad_row_is_refused_and_costs_no_other"),
        (MakesIdsUp, "the_same_content_twice_gives_the_same_events"),
        (MakesIdsUp, "from_each_cursor_on_it_reads_the_rest"),
        (NamesLinesByContent, "event_ids_are_distinct_within_a_content"),
    ],
)
def test_a_broken_promise_is_found(connector: type[Visits], promise: str, tmp_path: Path):
    suite: Any = VisitContract()
    suite.connector = connector
    check: Callable[..., None] = getattr(suite, f"test_{promise}")
    with pytest.raises(Exception):  # noqa: B017, PT011 - whatever it raises, the promise is broken
        check(tmp_path=tmp_path)
