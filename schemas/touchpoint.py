"""The touchpoint: one touch of a customer with the company, on any channel.

`Touchpoint` is the type that connectors yield and `/v1/events` accepts: strings are strings,
numbers are numbers, nothing is guessed. Unknown fields are stored in `properties`.
"""

from __future__ import annotations

import re
from contextlib import suppress
from datetime import datetime
from decimal import ROUND_HALF_EVEN, Decimal, InvalidOperation
from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    TypeAdapter,
    ValidationError,
    model_validator,
)

from schemas.times import EARLIEST_MS, LATEST_MS, to_ms

#: Amounts are exact to this step; finer ones are rounded half to even.
AMOUNT_STEP = Decimal("0.000001")
AMOUNT_LIMIT = Decimal(10) ** 12
_PLAIN_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", re.ASCII)

Channel = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,63}$", examples=["web", "phone"])]
EventType = Annotated[
    str,
    Field(min_length=1, max_length=128, pattern=r"^[^\s\x00-\x1f]+$", examples=["page_viewed"]),
]
Direction = Literal["inbound", "outbound"]
Kind = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,39}$", examples=["email", "customer_id"])]
Text = Annotated[str, Field(max_length=65_536)]
Label = Annotated[str, Field(max_length=512)]


def _amount(value: object) -> Decimal:
    if isinstance(value, bool) or not isinstance(value, int | float | str | Decimal):
        raise ValueError("must be a number, or a number written as a string")
    try:
        amount = Decimal(str(value))
    except InvalidOperation:
        raise ValueError("must be a number") from None
    if not amount.is_finite() or abs(amount) >= AMOUNT_LIMIT:
        raise ValueError("must be a finite number below 1e12")
    return amount.quantize(AMOUNT_STEP, ROUND_HALF_EVEN).normalize()


def _moment(value: object) -> object:
    if isinstance(value, str):
        if _PLAIN_TIME.fullmatch(value):
            # The same moment in a third of the time, with Python's own zone. The model explains the
            # error if the text is no date.
            with suppress(ValueError):
                return datetime.fromisoformat(value)
        return value
    if isinstance(value, datetime):
        return value
    raise ValueError("must be an RFC 3339 time in a string")


def _currency(value: str) -> str:
    return value.upper()


Moment = Annotated[datetime, BeforeValidator(_moment), Field(strict=False)]
_MOMENT: TypeAdapter[datetime] = TypeAdapter(Moment)


def helper_time(value: object) -> datetime | None:
    """Return a time that only helps to understand an event; None if it cannot be one.

    What is no time, and a time before 1970 or after 2100 (an unset field of Go is the year 1), says
    nothing, and costs no event.
    """
    if value is None:
        return None
    try:
        moment = _MOMENT.validate_python(value)
    except ValidationError:
        return None
    return moment if EARLIEST_MS <= to_ms(moment) <= LATEST_MS else None


def _object(value: object) -> object:
    """Return {} for []: PHP writes an empty object so."""
    return {} if value == [] else value


_EMPTY_LIST = BeforeValidator(_object)


Currency = Annotated[str, Field(pattern=r"^[A-Za-z]{3}$"), AfterValidator(_currency)]


class StrictModel(BaseModel):
    """Base of all parts: frozen, strict."""

    model_config = ConfigDict(frozen=True, strict=True, extra="ignore")


class IdentifierInput(StrictModel):
    """An identifier as the source writes it; the edge converts it to its normal form."""

    kind: Kind
    value: Annotated[str, Field(max_length=4096)]


class Campaign(StrictModel):
    """The campaign that led to the touch, in the terms of UTM parameters."""

    name: Label | None = None
    source: Label | None = None
    medium: Label | None = None
    term: Label | None = None
    content: Label | None = None


class Value(StrictModel):
    """Money: an exact amount, and the currency (ISO 4217) if known."""

    amount: Annotated[Decimal, BeforeValidator(_amount)]
    currency: Currency | None = None


class Touchpoint(StrictModel):
    """One touch, as a source states it."""

    #: Not a field: the bytes it was read from, or a function that returns them
    #: (`ingest.connector`).
    __slots__ = ("original",)

    event_id: Annotated[str, Field(min_length=1, max_length=512)]
    channel: Channel
    type: EventType
    identifiers: Annotated[tuple[IdentifierInput, ...], Field(max_length=100, strict=False)]
    direction: Direction = "inbound"
    #: The time of the event; the time of receipt if the source does not state one.
    occurred_at: Moment | None = None
    #: The time of sending, by the sender's clock: serves to correct a wrong clock. One that cannot
    #: be used corrects nothing.
    sent_at: Annotated[Moment | None, BeforeValidator(helper_time)] = None
    #: Traits learned of the customer; null unsets. Text stays text, other values become JSON text.
    traits: Annotated[dict[Label, Any], _EMPTY_LIST] = Field(default_factory=dict)
    #: Consent decisions per purpose, for instance {"marketing": true}.
    consent: Annotated[dict[Label, bool], _EMPTY_LIST] = Field(default_factory=dict)
    campaign: Annotated[Campaign | None, _EMPTY_LIST] = None
    value: Annotated[Value | None, _EMPTY_LIST] = None
    duration_s: Annotated[float, Field(ge=0, allow_inf_nan=False, strict=False)] | None = None
    outcome: Label | None = None
    #: From -1 (bad) to 1 (good).
    sentiment: Annotated[float, Field(ge=-1, le=1, strict=False)] | None = None
    subject: Text | None = None
    url: Text | None = None
    #: Everything else.
    properties: Annotated[dict[str, Any], _EMPTY_LIST] = Field(default_factory=dict)
    schema_version: Literal[1] = 1

    @model_validator(mode="before")
    @classmethod
    def _keep_unknown_fields(cls, data: Any) -> Any:
        """Move unknown fields to `properties`, so that no information of a source is lost."""
        if not isinstance(data, dict) or data.keys() <= _KNOWN_FIELDS:
            return data
        unknown = data.keys() - _KNOWN_FIELDS
        given = _object(data.get("properties", {}))
        if not isinstance(given, dict):
            return data
        known = {name: value for name, value in data.items() if name not in unknown}
        extra = {name: data[name] for name in sorted(unknown, key=str)}
        return {**known, "properties": {**extra, **given}}


#: Fields that the gateway sets; a source's own values for them are ignored.
SET_BY_THE_GATEWAY = frozenset({"source", "received_at"})
_KNOWN_FIELDS = SET_BY_THE_GATEWAY | Touchpoint.model_fields.keys()


def explain(error: ValidationError) -> str:
    """Describe a validation error in one line: field and expectation. No value is repeated."""
    lines = []
    for problem in error.errors(include_url=False, include_context=False, include_input=False)[:3]:
        where = ".".join(str(part) for part in problem["loc"]) or "the event"
        lines.append(f"{where}: {problem['msg'].removeprefix('Value error, ')}")
    return "; ".join(lines)
