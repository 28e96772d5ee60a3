"""Times in events: their formats, and the zone of those that name none."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Any, Self
from zoneinfo import ZoneInfo

from pydantic import AliasChoices, BeforeValidator, Field, StrictBool, model_validator

from ingest.connectors.mapped.expressions import ExpressionError, Scope
from ingest.connectors.mapped.origin import Origin, as_object
from ingest.kit.mapping_terms import (
    AUTO,
    ISO,
    ISO_FORMATS,
    UNITS_MS,
    exact,
    is_time_format,
    read_time,
    told_format,
    zone_named,
)
from ingest.kit.times import OutOfRange, since_1970

_TIME_LENGTH = 100


def _zone(name: object) -> ZoneInfo:
    zone = name if isinstance(name, ZoneInfo) else zone_named(name)
    if zone is None:
        raise ValueError("expected a time zone such as Asia/Tokyo")
    return zone


class Time(Origin):
    """A time. `format` is one of `mapping_terms`, or a strptime pattern. `timezone` is for a text
    that names none. Unless it is `optional` it must be there.
    """

    format: str = ISO
    timezone: Annotated[ZoneInfo, BeforeValidator(_zone)] | None = Field(
        default=None, validation_alias=AliasChoices("timezone", "zone")
    )
    optional: StrictBool = True

    @model_validator(mode="after")
    def _known_format(self) -> Self:
        if not is_time_format(self.format):
            raise ValueError(
                "format: expected rfc3339, auto, epoch_s, epoch_ms, or a format of strptime such "
                "as %Y-%m-%d %H:%M:%S"
            )
        return self

    def read(self, event: Any, scope: Scope) -> datetime | None:
        """Return the moment, or None where the event has none. Raises ExpressionError."""
        value = self.expr.search(event, scope)
        if value is None or value == "":
            if not self.optional:
                raise ExpressionError("is empty, and should be the time")
            return None
        time_format = told_format(value) if self.format == AUTO else self.format
        if unit_ms := UNITS_MS.get(time_format):
            return self._since_1970(value, unit_ms)
        try:
            return self._zoned(value, time_format)
        except (ValueError, OverflowError):
            is_iso = time_format in ISO_FORMATS
            expected = "an RFC 3339 time" if is_iso else "a time in its format"
            raise ExpressionError(f"must be {expected}") from None

    def _since_1970(self, value: Any, unit_ms: int) -> datetime:
        if isinstance(value, str) and (number := exact(value)) is not None:
            value = float(number)
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise ExpressionError("must be a number, the time since 1970")
        try:
            return since_1970(value, unit_ms)
        except OutOfRange as error:
            raise ExpressionError(error.args[0]) from None

    def _zoned(self, value: object, time_format: str) -> datetime:
        if not isinstance(value, str) or len(value) > _TIME_LENGTH:
            raise ValueError
        return read_time(value, time_format, self.timezone or UTC).astimezone(UTC)


Moment = Annotated[Time, BeforeValidator(as_object("expr"))]
