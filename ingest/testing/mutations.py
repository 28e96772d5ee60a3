"""Changes of payloads, and the places where they are made."""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import cycle
from typing import Any, TypeVar

from ingest.testing.values import WRONG, at, places, put

Item = TypeVar("Item")
Path = tuple[Any, ...]

#: Stands in a body until bytes that no encoder writes are put in its place.
STAND_IN = "StandIn9Zq"
#: Values that stand in JSON, or in what senders take for it, and are no event.
RAW = {
    "out of range": b"1e400",
    "not a number": b"NaN",
    "infinite": b"-Infinity",
    "5,000 digits": b"9" * 5000,
    "600 levels deep": b"[" * 600 + b"]" * 600,
    "half of an emoji": b'"\\ud83d"',
}
#: Numbers that cannot exist, though they have the length of one.
IMPOSSIBLE = ("00810081312345678", "+8100819012345678", "+15551234567", "+10001234567")
#: One mobile number, as it is dialled today, and as older systems and WhatsApp write it.
ONE_NUMBER = (("525512345678", "5215512345678"),)
#: One address, with a domain as it is read and as the network writes it.
ONE_ADDRESS = ("info@exämple.com", "info@xn--exmple-cua.com")


def fits(path: Path, pattern: str) -> bool:
    """Return True if a path is what a pattern names: keys with dots between, `*` for any one."""
    names = pattern.split(".")
    return len(names) == len(path) and all(
        name in ("*", str(key)) for name, key in zip(names, path, strict=True)
    )


def named(value: Any, patterns: tuple[str, ...]) -> Iterator[Path]:
    """Yield the places of a payload that one of these patterns names."""
    for path in places(value):
        if any(fits(path, pattern) for pattern in patterns):
            yield path


def without(value: Any, path: Path) -> Any:
    """Return a JSON value without what is at a path."""
    *above, last = path
    holder = at(value, tuple(above))
    kept: Any
    if isinstance(holder, list):
        kept = [inner for index, inner in enumerate(holder) if index != last]
    else:
        kept = {key: inner for key, inner in holder.items() if key != last}
    return put(value, tuple(above), kept)


def scalars(value: Any) -> Iterator[tuple[Path, Any]]:
    """Yield the places of a payload that hold text or a number, with what they hold."""
    for path in places(value):
        leaf = at(value, path)
        if isinstance(leaf, str | int | float) and not isinstance(leaf, bool) and leaf != "":
            yield path, leaf


def another(leaf: Any) -> Any:
    """Return another value of the same form: a number, a time or a text that differs a little."""
    if not isinstance(leaf, str):
        return leaf + 1
    digit = re.search(r"\d(?=\D*\Z)", leaf)
    if digit is None:
        return leaf + "x"
    return leaf[: digit.start()] + str((int(digit[0]) + 1) % 10) + leaf[digit.end() :]


def lists(value: Any) -> Iterator[Path]:
    """Yield the places of the lists in a payload that hold something, the payload itself too."""
    for path in ((), *places(value)):
        if isinstance(found := at(value, path), list) and found:
            yield path


def broken_events(event: Any) -> Iterator[tuple[Any, bytes]]:
    """Yield what may come in place of an event, and the bytes for a stand-in in it.

    Each field in it is wrong in two ways, which differ from field to field.
    """
    for raw in RAW.values():
        yield STAND_IN, raw
        if isinstance(event, dict):
            yield {**event, "aFieldOfTomorrow": STAND_IN}, raw
    for wrong in WRONG:
        yield wrong, b""
    turns, raws = cycle(WRONG), cycle(RAW.values())
    for path in places(event):
        yield put(event, path, next(turns)), b""
        yield put(event, path, STAND_IN), next(raws)


def rewritten(leaf: Any, number: str) -> Any:
    """Return text with another phone number in place of its own; what stands around it stays."""
    return re.sub(r"\+?[(\d][\d\s().-]*\d", lambda _: number, str(leaf), count=1)


def digits(text: object) -> str:
    """Return the digits of a text."""
    return re.sub(r"\D", "", str(text))


def spread(items: list[Item], most: int) -> list[Item]:
    """Return at most so many of the items, from all parts of the list."""
    return items[:: -(-len(items) // most)] if items else items
