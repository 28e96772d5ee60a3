"""The inputs that the suites give a connector, and the checks of its results."""

from __future__ import annotations

import copy
import json
import math
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st

from ingest.connector import Request, Result, original
from ingest.intake.accept import Accepted, SourcePolicy, accept
from schemas.rejection import Rejection
from schemas.touchpoint import Touchpoint

#: Receipt of all payloads, 2026-11-20T08:00:00Z; their times are shortly before.
RECEIVED_MS = 1_795_161_600_000
URL = "https://touch.example.com"
#: Text put into a body in place of a value: it must not come back in a detail.
MARK = "Zq9-not-to-be-repeated"
#: Time for which a throughput is measured, seconds.
MEASURED_S = 0.3

DEEP: Any = MARK
for _ in range(100):
    DEEP = [DEEP]
WRONG: tuple[Any, ...] = (
    None, True, -1, 0.5, 10**30, math.nan, math.inf, "", MARK, "\0" + MARK, [], [MARK], {},
    {"a": MARK}, DEEP,
)  # fmt: skip
#: Objects with a value that cannot be used (`ingest.loose_json`).
UNUSABLE = {
    "not a number": b'{"a": NaN}',
    "out of range": b'{"a": 1e999}',
    "5,000 digits": b'{"a": ' + b"9" * 5000 + b"}",
}
UNREADABLE = {
    "nothing": b"",
    "blank": b"  \r\n",
    "cut off": b'{"a": [1, 2',
    "not UTF-8": b'{"a": "\xff\xfe"}',
    "binary": bytes(range(256)),
    "NUL": b"\0",
    "too deep": b"[" * 10_000 + b"]" * 10_000,
    "too deep and open": b'{"a":' * 100_000,
    "a number": b"5",
    "text": b'"text"',
    "null": b"null",
    "no value": b"NaN",
}

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=20),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=12), inner, max_size=4)
    ),
    max_leaves=12,
)
RELAXED = settings(
    max_examples=60,
    deadline=None,
    suppress_health_check=[
        HealthCheck.differing_executors,
        HealthCheck.too_slow,
        HealthCheck.function_scoped_fixture,
    ],
)


def load(folder: Path) -> dict[str, Any]:
    """Return the payloads of a folder: name without ending -> JSON."""
    return {
        path.stem: json.loads(path.read_text(encoding="utf-8"))
        for path in sorted(folder.glob("*.json"))
    }


def contents(folder: Path) -> dict[str, bytes]:
    """Return the files of a folder as they are: name without ending -> bytes."""
    return {path.stem: path.read_bytes() for path in sorted(folder.iterdir())}


def posted(
    body: bytes, headers: Mapping[str, str] | None = None, path: str = "/hooks/source"
) -> Request:
    """Return a webhook as the gateway passes it on; JSON unless the headers say otherwise.

    The headers are in lower case.
    """
    given = {"content-type": "application/json", **(headers or {})}
    return Request("POST", path, "", URL + path, given, body)


def places(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Yield the paths of all values inside a JSON value."""
    items: Any = ()
    if isinstance(value, dict):
        items = value.items()
    elif isinstance(value, list):
        items = enumerate(value)
    for key, inner in items:
        yield (*path, key)
        yield from places(inner, (*path, key))


def at(value: Any, path: tuple[Any, ...]) -> Any:
    """Return the part of a JSON value at a path."""
    for key in path:
        value = value[key]
    return value


def put(value: Any, path: tuple[Any, ...], new: Any) -> Any:
    """Return a JSON value with another value at a path; the parts beside the path are shared."""
    if not path:
        return new
    key, *rest = path
    changed = copy.copy(value)
    changed[key] = put(value[key], tuple(rest), new)
    return changed


def reversed_keys(value: Any) -> Any:
    """Return the same JSON with the keys of all objects in the opposite order."""
    if isinstance(value, dict):
        return {key: reversed_keys(inner) for key, inner in reversed(value.items())}
    return [reversed_keys(inner) for inner in value] if isinstance(value, list) else value


def with_field(value: Any) -> Any:
    """Return a JSON object with one more field, or a list whose objects have it."""
    if isinstance(value, list):
        return [with_field(inner) for inner in value]
    return {**value, "aFieldOfTomorrow": {"x": [1]}} if isinstance(value, dict) else value


def damaged(content: bytes) -> Iterator[bytes]:
    """Yield the bytes with something added, cut off, or one bit flipped."""
    yield content + b" "
    yield content[:-1]
    for place in range(0, len(content), max(1, len(content) // 7)):
        yield content[:place] + bytes([content[place] ^ 1]) + content[place + 1 :]


def written_otherwise(value: Any, known: set[tuple[str, str]]) -> tuple[str, ...]:
    """Return an e-mail address or phone number in other ways of writing.

    `known`: identifiers, as (value, kind). What is an id of another kind too stays as it is.
    """
    if not isinstance(value, str):
        return ()
    kinds = {kind for text, kind in known if text == value}
    if kinds == {"email"}:
        return value.upper(), value.capitalize()
    if kinds == {"phone"}:
        wide = value.translate({ord("0") + digit: ord("０") + digit for digit in range(10)})
        return f"{value[:3]} {value[3:6]}-{value[6:]}", wide
    return ()


def accepted(touch: Touchpoint, region: str | None = None) -> Accepted | Rejection:
    """Return the gateway's result for a touchpoint, at a source with this phone region."""
    return accept(touch, SourcePolicy("source", region=region), RECEIVED_MS, original(touch))


def check_results(results: Iterable[Result]) -> None:
    """Assert that these are results, of any kind, and that rejections repeat no value."""
    for result in results:
        if isinstance(result, Rejection):
            assert MARK not in result.detail, result
            assert len(result.detail) < 1000, result
        else:
            assert isinstance(result, Touchpoint), result
            accepted(result)


def per_second(run: Callable[[], int]) -> int:
    """Return how many events a second a function processes; it returns how many it did."""
    events, begun = 0, time.perf_counter()
    while (elapsed := time.perf_counter() - begun) < MEASURED_S:
        events += run()
    return round(events / elapsed)
