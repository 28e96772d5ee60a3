"""Terms of both mapping languages: of files (`kit/mapping.py`) and of webhooks (`mapped`).

A term has one meaning in both, whatever spelling a user's file has; docs/mapping.md shows all of
them side by side. Nothing here knows where a value comes from: a column or an expression.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, tzinfo
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

from ingest.kit.fields import MILLISECONDS_FROM, snake_case

#: Formats of a time that is a number since 1970 -> its unit in milliseconds.
UNITS_MS = {"unix": 1000, "epoch_s": 1000, "unix_ms": 1, "epoch_ms": 1}
#: The format of a time that tells its own: ISO 8601, or a number since 1970 whose size tells the
#: unit.
AUTO = "auto"
#: Formats of a time that state the same: ISO 8601 as RFC 3339 and Python have it.
ISO = "rfc3339"
ISO_FORMATS = frozenset({ISO, "iso8601"})
#: Words for consent given and refused, if the mapping names none.
GIVEN = frozenset({"1", "true", "yes", "y", "on"})
REFUSED = frozenset({"0", "false", "no", "n", "off"})
UNKNOWN_TYPE = "type: the mapping does not take such an event"
NO_CONSENT_WORD = "is none of the words for consent given or refused"
#: Differs in every part of it from one that strptime would assume.
_SAMPLE = datetime(2021, 11, 29, 22, 44, 55, tzinfo=UTC)
_NUMBER = re.compile(r"[+-]?\d{1,20}(\.\d{1,20})?", re.ASCII)
_LARGEST = 1e20
#: A path of names without the quotes that other names need in an expression.
_PLAIN_PATH = re.compile(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)*", re.ASCII)


def is_time_format(text: str) -> bool:
    """Return True for a word that is a format, and for a pattern that gives at least the date."""
    if text in UNITS_MS or text in ISO_FORMATS or text == AUTO:
        return True
    try:
        found = datetime.strptime(_SAMPLE.strftime(text), text)
    except (ValueError, re.error):
        return False
    return (found.year, found.month) == (_SAMPLE.year, _SAMPLE.month)


def told_format(value: object) -> str:
    """Return the format of a time that tells its own (AUTO)."""
    number = exact(value)
    if number is None:
        return ISO
    return "epoch_ms" if number >= MILLISECONDS_FROM else "epoch_s"


def zone_named(name: object) -> ZoneInfo | None:
    """Return the time zone with a name such as Asia/Tokyo; None if there is none."""
    with suppress(ValueError, LookupError, OSError):
        if isinstance(name, str) and name:
            return ZoneInfo(name)
    return None


def read_time(text: str, time_format: str, zone: tzinfo) -> datetime:
    """Return a written time, in `zone` if it states none. Raises ValueError.

    `time_format` is one of ISO_FORMATS or a pattern of strptime.
    """
    if time_format in ISO_FORMATS:
        found = datetime.fromisoformat(text)
    else:
        found = datetime.strptime(text, time_format)
    return found if found.tzinfo is not None else found.replace(tzinfo=zone)


@dataclass(frozen=True, slots=True)
class Translation:
    """The translation of words: `values` keeps a word that it does not list, `table` drops it.

    `default` takes the place of an absent value, and of a word that is not listed.
    """

    words: Mapping[str, Any] = field(default_factory=dict)
    keeps_others: bool = True
    default: Any = None

    def of(self, word: str | None, value: Any) -> Any:
        """Return the translation of a value that reads as this word; None if there is none."""
        if word is not None and word in self.words:
            return self.words[word]
        if self.default is not None and (self.words or value is None or value == ""):
            return self.default
        return value if self.keeps_others else None

    def stated(self, word: str) -> Any:
        """Return the translation that the mapping states for a word ('' if absent), or None."""
        if word in self.words:
            return self.words[word]
        return self.default if self.words or not word else None


def unlisted_type(word: str, prefix: str) -> str:
    """Return the type of an event that a table of types does not list."""
    return f"{snake_case(prefix)}_{snake_case(word)}"


@dataclass(frozen=True, slots=True)
class ConsentWords:
    """The words for consent given and refused, in any case."""

    given: frozenset[str] = GIVEN
    refused: frozenset[str] = REFUSED

    def decision(self, word: str) -> bool | None:
        """Return the decision that a word is; None if it is none."""
        folded = word.casefold()
        return folded in self.given if folded in self.given | self.refused else None


@dataclass(frozen=True, slots=True)
class Separators:
    """The separators in a written number: `decimal` before its fraction, and `thousands`."""

    decimal: str = "."
    thousands: str = ""

    def plain(self, text: str) -> str:
        """Return a number as computers write it."""
        if self.thousands:
            text = text.replace(self.thousands, "")
        return text.replace(self.decimal, ".") if self.decimal != "." else text


def exact(value: object) -> Decimal | None:
    """Return a number, or a text of one, exactly; None for anything else."""
    if isinstance(value, str):
        is_number = _NUMBER.fullmatch(value) is not None
    else:
        is_number = isinstance(value, int | float) and abs(value) < _LARGEST
    return Decimal(str(value)) if is_number and not isinstance(value, bool) else None


def identifier_rules(given: object) -> list[tuple[object, object]] | None:
    """Return the kinds and values of `{kind: value}`, or of a list of `{kind, value}`.

    A list of values stands for several of which each may hold one. None for other spellings.
    """
    if isinstance(given, Mapping):
        return [
            (kind, one)
            for kind, part in given.items()
            for one in (part if isinstance(part, list) else [part])
        ]
    if isinstance(given, list) and all(
        isinstance(one, Mapping) and one.keys() == {"kind", "value"} for one in given
    ):
        return [(one["kind"], one["value"]) for one in given]
    return None


def is_plain_path(text: object) -> bool:
    """Return True for an expression that names a column or field, with dots between names."""
    return isinstance(text, str) and _PLAIN_PATH.fullmatch(text) is not None
