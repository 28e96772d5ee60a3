"""A source's secrets in what is kept of a refusal: masked, whoever wrote them into an event."""

from __future__ import annotations

import base64
import json
from typing import Any
from urllib.parse import quote

import msgspec
import pytest

from ingest.connector import Options, Request, Secrets, secrets_among
from ingest.intake.accept import Accepted, SourcePolicy
from ingest.intake.evaluate import evaluate, rejection_message
from ingest.intake.limits import Limits
from ingest.intake.masking import masked
from ingest.intake.replay_context import Origins, ReplayContext
from ingest.intake.source import ReadableSource
from ingest.registry import Registry
from ingest.testing.values import RECEIVED_MS, posted
from schemas.rejection import Rejection

KEY = "wk-5Xw8Lq3Tz"
GOOD = {"type": "track", "event": "A", "userId": "u", "messageId": "m"}


def kept(connector: str, options: dict[str, Any], request: Request) -> tuple[bytes, str]:
    """Return payload and request of the first refusal, as they are stored."""
    made = Registry().create(connector, options)
    source = ReadableSource(made, SourcePolicy("source"))  # type: ignore[arg-type]
    found = evaluate(source, request, RECEIVED_MS, Limits())
    refused = next(one for one in found if isinstance(one, Rejection))
    origins = Origins("source", source.connector, request)
    message = rejection_message(
        refused, origins, rejected_id="r", received_ms=RECEIVED_MS, max_kept_bytes=10_000
    )
    row = msgspec.json.decode(message.value)
    return base64.b64decode(row["payload_base64"]), row["request"]


@pytest.mark.parametrize(
    ("connector", "options", "path", "body"),
    [
        ("segment", {"write_key": KEY}, "/v1/track", {"event": 5, "writeKey": KEY}),
        ("segment", {"write_key": ["other", KEY]}, "/v1/batch", {"batch": [{"writeKey": KEY}]}),
        (
            "segment",
            {"write_key": KEY},
            "/v1/batch",
            {"writeKey": KEY, "context": {"key": KEY}, "batch": [{**GOOD, "event": 5}]},
        ),
        ("segment", {"write_key": KEY}, "/v1/batch", {"batch": 5, "writeKey": KEY}),
        ("touchpoint", {"token": KEY}, "/v1/events", [{"token": KEY}]),
        ("touchpoint", {"token": KEY}, "/v1/events", {"auth": f"Bearer {KEY}"}),
        ("ga4", {"api_secret": KEY}, "/mp/collect", {"api_secret": KEY, "events": [{}]}),
        ("ga4", {"api_secret": KEY}, "/mp/collect", {"events": [{"params": {"secret": KEY}}]}),
        (
            "mapped",
            {
                "signature": {"scheme": "token", "header": "X-T", "secret": KEY},
                "mapping": {"type": "x", "identifiers": [{"kind": "email", "value": "email"}]},
            },
            "/hooks/a",
            {"secret": KEY},
        ),
    ],
)
def test_a_secret_in_an_event_is_not_kept(
    connector: str, options: dict[str, Any], path: str, body: Any
) -> None:
    payload, request = kept(connector, options, posted(json.dumps(body).encode(), path=path))
    assert KEY.encode() not in payload
    assert KEY not in request
    assert isinstance(json.loads(payload), dict)


def test_what_is_kept_is_read_again_without_the_key() -> None:
    body = {"batch": [{**GOOD, "writeKey": KEY, "event": ""}], "context": {"writeKey": KEY}}
    payload, request = kept(
        "segment", {"write_key": KEY}, posted(json.dumps(body).encode(), path="/v1/batch")
    )
    again = ReplayContext.of(request).request(payload.replace(b'"event":""', b'"event":"A"'))
    source = ReadableSource(
        Registry().create("segment", {"write_key": KEY}),  # type: ignore[arg-type]
        SourcePolicy("source"),
    )
    (accepted,) = evaluate(source, again, RECEIVED_MS, Limits())
    assert isinstance(accepted, Accepted)
    assert accepted.event_id == "m"


@pytest.mark.parametrize("secret", ['a"b\\c-long-enough', "schlüssel-geheim", "a b/c+d=e&f-long"])
def test_every_way_of_writing_it_is_masked(secret: str) -> None:
    for written in (
        json.dumps({"k": secret}),
        json.dumps({"k": secret}, ensure_ascii=False),
        f"k={quote(secret, safe='')}&l=1",
        f"Bearer {secret}",
    ):
        found = masked(written.encode(), (secret.encode(),))
        assert b"***" in found
        assert len(found) < len(written.encode())


def test_a_short_secret_is_masked_only_where_it_is_a_value() -> None:
    text = b'{"k": "kiosk", "key": "k", "n": "ok"} k=k&k=kk'
    assert masked(text, (b"k",)) == b'{"k": "kiosk", "key": "***", "n": "ok"} k=***&k=kk'
    assert masked(b'{"n": 12345}', (b"12345",)) == b'{"n": 12345}'
    assert masked(text, ()) == text


def test_secrets_of_nested_options_are_found() -> None:
    class Inner(Options):
        token: Secrets

    class Outer(Options):
        inner: Inner
        several: Secrets
        plain: str = "x"

    given = {"inner": {"token": "a"}, "several": ["b", "c"]}
    assert secrets_among(Outer.model_validate(given)) == (b"a", b"b", b"c")
