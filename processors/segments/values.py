"""Values of a definition: durations, amounts, and the values that traits are compared with."""

from __future__ import annotations

import json
import re
from decimal import Decimal
from typing import Annotated

import msgspec
from pydantic import BeforeValidator, PlainSerializer, StringConstraints

from schemas.features import LONGEST_WINDOW_MS, MICROS, amount_text
from schemas.times import DAY_MS, HOUR_MS, MINUTE_MS, parse_ms
from schemas.touchpoint import AMOUNT_LIMIT

_UNITS = {"m": MINUTE_MS, "h": HOUR_MS, "d": DAY_MS, "w": 7 * DAY_MS}
_DURATION = re.compile(r"([0-9]{1,9})([mhdw])")
_NUMBER = re.compile(r"[+-]?[0-9]{1,40}(?:\.[0-9]{1,40})?(?:[eE][+-]?[0-9]{1,3})?")
_DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}(?:[Tt ].*)?")
_PATTERN_LENGTH = 500


def parse_duration(value: object) -> int:
    """Return the milliseconds of `30m`, `12h`, `7d` or `4w`. Raises ValueError."""
    match = _DURATION.fullmatch(value) if isinstance(value, str) else None
    if match is None:
        raise ValueError(f"{shown(value)} is no duration, expected one such as 30m, 12h, 7d or 4w")
    duration = int(match[1]) * _UNITS[match[2]]
    if not duration:
        raise ValueError(f"{shown(value)} is no window, expected a duration above zero")
    if duration > LONGEST_WINDOW_MS:
        longest = duration_text(LONGEST_WINDOW_MS)
        raise ValueError(f"{shown(value)} is too long a window, expected at most {longest}")
    return duration


def duration_text(milliseconds: int) -> str:
    """Return a duration of whole minutes in the largest of days, hours and minutes that fits."""
    unit = next(unit for unit in "dhm" if milliseconds % _UNITS[unit] == 0)
    return f"{milliseconds // _UNITS[unit]}{unit}"


def ordered(text: str) -> tuple[str, Decimal | int] | None:
    """Return the value for `greater_than` and `less_than`: a number, else a date or RFC 3339 time.

    Two values are comparable if their first parts are equal. None for any other text.
    """
    if _NUMBER.fullmatch(text):
        return "number", Decimal(text)
    if _DATE.fullmatch(text):
        try:
            return "time", parse_ms(text.upper())
        except ValueError:
            return None
    return None


def shown(value: object) -> str:
    """Return a value as messages show it."""
    text = json.dumps(value, ensure_ascii=False, default=str)
    return text if len(text) <= 60 else text[:57] + "..."


def _amount(value: object) -> int:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ValueError(f"{shown(value)} is no amount, expected a number")
    exact = Decimal(str(value)) * MICROS
    if exact != exact.to_integral_value() or abs(exact) >= AMOUNT_LIMIT * MICROS:
        raise ValueError(f"{shown(value)} is out of range, expected at most six decimals")
    return int(exact)


def _trait_text(value: object) -> str:
    if isinstance(value, str):
        return value
    if isinstance(value, int | float):
        return msgspec.json.encode(value).decode()
    raise ValueError(f"{shown(value)} cannot be compared, expected text, a number, true or false")


def _ordered_text(value: object) -> str:
    text = _trait_text(value)
    if isinstance(value, bool) or ordered(text) is None:
        raise ValueError(f"{shown(value)} has no order, expected a number, a date or a time")
    return text


def _pattern(value: object) -> str:
    if not isinstance(value, str) or len(value) > _PATTERN_LENGTH:
        raise ValueError(f"expected a regular expression of at most {_PATTERN_LENGTH} characters")
    try:
        re.compile(value)
    except (re.error, OverflowError, RecursionError) as error:
        raise ValueError(f"{shown(value)} is no regular expression: {error}") from None
    return value


Duration = Annotated[int, BeforeValidator(parse_duration), PlainSerializer(duration_text)]
Amount = Annotated[int, BeforeValidator(_amount), PlainSerializer(amount_text)]
TraitText = Annotated[str, BeforeValidator(_trait_text)]
OrderedText = Annotated[str, BeforeValidator(_ordered_text)]
Pattern = Annotated[str, BeforeValidator(_pattern)]
#: Text without control characters; these separate the parts of a feature's name.
Label = Annotated[str, StringConstraints(min_length=1, max_length=512, pattern=r"^[^\x00-\x1f]+$")]
Kind = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_]{0,39}$")]
