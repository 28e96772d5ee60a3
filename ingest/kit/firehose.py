"""Amazon Data Firehose's delivery to an HTTP endpoint: its key, its envelope, its answer.

Source: https://docs.aws.amazon.com/firehose/latest/dev/httpdeliveryrequestresponse.html. A body is
`{"requestId", "timestamp", "records": [{"data"}…]}` with each record's bytes in base64; the answer
repeats `requestId` and has a `timestamp`.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from typing import Any

import msgspec

from ingest.connector import Reply, Request, json_bytes
from ingest.kit.json_body import refused_payload
from ingest.request import decode_json
from schemas.rejection import Rejection

ACCESS_KEY = "x-amz-firehose-access-key"
#: Header with the stream's settings that apply to all of its records.
ATTRIBUTES = "x-amz-firehose-common-attributes"
_JSON = json.JSONDecoder()


class _Head(msgspec.Struct):
    """The fields of a request that the answer repeats."""

    requestId: str
    timestamp: int


def reply(request: Request) -> Reply:
    """Return the answer to a delivery; an empty one to a body that came without Firehose.

    Its `timestamp`, for which Firehose wants a time in milliseconds, is that of the request: a
    connector has no clock.
    """
    try:
        head = msgspec.json.decode(request.body, type=_Head)
    except (ValueError, RecursionError):
        return Reply()
    receipt = {"requestId": head.requestId, "timestamp": head.timestamp}
    return Reply(200, json_bytes(receipt), "application/json")


def attributes(request: Request) -> dict[str, Any]:
    """Return the common attributes of a delivery; none if the header is missing or not JSON."""
    body = decode_json(request.headers.get(ATTRIBUTES, "{}").encode("utf-8", "replace"))
    found = body.get("commonAttributes") if isinstance(body, dict) else None
    return found if isinstance(found, dict) else {}


def records(body: bytes) -> Iterator[object]:
    """Yield the JSON values of a body, and a `Rejection` for each part that is not JSON.

    The body is a delivery of Firehose, or the records themselves: one, a list, JSON lines, or one
    after the other, as Firehose writes them to a file.
    """
    for value in _values(body):
        if not (isinstance(value, dict) and "records" in value and "requestId" in value):
            yield from value if isinstance(value, list) else [value]
        elif isinstance(value["records"], list):
            for record in value["records"]:
                yield from _delivered(record, body)
        else:
            yield Rejection("unreadable", "records: must be a list", body)


def _delivered(record: object, body: bytes) -> Iterator[object]:
    data = record.get("data") if isinstance(record, dict) else None
    try:
        raw = base64.b64decode(data, validate=True) if isinstance(data, str) else None
    except ValueError:
        raw = None
    if raw is None:
        yield Rejection("invalid", "records.data: must be base64", refused_payload(record, body))
        return
    for value in _values(raw):
        yield from (value if isinstance(value, list) and value else [value])


def _values(data: bytes) -> list[object]:
    """Return the JSON value in some bytes, or one a line; a rejection if there is none."""
    whole = decode_json(data)
    if not isinstance(whole, Rejection):
        return [whole]
    found = [value for line in data.splitlines() for value in _on_a_line(line)]
    return [whole] if all(isinstance(value, Rejection) for value in found) else found


def _on_a_line(line: bytes) -> Iterator[object]:
    """Yield values that follow one another; from the first that is not JSON the rest is refused."""
    rest = line.decode("utf-8", "surrogateescape").strip()
    while rest:
        try:
            _, end = _JSON.raw_decode(rest)
        except (ValueError, RecursionError):
            end = len(rest)
        yield decode_json(rest[:end].encode("utf-8", "surrogateescape"))
        rest = rest[end:].lstrip()
