"""Times that are numbers: exact in their unit, and refused with a guess when it is another."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest.connector import Context, Request
from ingest.connectors.ga4.contract import Ga4Contract
from ingest.connectors.ga4.contract import request as ga4
from ingest.connectors.line.contract import LineContract
from ingest.connectors.meta.contract import MetaContract
from ingest.connectors.sendgrid.contract import SendGridContract
from ingest.connectors.snowplow.contract import SnowplowContract
from ingest.kit.fields import Fields
from ingest.kit.mapping_yaml import read_mapping
from ingest.kit.table_connector import RowCells
from ingest.kit.times import OutOfRange, TimeProblem, since_1970
from ingest.testing.values import RECEIVED_MS
from schemas.rejection import Rejection
from schemas.times import LATEST_MS, to_ms
from schemas.touchpoint import Touchpoint
from tests.ingest.connectors.mapped.mappings import make, post

UNITS = {"seconds": 1000.0, "milliseconds": 1.0, "microseconds": 1e-3, "nanoseconds": 1e-6}
MODERN = st.datetimes(datetime(2000, 1, 1), datetime(2100, 1, 1)).map(
    lambda moment: to_ms(moment.replace(tzinfo=UTC))
)


@pytest.mark.parametrize("unit", UNITS)
@given(at_ms=MODERN)
def test_a_time_of_today_is_read_in_its_unit_and_in_no_other(unit: str, at_ms: int) -> None:
    written = round(at_ms / UNITS[unit])
    assert abs(to_ms(since_1970(written, UNITS[unit])) - at_ms) < max(UNITS[unit], 1) + 1
    for other, size in UNITS.items():
        if other != unit:
            with pytest.raises(OutOfRange) as refused:
                since_1970(written, size)
            problem = refused.value.args[0]
            assert isinstance(problem, TimeProblem)
            assert f"it looks like {unit}: send {other}" in problem
            assert str(written) not in problem


@given(seconds=st.integers(0, LATEST_MS // 1000))
def test_any_time_from_1970_can_be_written_in_seconds(seconds: int) -> None:
    assert to_ms(since_1970(seconds, 1000)) == seconds * 1000


@pytest.mark.parametrize("number", [0, 1, 5, 1000, 86_400_000 * 60, 946_684_800_000])
def test_old_times_in_milliseconds_stay_valid(number: int) -> None:
    assert to_ms(since_1970(number, 1)) == number


@pytest.mark.parametrize("number", [-1, 10**30, 10**400, float("nan"), float("inf"), -1e300])
def test_what_is_no_time_in_any_unit_has_no_guess(number: float) -> None:
    for size in UNITS.values():
        with pytest.raises(OutOfRange) as refused:
            since_1970(number, size)
        assert not isinstance(refused.value.args[0], TimeProblem)


@pytest.mark.parametrize("written", [1795161600123, 1795161600123.0])
def test_fields_read_the_same(written: float) -> None:
    read = Fields({"n": written, "t": str(int(written))})
    moments = (read.moment("n", 1), read.moment_of_digits("t", 1), read.instant("t"))
    assert [moment and to_ms(moment) for moment in moments] == [1795161600123] * 3
    assert not read.problems


def parsed(request: Request, connector: Any) -> Touchpoint | Rejection:
    (result,) = connector.parse(request, Context("source", RECEIVED_MS))
    return result  # type: ignore[no-any-return]


NOW = RECEIVED_MS // 1000
MESSAGE = {"sender": {"id": "9"}, "recipient": {"id": "1"}, "message": {"mid": "m", "text": "hi"}}
LINE_EVENT = {"type": "follow", "webhookEventId": "w", "source": {"type": "user", "userId": "U1"}}


def mapped(time_format: str, value: object) -> Touchpoint | Rejection:
    rules = {
        "type": "x",
        "occurred_at": {"expr": "ts", "format": time_format},
        "identifiers": [{"kind": "email", "value": "email"}],
    }
    body = json.dumps([{"ts": value, "email": "a@x.jp"}]).encode()
    return parsed(post(body), make(rules))


def table(time_format: str, value: object) -> Touchpoint | Rejection:
    rules = {
        "type": "x",
        "channel": "web",
        "occurred_at": {"column": "ts", "format": time_format},
        "identifiers": {"email": "email"},
    }
    row = RowCells({"ts": str(value), "email": "a@x.jp"})
    return read_mapping(rules).result(row, "e", lambda: b"row", "source")


def sent(suite: Any, value: Any) -> Touchpoint | Rejection:
    return parsed(suite.signed(json.dumps(value).encode(), suite.secrets[0]), door(suite))


def door(suite: Any) -> Any:
    return suite.make(suite.secrets[0])


#: Door -> the result for a time that is right, times a factor.
DOORS: dict[str, Any] = {
    "ga4 request": lambda f: parsed(
        ga4(
            json.dumps(
                {
                    "client_id": "1",
                    "timestamp_micros": f(NOW * 10**6),
                    "events": [{"name": "login"}],
                }
            ).encode()
        ),
        door(Ga4Contract()),
    ),
    "ga4 event": lambda f: parsed(
        ga4(
            json.dumps(
                {
                    "client_id": "1",
                    "events": [{"name": "login", "timestamp_micros": str(f(NOW * 10**6))}],
                }
            ).encode()
        ),
        door(Ga4Contract()),
    ),
    "snowplow dtm": lambda f: sent(
        SnowplowContract(),
        {"data": [{"e": "pv", "aid": "shop", "duid": "d", "dtm": str(f(NOW * 1000))}]},
    ),
    "snowplow ttm": lambda f: sent(
        SnowplowContract(),
        {"data": [{"e": "pv", "aid": "shop", "duid": "d", "ttm": str(f(NOW * 1000))}]},
    ),
    "sendgrid": lambda f: sent(
        SendGridContract(), [{"event": "open", "email": "a@x.jp", "timestamp": f(NOW)}]
    ),
    "line": lambda f: sent(
        LineContract(), {"events": [{**LINE_EVENT, "timestamp": f(NOW * 1000)}]}
    ),
    "meta": lambda f: sent(
        MetaContract(),
        {
            "object": "page",
            "entry": [{"id": "1", "messaging": [{**MESSAGE, "timestamp": f(NOW * 1000)}]}],
        },
    ),
    "mapped epoch_s": lambda f: mapped("epoch_s", f(NOW)),
    "mapped epoch_ms": lambda f: mapped("epoch_ms", f(NOW * 1000)),
    "mapped text": lambda f: mapped("epoch_ms", str(f(NOW * 1000))),
    "table epoch_s": lambda f: table("epoch_s", f(NOW)),
    "table unix_ms": lambda f: table("unix_ms", f(NOW * 1000)),
}
#: Doors that take two units.
BOTH = {"meta"}


@pytest.mark.parametrize("name", DOORS)
def test_every_door_refuses_a_time_that_is_off_by_a_power_of_1000(name: str) -> None:
    good = DOORS[name](lambda number: number)
    assert isinstance(good, Touchpoint), good
    assert good.occurred_at is not None
    assert to_ms(good.occurred_at) == RECEIVED_MS
    in_seconds = name in {"sendgrid", "mapped epoch_s", "table epoch_s"} | BOTH
    factors = [lambda number: number * 1000, lambda number: number * 10**6]
    if name.startswith("ga4"):
        factors.pop()  # there is no finer unit than nanoseconds
    for factor in factors + ([] if in_seconds else [lambda number: number // 1000]):
        refused = DOORS[name](factor)
        assert isinstance(refused, Rejection), name
        assert refused.reason == "invalid_time", refused
        assert "it looks like" in refused.detail
        assert "since 1970" in refused.detail


def test_the_time_of_sending_is_a_helper_and_costs_nothing() -> None:
    for stm in ("0", "x", str(NOW), "-1", {}, [], None, True, "9" * 30):
        event = {"e": "pv", "aid": "shop", "duid": "d", "dtm": str(NOW * 1000), "stm": stm}
        found = sent(SnowplowContract(), {"data": [event]})
        assert isinstance(found, Touchpoint), stm
        assert found.occurred_at is not None
        assert to_ms(found.occurred_at) == RECEIVED_MS
