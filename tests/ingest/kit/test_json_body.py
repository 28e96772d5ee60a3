"""JSON bodies: objects or rejections, single and listed events, and the bytes of a refusal."""

from __future__ import annotations

from typing import Any

import pytest

from ingest.connector import Context, Request, Result
from ingest.kit.json_body import (
    Payload,
    each,
    json_object,
    listed_events,
    refused_payload,
    single_event,
)
from ingest.testing.values import RECEIVED_MS, UNREADABLE, posted
from schemas.rejection import Rejection

CONTEXT = Context("source", RECEIVED_MS, max_events=2)
DEEP: list[Any] = []
for _ in range(10_000):
    DEEP = [DEEP]


def refuse(event: dict[str, Any], payload: Payload) -> Result:
    return Rejection("unsupported", str(event.get("a")), payload())


def too_deep(event: dict[str, Any], payload: Payload) -> Result:
    raise RecursionError


def test_a_body_is_an_object_or_a_rejection_with_its_bytes():
    assert json_object(posted(b'{"a": 1}')) == {"a": 1}
    for body in UNREADABLE.values():
        refused = json_object(posted(body))
        assert isinstance(refused, Rejection)
        assert (refused.reason, refused.payload) == ("unreadable", body)
    refused = json_object(posted(b"[]"), "the line")
    assert isinstance(refused, Rejection)
    assert refused.detail == "the line: must be a JSON object"


def test_of_a_single_event_the_whole_body_is_stored():
    body = b'{ "a": 1 }'
    assert single_event(posted(body), refuse) == Rejection("unsupported", "1", body)
    assert single_event(posted(body), too_deep) == Rejection(
        "invalid", "the event: is nested too deeply", body
    )
    assert single_event(posted(b"5"), refuse) == Rejection(
        "unreadable", "the body: must be a JSON object", b"5"
    )


def test_of_listed_events_each_is_stored_alone():
    found = list(listed_events(posted(b'{"x": [{"a": 1}, 5]}'), "x", CONTEXT, refuse))
    assert found == [
        Rejection("unsupported", "1", b'{"a":1}'),
        Rejection("invalid", "the event: must be an object", b"5"),
    ]


@pytest.mark.parametrize("body", [b"{}", b"[]", b'{"x": {}}', b'{"x": null}'])
def test_a_body_without_the_list_is_one_rejection(body: bytes):
    detail = "x: must be a list of events"
    request: Request = posted(body)
    assert list(listed_events(request, "x", CONTEXT, refuse)) == [
        Rejection("unreadable", detail, body)
    ]
    assert list(listed_events(request, "x", CONTEXT, refuse, "invalid")) == [
        Rejection("invalid", detail, body)
    ]


def test_a_batch_with_too_many_events_is_one_rejection():
    (refused,) = each([{}, {}, {}], b"body", CONTEXT, refuse)
    assert refused == Rejection(
        "too_many", "the batch: holds 3 events, at most 2 are taken", b"body"
    )


def test_a_part_that_is_too_deep_is_stored_with_its_body():
    assert refused_payload({"a": [1]}, b"body") == b'{"a":[1]}'
    assert refused_payload(DEEP, b"body") == b"body"
