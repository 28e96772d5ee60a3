"""Typed access to the fields of a provider's event, and the touchpoint made of them.

Nothing here raises for bad data. `Fields` gives typed access to an object and remembers the first
field that is not what it should be; `finish` turns that, or what the touchpoint model finds, into
a rejection that names the provider's own field. The functions that read a body are defined in
`json_body` and can be imported from here too, so that a plug-in needs one module for `parse`.
"""

from __future__ import annotations

import json
import unicodedata
import uuid
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from datetime import datetime
from functools import lru_cache
from typing import Any

from ingest.connector import Result, touchpoint
from ingest.kit.json_body import (
    Convert,
    Payload,
    each,
    guarded,
    json_object,
    listed_events,
    single_event,
)
from ingest.kit.times import OutOfRange, TimeProblem, since_1970
from ingest.request import decode_json as decode
from schemas.identifiers import MAX_VALUE_LENGTH
from schemas.rejection import Reason, Rejection
from schemas.times import MINUTE_MS

__all__ = [
    "DETAIL_LENGTH",
    "EVENT_NAMESPACE",
    "LABEL_LENGTH",
    "MARKETING",
    "SUBJECT_LENGTH",
    "Convert",
    "Fields",
    "Payload",
    "campaign",
    "decode",
    "derived_id",
    "each",
    "finish",
    "guarded",
    "id_text",
    "identifiers",
    "json_object",
    "label",
    "listed_events",
    "shortened",
    "single_event",
    "snake_case",
    "subject",
    "timed_id",
    "without_own",
]

#: Namespace of event ids that a provider does not give and that are derived from the content.
EVENT_NAMESPACE = uuid.UUID("a3c7b0a4-57f1-5d0c-8f6e-0b7f6d1f2c35")
#: The consent purpose of a decision that names none.
MARKETING = "marketing"
#: Names of campaigns and the like are cut to this: the touch matters more than the end of a label.
LABEL_LENGTH = 512
SUBJECT_LENGTH = 100
#: Longest detail: it holds names of fields, which a sender may make as long as it likes.
DETAIL_LENGTH = 500
_LARGEST_EXACT_FLOAT = 2**53
#: A time since 1970 from here on is in milliseconds: in seconds it would be the year 5138.
MILLISECONDS_FROM = 10**11
#: Most digits of a time since 1970, in whatever unit.
_LONGEST_TIME = 25
#: A number of seconds has fewer digits.
_LONGEST_SECONDS = 12


def finish(
    fields: Mapping[str, Any],
    problems: list[str],
    payload: Payload,
    names: Mapping[str, str] | None = None,
    nobody: str | None = None,
) -> Result:
    """Return the touchpoint, or the rejection with the first problem found.

    `names`: our field -> the provider's, for the details of what the touchpoint model refuses.
    `nobody`: the detail if there is no identifier at all; without it that is not a problem here.
    """
    if problems or (nobody is not None and not fields["identifiers"]):
        event_id = fields.get("event_id")
        shown = event_id if isinstance(event_id, str) else None
        if problems:
            reason: Reason = "invalid_time" if isinstance(problems[0], TimeProblem) else "invalid"
            return Rejection(reason, str(problems[0]), payload(), shown)
        return Rejection("no_identifier", nobody or "", payload(), shown)
    result = touchpoint(fields, payload)
    if isinstance(result, Rejection):
        return replace(result, detail=_renamed(result.detail, names or {})[:DETAIL_LENGTH])
    return result


def _renamed(detail: str, names: Mapping[str, str]) -> str:
    lines = []
    for line in detail.split("; "):
        where, colon, what = line.partition(":")
        lines.append(f"{names.get(where, where)}{colon}{what}")
    return "; ".join(lines)


