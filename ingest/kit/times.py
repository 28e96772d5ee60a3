"""Times that are numbers since 1970: their range, and the guess about one in a wrong unit."""

from __future__ import annotations

import math
from datetime import UTC, datetime

from schemas.times import EARLIEST_MS, LATEST_MS, from_ms, to_ms

#: Units of such times, in milliseconds.
_UNITS = {"seconds": 1000.0, "milliseconds": 1.0, "microseconds": 1e-3, "nanoseconds": 1e-6}
#: Beyond it a number is no time in any unit.
_LARGEST = 1e25
#: A time in another unit is one that a system of today can have written.
_PLAUSIBLE_FROM_MS = to_ms(datetime(2000, 1, 1, tzinfo=UTC))


class TimeProblem(str):
    """A problem of a time, which is refused as `invalid_time`."""

    __slots__ = ()


class OutOfRange(ValueError):
    """A number is no time in its unit; the text is the problem, a `TimeProblem` with a guess."""


def since_1970(number: float, unit_ms: float) -> datetime:
    """Return the moment a number of units after 1970. Raises OutOfRange.

    A number that is early in 1970 or after 2100, and today's time in another unit, is refused: it
    is off by a power of 1,000.
    """
    unit = _name(unit_ms)
    if abs(number) > _LARGEST:
        raise OutOfRange(f"must be {unit} since 1970, up to the year 2100")
    milliseconds = number * unit_ms
    guess = _other_unit(milliseconds, number, unit_ms)
    if guess is not None:
        when = "early in 1970" if milliseconds <= LATEST_MS else "after 2100"
        raise OutOfRange(
            TimeProblem(
                f"is a time {when} if it is {unit} since 1970, as it must be; it looks like "
                f"{guess}: send {unit}"
            )
        )
    if not EARLIEST_MS <= milliseconds <= LATEST_MS:
        raise OutOfRange(f"must be {unit} since 1970, up to the year 2100")
    # Whole numbers stay exact, however fine their unit is.
    if isinstance(number, int) and unit_ms < 1:
        return from_ms(number // round(1 / unit_ms))
    # A part of a millisecond is cut, save one that only the rounding of a float took.
    return from_ms(int(milliseconds + 0.001))


def _name(unit_ms: float) -> str:
    return next(name for name, size in _UNITS.items() if math.isclose(size, unit_ms))


def _other_unit(milliseconds: float, number: float, unit_ms: float) -> str | None:
    """Return the unit in which a number would be a time of this century, if it is none in its own.

    Early in 1970 are the first weeks alone, so a time that is truly from there can be written in
    seconds, or as a date.
    """
    for name, size in _UNITS.items():
        early = size > unit_ms
        if early or milliseconds > LATEST_MS:
            if math.isclose(size, unit_ms):
                continue
            if _PLAUSIBLE_FROM_MS <= number * size <= LATEST_MS:
                return name
    return None
