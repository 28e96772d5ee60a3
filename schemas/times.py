"""Times: milliseconds since 1970, UTC, internally; RFC 3339 with milliseconds externally."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from functools import lru_cache

SECOND_MS = 1_000
MINUTE_MS = 60_000
HOUR_MS = 3_600_000
DAY_MS = 86_400_000
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MS = timedelta(milliseconds=1)
_SECONDS = tuple(f":{second:02d}" for second in range(60))
_MILLISECONDS = tuple(f".{ms:03d}Z" for ms in range(1000))

#: Times outside of these bounds are refused at the edge.
EARLIEST_MS = 0
LATEST_MS = (datetime(2101, 1, 1, tzinfo=UTC) - _EPOCH) // _MS - 1


def now_ms() -> int:
    """Return the present time of the machine's clock; the default where a clock is passed in."""
    return time.time_ns() // 1_000_000


def to_ms(moment: datetime) -> int:
    """Return milliseconds since 1970, rounded down; a time without a zone is UTC."""
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    since = moment - _EPOCH
    return since.days * DAY_MS + since.seconds * SECOND_MS + since.microseconds // 1000


def from_ms(milliseconds: int) -> datetime:
    """Return the moment in UTC."""
    return _EPOCH + milliseconds * _MS


def parse_ms(text: str) -> int:
    """Return the milliseconds of an RFC 3339 time; without a zone it is UTC. Raises ValueError."""
    return to_ms(datetime.fromisoformat(text))


@lru_cache(maxsize=8192)
def parse_receipt_ms(text: str) -> int:
    """Same as `parse_ms`, cached for times of receipt, which all touches of a request share."""
    return parse_ms(text)


def rfc3339(milliseconds: int) -> str:
    """Return the time in RFC 3339 with milliseconds and Z."""
    minutes, rest = divmod(milliseconds, MINUTE_MS)
    return _minute(minutes) + _SECONDS[rest // 1000] + _MILLISECONDS[rest % 1000]


@lru_cache(maxsize=8192)
def _minute(minutes: int) -> str:
    """Format a minute; cached, because times come in bursts.

    Formatting a date costs more than the rest of a row.
    """
    return (_EPOCH + minutes * MINUTE_MS * _MS).isoformat(timespec="minutes")[:16]
