"""JSON that the fast decoder refuses, decoded so that one bad value costs its event alone.

Senders write what no JSON text may hold (`NaN`, `Infinity`), numbers that fit nowhere, half of an
emoji, and events that are nested without end. An `Unusable` stands in the place of such a value,
and every object and array above it is a `DamagedObject` or a `DamagedArray`, so that a glance
tells whether an event is whole. An `Unusable` is no value of JSON: nothing that holds one is ever
published, and what is kept of a refused event holds the text as it came (`encode`).

Nothing here recurses, and the work is linear in the size of the text.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterable
from functools import partial
from typing import Any

import msgspec

#: Deepest nesting that is decoded: most decoders recurse.
DEEPEST = 500
#: Most brackets of a text with parts that are nested too deeply, and most unusable values: beyond
#: them a text is not worth the time.
_MOST_BRACKETS = 1_000_000
_MOST_UNUSABLE = 100_000
#: Most names that say where an unusable value is.
_SHOWN_NAMES = 8
_NAME_LENGTH = 40
_STRINGS_AND_BRACKETS = re.compile(r'"[^"\\]*(?:\\.[^"\\]*)*"|[\[\]{}]', re.DOTALL)
_ESCAPE = re.compile(
    r"\\(?:u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}"
    r"|(u[dD][89a-fA-F][0-9a-fA-F]{2})|.)",
    re.DOTALL,
)
_SURROGATE = re.compile("[\ud800-\udfff]")


class Unusable:
    """A value that cannot be used: the reason, for people, and its text in the body.

    It is a plain object because encoders of JSON refuse these, which a data class would not be.
    """

    __slots__ = ("text", "why")

    def __init__(self, why: str, text: str) -> None:
        self.why = why
        self.text = text

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Unusable) and self.text == other.text

    def __hash__(self) -> int:
        return hash(self.text)

    def __str__(self) -> str:
        return self.text


class DamagedObject(dict[str, Any]):
    """An object with an unusable value somewhere in it."""


class DamagedArray(list[Any]):
    """An array with an unusable value somewhere in it."""


_CONSTANTS = {
    name: Unusable(f"is {name}, which is no JSON; send null or leave it out", name)
    for name in ("NaN", "Infinity", "-Infinity")
}
_OUT_OF_RANGE = "is a number out of range, beyond 1.8e308; send it as text"
_TOO_LONG = "is an integer with thousands of digits; send it as text"
_TOO_DEEP = f"is nested deeper than {DEEPEST} levels"


def is_damaged(value: object) -> bool:
    """Return True if a decoded value is unusable, or holds a value that is."""
    return isinstance(value, DamagedObject | DamagedArray | Unusable)


def damage(value: object, name: str) -> str | None:
    """Return where the first unusable value is and what is wrong with it; None if there is none.

    `name` is that of the value itself.
    """
    path: list[str] = []
    while not isinstance(value, Unusable):
        inner = next(((key, one) for key, one in _items(value) if is_damaged(one)), None)
        if inner is None:
            return None
        path.append(str(inner[0])[:_NAME_LENGTH])
        value = inner[1]
    shown = [*path[:_SHOWN_NAMES], "…"] if len(path) > _SHOWN_NAMES else path
    return f"{'.'.join(shown) or name}: {value.why}"


def encode(value: object) -> bytes:
    """Return compact JSON, with the text of an unusable value as it came."""
    return msgspec.json.encode(value, enc_hook=_original)


def decode(body: bytes) -> object:
    """Return the JSON of a body. Raises ValueError, or RecursionError, if it is none."""
    text = _without_lone_surrogates(body.decode(json.detect_encoding(body), "surrogatepass"))
    shallow, mark, parts = _cut_deep(text)
    unusable: list[Unusable] = []
    decoded = json.loads(
        shallow,
        parse_float=partial(_float, mark, parts, unusable),
        parse_int=partial(_int, unusable),
        parse_constant=partial(_constant, unusable),
    )
    return _marked(decoded) if unusable else decoded


def _original(value: object) -> msgspec.Raw:
    if isinstance(value, Unusable):
        return msgspec.Raw(value.text.encode())
    raise TypeError(f"objects of type {type(value).__name__} are not JSON")


def _items(value: object) -> Iterable[tuple[Any, Any]]:
    if isinstance(value, dict):
        return value.items()
    return enumerate(value) if isinstance(value, list) else ()


def _without_lone_surrogates(text: str) -> str:
    """Return the text with U+FFFD for each half of a surrogate pair, escaped or not."""
    if "\\u" in text:
        text = _ESCAPE.sub(lambda escape: "\ufffd" if escape[1] else escape[0], text)
    if _SURROGATE.search(text):
        text = text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
    return text


def _cut_deep(text: str) -> tuple[str, str, list[str]]:
    """Return the text without the parts that are nested too deeply, which come last.

    In the place of a part is a number out of range: the mark between them, and the part's index.
    """
    mark = "1e999"
    kept: list[str] = []
    parts: list[str] = []
    level = end = begun = 0
    for count, token in enumerate(_STRINGS_AND_BRACKETS.finditer(text)):
        bracket = token[0]
        if bracket in ("[", "{"):
            level += 1
            if level == DEEPEST + 1:
                begun = token.start()
        elif bracket in ("]", "}"):
            level -= 1
            if level == DEEPEST:
                while not parts and mark in text:
                    mark += "9"
                kept += text[end:begun], f"{mark}0{len(parts)}"
                end = token.end()
                parts.append(text[begun:end])
        if count > _MOST_BRACKETS and parts:
            raise ValueError("too many brackets")
    return "".join((*kept, text[end:])), f"{mark}0", parts


def _float(mark: str, parts: list[str], unusable: list[Unusable], text: str) -> float | Unusable:
    value = float(text)
    if math.isfinite(value):
        return value
    if parts and text.startswith(mark):
        return _noted(unusable, Unusable(_TOO_DEEP, parts[int(text.removeprefix(mark))]))
    return _noted(unusable, Unusable(_OUT_OF_RANGE, text))


def _int(unusable: list[Unusable], text: str) -> int | Unusable:
    try:
        return int(text)
    except ValueError:
        return _noted(unusable, Unusable(_TOO_LONG, text))


def _constant(unusable: list[Unusable], text: str) -> Unusable:
    return _noted(unusable, _CONSTANTS[text])


def _noted(unusable: list[Unusable], value: Unusable) -> Unusable:
    if len(unusable) >= _MOST_UNUSABLE:
        raise ValueError("too many unusable values")
    unusable.append(value)
    return value


def _marked(root: object) -> object:
    """Return the value with every object and array above an unusable value marked as damaged."""
    above: list[tuple[int, Any, Any]] = [(-1, None, root)]  # index of the parent, key, value
    damaged: set[int] = set()
    for index, (parent, _, value) in enumerate(above):  # grows while it is walked
        if isinstance(value, Unusable):
            one = parent
            while one >= 0 and one not in damaged:
                damaged.add(one)
                one = above[one][0]
        elif isinstance(value, dict | list):
            above += ((index, key, inner) for key, inner in _items(value))
    for index in sorted(damaged, reverse=True):
        parent, key, value = above[index]
        marked = DamagedObject(value) if isinstance(value, dict) else DamagedArray(value)
        if parent < 0:
            return marked
        above[parent][2][key] = marked
    return root