class Fields:
    """Typed access to the fields of an object; null and "" count as absent.

    A field of a wrong type reads as absent and is recorded in `problems`, by name and with what
    was expected, never with its value. `inside` shares the list.
    """

    __slots__ = ("_values", "_where", "problems")

    def __init__(
        self, values: Mapping[str, Any], where: str = "", problems: list[str] | None = None
    ) -> None:
        self._values = values
        self._where = where
        self.problems: list[str] = [] if problems is None else problems

    def __contains__(self, name: str) -> bool:
        return self._values.get(name) not in (None, "")

    def values(self) -> Iterable[tuple[str, Any]]:
        """Return all fields as they came."""
        return self._values.items()

    def inside(self, name: str) -> Fields:
        """Return the fields of the object in a field."""
        return Fields(self.object(name), f"{self._where}{name}.", self.problems)

    def parts(self, *names: str) -> Iterator[tuple[str, Fields]]:
        """Yield name and fields of each object in a field of these names; all else is left out.

        PHP writes an empty object as [].
        """
        for name in names:
            value = self._values.get(name)
            if isinstance(value, dict) or value == []:
                yield name, Fields(value or {}, f"{self._where}{name}.", self.problems)

    def aside(self, name: str) -> Fields:
        """Return the fields of the object in a field that only helps to understand the event.

        Whatever is wrong with it, or in it, costs nothing and reads as absent.
        """
        value = self._values.get(name)
        return Fields(value if isinstance(value, dict) else {}, f"{self._where}{name}.")

    def wrong(self, name: str, expected: str) -> None:
        """Record that a field is not what was expected."""
        problem = f"{self._where}{name}: {expected}"
        self.problems.append(TimeProblem(problem) if isinstance(expected, TimeProblem) else problem)

    def text(self, name: str) -> str | None:
        """Return a field with text."""
        value = self._values.get(name)
        if isinstance(value, str):
            return value or None
        if value is not None:
            self.wrong(name, "must be text")
        return None

    def peek(self, name: str) -> str | None:
        """Return a field with text that is optional: anything else reads as absent."""
        value = self._values.get(name)
        return value if isinstance(value, str) and value else None

    def label(self, name: str) -> str | None:
        """Return a field with a short text, or a number that stands for one."""
        value = self.id(name)
        return value[:LABEL_LENGTH] if value else None

    def id(self, name: str) -> str | None:
        """Return a field with an id: text, or a whole number, which becomes text."""
        value = self._values.get(name)
        if isinstance(value, str):
            return value or None
        if value is None:
            return None
        text = id_text(value)
        if text is None:
            self.wrong(name, "must be text or a whole number")
        return text

    def object(self, name: str) -> dict[str, Any]:
        """Return a field with an object; empty if absent. PHP writes an empty object as []."""
        value = self._values.get(name)
        if isinstance(value, dict):
            return value
        if value is not None and value != []:
            self.wrong(name, "must be an object")
        return {}

    def items(self, name: str) -> list[Any]:
        """Return a field with a list; empty if absent."""
        value = self._values.get(name)
        if isinstance(value, list):
            return value
        if value is not None:
            self.wrong(name, "must be a list")
        return []

    def objects(self, name: str) -> list[dict[str, Any]]:
        """Return the objects in a field with a list; empty if absent. All else is left out."""
        return [part for part in self.items(name) if isinstance(part, dict)]

    def first(self, name: str) -> Fields:
        """Return the fields of the first object in a list, and record it if there is none."""
        found = next(iter(self.items(name)), None)
        if found == []:
            found = {}
        if not isinstance(found, dict):
            self.wrong(name, "must be a list of objects")
            found = {}
        return Fields(found, f"{self._where}{name}.", self.problems)

    def flag(self, name: str) -> bool | None:
        """Return a field with true or false."""
        value = self._values.get(name)
        if value is None or isinstance(value, bool):
            return value
        self.wrong(name, "must be true or false")
        return None

    def seconds(self, name: str) -> float | None:
        """Return a field with a whole number of seconds, or its digits as text."""
        text = self.id(name)
        if text is None:
            return None
        if text.isascii() and text.isdigit() and len(text) < _LONGEST_SECONDS:
            return float(text)
        self.wrong(name, "must be a whole number of seconds")
        return None

    def moment(self, name: str, unit_ms: float) -> datetime | None:
        """Return a field with a number of units since 1970."""
        return self._moment(name, self._values.get(name), unit_ms)

    def moment_of_digits(self, name: str, unit_ms: float) -> datetime | None:
        """Return a field with a whole number of units since 1970, or its digits as text."""
        value = _from_digits(self._values.get(name))
        is_whole = isinstance(value, int) or (isinstance(value, float) and value.is_integer())
        if value is None or (is_whole and not isinstance(value, bool)):
            return self._moment(name, value, unit_ms)
        self.wrong(name, "must be a whole number, the time since 1970")
        return None

    def instant(self, name: str) -> datetime | None:
        """Return a field with a time since 1970, a number or its digits as text.

        Its size tells whether it is in seconds or in milliseconds.
        """
        value = _from_digits(self._values.get(name))
        in_ms = isinstance(value, int | float) and value >= MILLISECONDS_FROM
        return self._moment(name, value, 1 if in_ms else 1000)

    def _moment(self, name: str, value: Any, unit_ms: float) -> datetime | None:
        if value is None:
            return None
        if isinstance(value, bool) or not isinstance(value, int | float):
            self.wrong(name, "must be a number, the time since 1970")
            return None
        try:
            return since_1970(value, unit_ms)
        except OutOfRange as error:
            self.wrong(name, error.args[0])
            return None


