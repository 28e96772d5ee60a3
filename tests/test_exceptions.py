"""Our exceptions: failures have one root and stand in its tree; the others are caught in place."""

from __future__ import annotations

import re

from schemas import errors
from tests.support.exceptions import FAILURES, OURS

#: Exceptions that never leave the room, with the place that answers them.
CONTROL_FLOW = {
    "NotNow": "a connector's: the pull waits and asks again",
    "_Open": "a row of a table goes on in the next piece: more is read",
    "ExpressionError": "an expression gives nothing for an event: the event is rejected",
    "TooMuchWorkError": "the same, because the event costs too much",
    "OutOfRange": "a number is no time: its event is rejected as invalid_time or invalid",
    "Busy": "the gateway answers 503",
    "Denied": "the gateway answers 400, 401, 403, 404 or 413, and keeps nothing",
    "TooSlow": "the gateway answers 408",
    "FetchFailed": "the gateway answers 503: the provider's site is away",
    "RateLimited": "the gateway answers 429",
    "ShutdownRequested": "a stop reached a pause of a sink: it ends in order",
    "Stopped": "a stop reached a pull: it ends in order",
    "TooLarge": "a record does not fit: it is rejected",
    "StorageError": "the local database failed: the stage's process ends and logs it",
    "AlreadyHeld": "another process holds a lock: `up` says so, or another port is taken",
    "QueryFailed": "the embedded ClickHouse answers with the error",
}


def test_every_exception_is_a_failure_or_directs_the_flow():
    others = [cls for cls in OURS if cls not in FAILURES]
    assert {cls.__qualname__ for cls in others} == set(CONTROL_FLOW)


def test_the_tree_of_failures_is_drawn_as_it_is():
    drawn: dict[str, str] = {}
    above: list[str] = []
    for branch, name in re.findall(r"^ {4}([│├└─ ]*)(\w+)", errors.__doc__ or "", re.MULTILINE):
        del above[len(branch) // 4 :]
        drawn[name] = above[-1] if above else "Exception"
        above.append(name)
    assert drawn == {cls.__qualname__: _base(cls) for cls in FAILURES}


def _base(cls: type[BaseException]) -> str:
    return cls.__bases__[0].__qualname__
