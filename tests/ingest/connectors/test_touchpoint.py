"""Own systems: touchpoints, and CloudEvents in all modes."""

from __future__ import annotations

import base64
import json
from datetime import UTC, datetime
from typing import Any

import pytest
from cloudevents.core.bindings import http as cloudevents_http
from cloudevents.core.v1.event import CloudEvent

from ingest.connector import Context, KeyedConnector
from ingest.connectors.touchpoint.connector import TouchpointConnector, TouchpointOptions
from ingest.connectors.touchpoint.contract import KINDS, TouchpointContract, request
from ingest.testing.values import RECEIVED_MS
from schemas.rejection import Rejection
from schemas.touchpoint import Touchpoint

PAYLOADS = TouchpointContract.payloads
DATA = {
    "channel": "store",
    "type": "store_visited",
    "identifiers": [{"kind": "email", "value": "a@b.c"}],
}


def parse(value: Any, **headers: str) -> list[Any]:
    body = value if isinstance(value, bytes) else json.dumps(value).encode()
    connector = TouchpointConnector(TouchpointOptions(token="t"))
    return list(connector.parse(request(body, **headers), Context("crm", RECEIVED_MS)))


def structured(**attributes: Any) -> Any:
    event = {"specversion": "1.0", "id": "1", "source": "/crm", "type": "t", "data": DATA}
    (result,) = parse({**event, **attributes}, content_type="application/cloudevents+json")
    return result


class TestTouchpoint(TouchpointContract):
    pass


def test_the_token_is_a_key():
    connector = TouchpointConnector(TouchpointOptions(token=("t", "u")))
    assert isinstance(connector, KeyedConnector)
    assert connector.keys() == (b"t", b"u")
    assert TouchpointConnector.key(request(b"", "t")) == b"t"
    assert TouchpointConnector.key(request(b"", authorization="bearer  u ")) == b"u"
    for shown in ("", "t", "Bearer", "Bearer ", "Basic dDo="):
        assert TouchpointConnector.key(request(b"", authorization=shown)) is None


def test_one_touchpoint():
    (touch,) = parse(PAYLOADS["one"])
    assert touch.event_id == "seminar-17"
    assert (touch.channel, touch.type, touch.outcome) == ("event", "seminar_attended", "attended")
    assert touch.value.currency == "JPY"
    assert touch.properties == {"seat": 12}


def test_a_list_keeps_unknown_fields_as_properties():
    first, second = parse(PAYLOADS["list"])
    assert first.properties == {"shop": "Shibuya"}
    assert second.occurred_at is None


def test_a_wrong_one_in_a_list_is_refused_alone():
    good = PAYLOADS["one"]
    for wrong, named in (
        ({**good, "channel": 5}, "channel"),
        ({**good, "occurred_at": 1795147200}, "occurred_at"),
        ({**good, "identifiers": "a@b.c"}, "identifiers"),
        ({**good, "sentiment": 2}, "sentiment"),
        ({**good, "event_id": 7}, "event_id"),
    ):
        before, refused, after = parse([good, wrong, good])
        assert isinstance(before, Touchpoint)
        assert isinstance(after, Touchpoint)
        assert isinstance(refused, Rejection)
        assert refused.detail.startswith(f"{named}: ")
        assert json.loads(refused.payload) == wrong


@pytest.mark.parametrize("event_id", [None, ""])
def test_a_missing_event_id_says_what_to_do(event_id: str | None):
    (refused,) = parse({**PAYLOADS["one"], "event_id": event_id})
    assert refused.detail.startswith("event_id: is missing; give each event an id")


def test_an_empty_list_is_fine():
    assert parse([]) == []


# CloudEvents


def test_id_and_time_stand_in():
    (touch,) = parse(PAYLOADS["cloudevent"], content_type=KINDS["cloudevent"])
    assert touch.event_id == "/crm/contacts A234-1234-1234"
    assert touch.occurred_at == datetime(2026, 11, 20, 1, 30, tzinfo=UTC)
    assert (touch.type, touch.outcome, touch.duration_s) == ("call_completed", "answered", 61)


def test_source_and_id_name_the_event():
    first, second = parse(PAYLOADS["cloudevents_batch"], content_type=KINDS["cloudevents_batch"])
    assert first.event_id != second.event_id
    assert second.occurred_at == datetime(2026, 11, 20, 2, tzinfo=UTC), "its own comes first"


def test_what_the_touchpoint_says_itself_comes_first():
    assert structured(data={**DATA, "event_id": "mine"}).event_id == "mine"


@pytest.mark.parametrize("mode", ["binary", "structured", "batch"])
def test_cloudevents_own_library_is_understood(mode: str):
    attributes = {
        "id": "日本 42%", "source": "https://crm.example.com/a b".replace(" ", "%20"), "type": "t",
        "time": datetime(2026, 11, 20, 1, 2, 3, tzinfo=UTC), "datacontenttype": "application/json",
    }  # fmt: skip
    event = CloudEvent(attributes=attributes, data=DATA)
    if mode == "binary":
        message = cloudevents_http.to_binary_event(event)
    else:
        message = cloudevents_http.to_structured_event(event)
    headers = {name.lower().replace("-", "_"): value for name, value in message.headers.items()}
    body = message.body
    if mode == "batch":
        headers["content_type"] = "application/cloudevents-batch+json"
        body = b"[" + body + b"]"
    (touch,) = parse(body, **headers)
    assert isinstance(touch, Touchpoint), touch
    assert touch.event_id == "https://crm.example.com/a%20b 日本 42%"
    assert touch.occurred_at == datetime(2026, 11, 20, 1, 2, 3, tzinfo=UTC)


def test_data_may_be_base64():
    encoded = base64.b64encode(json.dumps(DATA).encode()).decode()
    assert structured(data=None, data_base64=encoded).type == "store_visited"


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"specversion": "0.3"}, "specversion"),
        ({"specversion": None}, "specversion"),
        ({"id": ""}, "id"),
        ({"id": 5}, "id"),
        ({"source": None}, "source"),
        ({"source": "a b"}, "source"),
        ({"type": None}, "type"),
        ({"data": None}, "data"),
        ({"data": "text"}, "data"),
        ({"data": None, "data_base64": "!"}, "data"),
        ({"data": {**DATA, "channel": 5}}, "channel"),
        ({"time": "noon"}, "time or data.occurred_at"),
        ({"time": 5}, "time"),
    ],
    ids=str,
)
def test_a_wrong_cloud_event_is_refused(change: dict[str, Any], named: str):
    refused = structured(**change)
    assert isinstance(refused, Rejection)
    assert refused.detail.startswith(f"{named}: ")
