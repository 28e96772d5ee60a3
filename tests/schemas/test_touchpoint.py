"""The touchpoint: a time that is read quickly is the one that the model reads."""

from datetime import datetime

from hypothesis import example, given
from hypothesis import strategies as st
from pydantic import BaseModel, ValidationError

from schemas.times import to_ms
from schemas.touchpoint import Touchpoint, explain

_DIGITS = st.from_regex(r"\A\d{4}-\d\d-\d\d[Tt W]\d\d:\d\d:\d\d[.,]\d{2,4}[Zz]?\Z")
_TIMES = st.datetimes().map(lambda time: time.isoformat(timespec="milliseconds") + "Z")


class Plain(BaseModel):
    """The same field without our own reading."""

    occurred_at: datetime


def read(model: type[Touchpoint | Plain], text: str) -> int | str:
    """Milliseconds, or what is wrong with it."""
    touch = {"event_id": "e", "channel": "web", "type": "x", "identifiers": []}
    try:
        made = model.model_validate({**touch, "occurred_at": text})
    except ValidationError as error:
        return explain(error)
    assert made.occurred_at is not None
    return to_ms(made.occurred_at)


@given(st.one_of(_TIMES, _DIGITS))
@example("2026-07-01T10:20:60.000Z")
@example("2026-07-01T24:00:00.000Z")
@example("2026-W27-3T10:20:30.123Z")
@example("0000-01-01T00:00:00.000Z")
def test_a_time_is_what_pydantic_makes_of_it(text: str):
    assert read(Touchpoint, text) == read(Plain, text)
