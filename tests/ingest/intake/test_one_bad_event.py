"""One event with a value that nothing can carry costs itself alone, through every door."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest

from ingest.connector import Reader, Request
from ingest.connectors.amazon_connect.contract import AmazonConnectContract
from ingest.connectors.ga4.contract import Ga4Contract
from ingest.connectors.line.contract import LineContract
from ingest.connectors.meta.contract import MetaContract
from ingest.connectors.segment.contract import SegmentContract
from ingest.connectors.sendgrid.contract import SendGridContract
from ingest.connectors.snowplow.contract import SnowplowContract
from ingest.connectors.touchpoint.contract import TouchpointContract
from ingest.intake.accept import Accepted, SourcePolicy
from ingest.intake.evaluate import evaluate
from ingest.intake.limits import Limits
from ingest.intake.replay_context import Origins, ReplayContext
from ingest.intake.source import ReadableSource
from ingest.testing.suite import ConnectorSuite
from ingest.testing.values import RECEIVED_MS, posted
from schemas.rejection import Rejection
from tests.ingest.connectors.mapped.mappings import LIST, make, mapping

#: Text of a bad value -> a word of what is said about it.
BAD = {
    "NaN": "is NaN, which is no JSON",
    "-Infinity": "is -Infinity, which is no JSON",
    "1e400": "out of range",
    "-1E+999": "out of range",
    "9" * 5000: "thousands of digits",
    "[" * 600 + "]" * 600: "nested deeper than",
    '{"a":' * 70_000 + "1" + "}" * 70_000: "nested deeper than",
}
MARK = '"put-it-here"'


def touches(name: str) -> list[dict[str, Any]]:
    visit = {"channel": "store", "type": "store_visited"}
    return [
        {"event_id": f"{name}{i}", **visit, "identifiers": [{"kind": "email", "value": "a@x.jp"}]}
        for i in range(3)
    ]


def calls() -> list[dict[str, Any]]:
    return [{"type": "track", "event": "A", "userId": "u", "messageId": f"m{i}"} for i in range(3)]


def clouds() -> list[dict[str, Any]]:
    return [
        {"specversion": "1.0", "id": f"c{i}", "source": "/crm", "type": "t", "data": touch}
        for i, touch in enumerate(touches("c"))
    ]


def follows() -> list[dict[str, Any]]:
    return [
        {
            "type": "follow", "webhookEventId": f"w{i}", "timestamp": RECEIVED_MS, "mode": "active",
            "source": {"type": "user", "userId": f"U{i:032x}"},
        }
        for i in range(3)
    ]  # fmt: skip


def messages() -> list[dict[str, Any]]:
    return [
        {
            "sender": {"id": f"90{i}"}, "recipient": {"id": "1"}, "timestamp": RECEIVED_MS,
            "message": {"mid": f"m_{i}", "text": "hi"},
        }
        for i in range(3)
    ]  # fmt: skip


def mails() -> list[dict[str, Any]]:
    return [
        {
            "event": "open",
            "email": "a@x.jp",
            "timestamp": RECEIVED_MS // 1000,
            "sg_event_id": f"s{i}",
        }
        for i in range(3)
    ]


def views() -> list[dict[str, Any]]:
    return [{"e": "pv", "aid": "shop", "duid": "d", "eid": f"e{i}"} for i in range(3)]


def signups() -> list[dict[str, Any]]:
    event = {"event": "signed_up", "user_id": "u", "ts": RECEIVED_MS // 1000}
    return [{**event, "id": f"i{i}"} for i in range(3)]


def call_records() -> list[dict[str, Any]]:
    record = next(iter(AmazonConnectContract.payloads.values()))
    return [{**record, "ContactId": f"call-{i}"} for i in range(3)]


def door(suite: ConnectorSuite) -> Reader:
    return suite.make(suite.secrets[0])


SEGMENT, TOUCH, META = SegmentContract(), TouchpointContract(), MetaContract()
#: Door -> its connector, its events, and what is around them.
DOORS: dict[str, tuple[Reader, list[dict[str, Any]], Any]] = {
    "segment": (door(SEGMENT), calls(), lambda events: {"batch": events}),
    "touchpoint": (door(TOUCH), touches("t"), lambda events: events),
    "cloudevents": (door(TOUCH), clouds(), lambda events: events),
    "ga4": (
        door(Ga4Contract()),
        [{"name": "login", "params": {"event_id": f"g{i}"}} for i in range(3)],
        lambda events: {"client_id": "1.2", "events": events},
    ),
    "snowplow": (door(SnowplowContract()), views(), lambda events: {"data": events}),
    "sendgrid": (door(SendGridContract()), mails(), lambda events: events),
    "line": (door(LineContract()), follows(), lambda events: {"events": events}),
    "meta messages": (
        door(META),
        messages(),
        lambda events: {"object": "page", "entry": [{"id": "1", "messaging": events}]},
    ),
    "meta entries": (
        door(META),
        messages(),
        lambda events: {
            "object": "page",
            "entry": [{"id": "1", "messaging": [event]} for event in events],
        },
    ),
    "mapped": (make(mapping(LIST)), signups(), lambda events: events),
    "amazon_connect": (door(AmazonConnectContract()), call_records(), lambda events: events),
}


def request(name: str, body: str) -> Request:
    kinds = {"cloudevents": "application/cloudevents-batch+json"}
    kind = kinds.get(name, "application/json")
    path = "/v1/batch" if name == "segment" else "/hooks/source"
    return posted(body.encode(), {"content-type": kind}, path)


def results(connector: Reader, request: Request) -> list[Accepted | Rejection]:
    source = ReadableSource(connector, SourcePolicy("source", region="JP"))
    return list(evaluate(source, request, RECEIVED_MS, Limits()))


@pytest.mark.parametrize("bad", BAD, ids=lambda text: text[:9])
@pytest.mark.parametrize("name", DOORS)
def test_a_value_that_nothing_can_carry_costs_its_event_alone(name: str, bad: str) -> None:
    connector, events, around = DOORS[name]
    assert len(results(connector, request(name, json.dumps(around(events))))) == 3
    events = [events[0], {**events[1], "ext": {"x": ["put-it-here"]}}, events[2]]
    body = request(name, json.dumps(around(events), separators=(",", ":")).replace(MARK, bad))
    found = results(connector, body)
    assert [type(one) for one in found] == [Accepted, Rejection, Accepted]
    refused = found[1]
    assert isinstance(refused, Rejection)
    assert refused.reason == "invalid"
    assert BAD[bad] in refused.detail
    assert "UTF-8" not in refused.detail
    if "nested" not in BAD[bad]:
        assert "ext.x.0: is " in refused.detail

    # What is kept has the bad text as it came, and is refused in the same way when read again.
    assert bad.encode() in refused.payload
    origin = Origins("source", connector, body).of(refused)
    again = ReplayContext.of(origin.request).request(refused.payload)
    assert results(connector, again) == [refused]


@pytest.mark.parametrize("bad", ["NaN", "1e400"])
@pytest.mark.parametrize("name", DOORS)
def test_it_costs_its_event_wherever_it_stands_in_it(name: str, bad: str) -> None:
    connector, events, around = DOORS[name]
    for field in events[1]:
        marked = [events[0], {**events[1], field: "put-it-here"}, events[2]]
        body = json.dumps(around(marked)).replace(MARK, bad)
        found = results(connector, request(name, body))
        assert [type(one) for one in found] == [Accepted, Rejection, Accepted], field
        assert bad in str(found[1].payload) if isinstance(found[1], Rejection) else False


def test_a_part_of_a_batch_that_is_no_event_says_why() -> None:
    (refused,) = results(door(TOUCH), request("touchpoint", "[NaN]"))
    assert isinstance(refused, Rejection)
    assert refused.detail == "the event: is NaN, which is no JSON; send null or leave it out"


@pytest.mark.parametrize("bad", BAD, ids=lambda text: text[:9])
def test_of_one_event_the_detail_is_true_too(bad: str) -> None:
    body = json.dumps({**touches("t")[0], "properties": {"x": "put-it-here"}}).replace(MARK, bad)
    (refused,) = results(door(TOUCH), request("touchpoint", body))
    assert isinstance(refused, Rejection)
    assert (refused.reason, refused.event_id, refused.payload) == ("invalid", "t0", body.encode())
    assert BAD[bad] in refused.detail


@pytest.mark.parametrize("bad", ["NaN", "1e400"])
def test_what_all_events_of_a_batch_share_is_never_published_with_it(bad: str) -> None:
    for name, around in (
        ("segment", {"context": {"traits": {"age": "put-it-here"}}, "batch": calls()}),
        (
            "ga4",
            {
                "client_id": "1.2",
                "user_properties": {"age": {"value": "put-it-here"}},
                "events": [{"name": "login"}],
            },
        ),
    ):
        connector, *_ = DOORS[name]
        (refused, *more) = results(connector, request(name, json.dumps(around).replace(MARK, bad)))
        assert isinstance(refused, Rejection)
        assert refused.detail.startswith("traits.age: is ")
        assert not any(isinstance(one, Accepted) for one in more)


@pytest.mark.parametrize("encoded", [False, True])
def test_json_within_a_parameter_costs_its_event_and_says_why(encoded: bool) -> None:
    entity = '{"schema":"iglu:a/contexts/jsonschema/1-0-0","data":[{"x":NaN}]}'
    text = base64.urlsafe_b64encode(entity.encode()).decode() if encoded else entity
    events = views()
    events[1]["cx" if encoded else "co"] = text
    found = results(DOORS["snowplow"][0], request("snowplow", json.dumps({"data": events})))
    assert [type(one) for one in found] == [Accepted, Rejection, Accepted]
    assert "data.0.x: is NaN" in getattr(found[1], "detail", "")


@pytest.mark.parametrize("mode", ["binary", "base64"])
def test_the_data_of_a_cloud_event_says_why_too(mode: str) -> None:
    data = json.dumps({**touches("t")[0], "properties": {"x": "put-it-here"}}).replace(MARK, "NaN")
    attributes = {"specversion": "1.0", "id": "c", "source": "/crm", "type": "t"}
    if mode == "binary":
        headers = {f"ce-{name}": value for name, value in attributes.items()}
        sent = posted(data.encode(), headers)
    else:
        event = {**attributes, "data_base64": base64.b64encode(data.encode()).decode()}
        kind = {"content-type": "application/cloudevents+json"}
        sent = posted(json.dumps(event).encode(), kind)
    (refused,) = results(door(TOUCH), sent)
    assert isinstance(refused, Rejection)
    assert refused.detail.startswith("data.properties.x: is NaN")