def _from_digits(value: Any) -> Any:
    """Return the number that a text of digits is; None for an empty text, else the value itself."""
    if not isinstance(value, str):
        return value
    if value.isascii() and value.isdigit() and len(value) <= _LONGEST_TIME:
        return int(value)
    return value or None


def id_text(value: object) -> str | None:
    """Return an id as text; None for numbers that a sender's JSON may have rounded."""
    if isinstance(value, str):
        return value
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    if isinstance(value, float):
        exact = value.is_integer() and abs(value) < _LARGEST_EXACT_FLOAT
        return str(int(value)) if exact else None
    return str(value) if value.bit_length() <= 64 else None


def identifiers(*pairs: tuple[str, str | None]) -> list[dict[str, str]]:
    """Return the identifiers that are there; values that are too long for one are left out."""
    return [
        {"kind": kind, "value": value}
        for kind, value in pairs
        if value and len(value) <= MAX_VALUE_LENGTH
    ]


def without_own(found: list[dict[str, str]], own: frozenset[str]) -> list[dict[str, str]]:
    """Return the identifiers of somebody; none if one of them is the company's own.

    A company has several accounts, and what one does to another is no touch of a customer.
    """
    return [] if any(one["value"] in own for one in found) else found


def label(text: str) -> str:
    """Return a text cut to the length of a label."""
    return text[:LABEL_LENGTH]


def shortened(text: str) -> str:
    """Return the beginning of a message, on one line, as a subject."""
    line = " ".join(text[: 4 * SUBJECT_LENGTH].split())
    return line if len(line) <= SUBJECT_LENGTH else line[: SUBJECT_LENGTH - 1] + "…"


def subject(text: str | None) -> str | None:
    """Return a message as the subject of a touchpoint; None if there is none."""
    return shortened(text) if text else None


def campaign(name: str | None) -> dict[str, str] | None:
    """Return the campaign with a name; None without one."""
    return {"name": label(name)} if name else None


def derived_id(event: Mapping[str, Any], without: frozenset[str] = frozenset()) -> str:
    """Return an id derived from an event's content, for events without one: same content, same id.

    `without` names fields that differ from delivery to delivery.
    """
    content = {name: value for name, value in event.items() if name not in without}
    canonical = json.dumps(content, sort_keys=True, separators=(",", ":"), default=str)
    return str(uuid.uuid5(EVENT_NAMESPACE, canonical))


def timed_id(
    event: Mapping[str, Any],
    stated: object,
    received_ms: int,
    without: frozenset[str] = frozenset(),
) -> str:
    """Return an id derived from the content of an event and, if it states no time, its receipt.

    Without a time the same content may come on many days, each opening of a page for instance: it
    is the same event only within a minute of receipt.
    """
    minute = {} if stated else {"minute": received_ms // MINUTE_MS}
    return derived_id({**event, **minute}, without)


@lru_cache(maxsize=4096)
def snake_case(name: str) -> str:
    """Return a name as a type, such as order_completed.

    `Order Completed`, `orderCompleted` and `order-completed` all become order_completed.

    Letters and digits of every script stay. Capitals split words only where the name has no
    spaces ("iPhone Viewed" is iphone_viewed). Empty if nothing is left.
    """
    text = unicodedata.normalize("NFKC", name)
    spaced = any(character.isspace() for character in text.strip())
    words: list[str] = []
    previous = " "
    for i, character in enumerate(text):
        if unicodedata.category(character)[0] not in "LNM":
            character = " "  # noqa: PLW2901 - a separator, whatever it was
        following = text[i + 1 : i + 2]
        if not spaced and character.isupper() and previous != " ":
            starts = not previous.isupper() or following.islower()
            if starts:
                words.append(" ")
        words.append(character.lower())
        previous = character
    return "_".join("".join(words).split())
