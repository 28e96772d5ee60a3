"""A refused event is read again from its kept context as it was."""

from __future__ import annotations

import json

from hypothesis import given
from hypothesis import strategies as st

from ingest.connector import Context, original
from ingest.connectors.mapped.contract import MAPPING
from ingest.intake.replay_context import Origins, ReplayContext
from ingest.testing.values import JSON, MARK, RECEIVED_MS, RELAXED
from schemas.rejection import Rejection
from schemas.touchpoint import Touchpoint
from tests.ingest.connectors.mapped.mappings import (
    FILTERED,
    LIST,
    PAYLOADS,
    make,
    mapping,
    post,
)


def test_an_event_is_kept_with_what_its_expressions_ask_of_the_body():
    body = PAYLOADS["batch"]
    before, after = make(MAPPING).around(post(json.dumps(body).encode())) or (b"", b"")
    assert json.loads(before + b"1" + after) == {
        "account": {"id": 7, "name": "Acme"},
        "data": {"items": [1]},
    }
    assert make(MAPPING).around(post(b"not json")) == (b'{"data":{"items":[', b"]}}")
    assert make(mapping(LIST)).around(post(b"[]")) == (b"[", b"]")


def test_of_events_that_an_expression_picks_the_whole_body_is_kept():
    connector, request = make(mapping(FILTERED)), post(json.dumps(PAYLOADS["filtered"]).encode())
    assert connector.around(request) is None
    for result in connector.parse(request, Context("source", RECEIVED_MS)):
        assert isinstance(result, Touchpoint)
        assert original(result) == request.body


def test_a_refused_event_of_a_batch_is_read_again_alone():
    body = json.loads(json.dumps(PAYLOADS["batch"]))
    body["data"]["items"][0]["at"] = MARK
    connector = make(MAPPING)
    request = post(json.dumps(body).encode(), x_shop="tokyo", x_token="s")
    results = list(connector.parse(request, Context("source", RECEIVED_MS)))
    refused = results[0]
    assert isinstance(refused, Rejection)
    origin = Origins("source", connector, request).of(refused)
    assert origin.form == "event"
    assert "x-token" not in origin.request
    again = ReplayContext.of(origin.request).request(refused.payload)
    assert list(connector.parse(again, Context("source", RECEIVED_MS))) == [refused]


@RELAXED
@given(data=st.data())
def test_any_event_gives_the_same_alone_as_in_its_batch(data: st.DataObject):
    items = PAYLOADS["batch"]["data"]["items"]
    names = st.sampled_from(sorted({name for item in items for name in item}))
    changes = data.draw(st.lists(st.dictionaries(names, JSON, max_size=4), min_size=1, max_size=4))
    events = [{**data.draw(st.sampled_from(items)), **change} for change in changes]
    batch = {**PAYLOADS["batch"], "data": {"items": events}}
    request = post(json.dumps(batch).encode(), x_shop="tokyo")
    connector, context = make(MAPPING), Context("source", RECEIVED_MS)
    before, after = connector.around(request) or (b"", b"")
    for result in connector.parse(request, context):
        payload = result.payload if isinstance(result, Rejection) else original(result)
        if payload == request.body:
            continue  # it could not be read at all
        alone = request._replace(body=before + payload + after)
        assert list(connector.parse(alone, context)) == [result]
