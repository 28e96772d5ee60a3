"""From the socket to Kafka a body is decoded once, a form parsed once, a source admitted once."""

from __future__ import annotations

import json
import urllib.parse
from collections.abc import Callable
from typing import Any
from urllib.parse import urlencode

import msgspec
import pytest

import ingest.request
from ingest.connector import Request
from ingest.connectors.mailgun.contract import MailgunContract
from ingest.connectors.ses.contract import request as sns_request
from ingest.gateway.config import GatewayConfig, RateLimit
from ingest.testing.values import RECEIVED_MS
from tests.support.gateway import (
    BASIC,
    BEARER,
    PUBLIC_URL,
    WRITE_KEY,
    Gateway,
    serving,
    source,
    sources,
)
from tests.support.gateway_requests import SMS, line_body, line_signed, store_visit, twilio
from tests.support.ses_requests import PAYLOADS, connector, delivered

TP2 = "/com.snowplowanalytics.snowplow/tp2"
CALL = {"event": "X", "userId": "u"}
PAGE_VIEW = {"e": "pv", "aid": "shop", "duid": "d", "eid": "e1"}
LOGIN = {"client_id": "1.2", "events": [{"name": "login"}]}


class Decoders:
    """Counts how often a body is decoded, by whomever."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self._seen: list[bytes] = []
        self._watch(monkeypatch, msgspec.json, "decode")
        self._watch(monkeypatch, json, "loads")
        self._watch(monkeypatch, urllib.parse, "parse_qsl")
        self._watch(monkeypatch, ingest.request, "parse_qsl")

    def _watch(self, monkeypatch: pytest.MonkeyPatch, module: Any, name: str) -> None:
        decode: Callable[..., Any] = getattr(module, name)

        def counting(content: Any, *args: Any, **options: Any) -> Any:
            self._seen.append(content.encode() if isinstance(content, str) else bytes(content))
            return decode(content, *args, **options)

        monkeypatch.setattr(module, name, counting)

    def times(self, body: bytes) -> int:
        return self._seen.count(body)


@pytest.fixture
def decoders(monkeypatch: pytest.MonkeyPatch) -> Decoders:
    return Decoders(monkeypatch)


def given() -> list[Any]:
    return [
        *sources(),
        source("snow", "snowplow", {"app_ids": "shop"}),
        source("closed", "snowplow", {"app_ids": "shop", "collector_key": "k-one"}),
        source("ga", "ga4", {"api_secret": "s-one"}),
        source("mail", "mailgun", {"signing_key": MailgunContract.secrets[0]}),
    ]


def mailgun() -> bytes:
    contract = MailgunContract()
    name, payload = next(iter(contract.payloads.items()))
    return contract.request(payload, name).body


JSON_BODIES: dict[str, tuple[str, dict[str, str], Any]] = {
    "segment, key in the body": ("/v1/track", {}, {**CALL, "writeKey": WRITE_KEY}),
    "segment, key in a header": ("/v1/track", BASIC, CALL),
    "segment, one of a batch refused": (
        "/v1/batch",
        {},
        {"writeKey": WRITE_KEY, "batch": [{**CALL, "type": "track"}, {"type": "wat"}]},
    ),
    "snowplow, app id in the body": (TP2, {}, {"data": [PAGE_VIEW]}),
    "snowplow, key in the address": ("/snowplow/k-one" + TP2, {}, {"data": [PAGE_VIEW]}),
    "ga4": ("/mp/collect?api_secret=s-one", {}, LOGIN),
    "ga4, one of a batch refused": (
        "/mp/collect?api_secret=s-one",
        {},
        {**LOGIN, "events": [{"name": "login"}, {}]},
    ),
    "touchpoint": ("/v1/events", BEARER, store_visit("e")),
    "under its own name": (f"/hooks/shop?writeKey={WRITE_KEY}", {}, {**CALL, "type": "track"}),
    "line": ("/hooks/line", line_signed(line_body("x")), line_body("x")),
    "mailgun": ("/hooks/mail", {}, mailgun()),
}


@pytest.mark.parametrize("name", JSON_BODIES)
async def test_a_json_body_is_decoded_once(decoders: Decoders, name: str) -> None:
    path, headers, value = JSON_BODIES[name]
    body = value if isinstance(value, bytes) else msgspec.json.encode(value)
    async with serving(given=given(), now_ms=lambda: RECEIVED_MS) as gateway:
        answer = await gateway.post(path, body, headers=headers)
        assert answer.status in (200, 202, 204)
        assert len(gateway.accepted) == 1
        assert decoders.times(body) == 1


async def test_a_form_is_parsed_once(decoders: Decoders) -> None:
    body = urlencode(SMS).encode()
    async with serving() as gateway:
        signed = twilio(PUBLIC_URL + "/hooks/support", SMS)
        assert (await gateway.post("/hooks/support", body, **signed)).status == 200
        assert len(gateway.accepted) == 1
        assert decoders.times(body) == 1


def test_what_is_fetched_in_between_changes_nothing(decoders: Decoders) -> None:
    """Amazon's messages name their certificate, so they are read before they are verified."""
    ses = connector()
    asked = sns_request(delivered(next(iter(PAYLOADS.values()))))
    address = ses.needs(asked)
    assert address is not None
    with_certificate = asked._replace(fetched={address: b""})
    ses.verify(with_certificate, RECEIVED_MS)
    ses.calls(with_certificate)
    assert decoders.times(asked.body) == 1


def test_another_body_is_decoded_anew() -> None:
    first = Request("POST", "/", "", "", {}, b'{"a":1}')
    assert first.json == {"a": 1}
    assert first._replace(path="/x").json is first.json
    assert first._replace(body=b"a=1&b=&a=%FF").form == (("a", "1"), ("b", ""), ("a", "\udcff"))
    assert first == first._replace(body=b'{"a":1}')
    known = first.json
    first.forget()
    assert first.json == known
    assert first.json is not known


# Admission

LIMITED = RateLimit(0.001, 1)
#: Path with query, and a header with the key: what shows whose a request is before its body.
KEY_IN_THE_HEAD = {
    "segment, header": ("/v1/track", f"Authorization: {BASIC['Authorization']}"),
    "segment, query": (f"/beacon/v1/batch?writeKey={WRITE_KEY}", "X: y"),
    "snowplow, address": ("/snowplow/k-one" + TP2, "X: y"),
    "ga4, query": ("/mp/collect?api_secret=s-one", "X: y"),
    "touchpoint, header": ("/v1/events", f"Authorization: {BEARER['Authorization']}"),
}
#: The same with a wrong key.
WRONG_KEY = {
    "segment, header": ("/v1/track", "Authorization: Basic d3Jvbmc6"),
    "segment, query": ("/beacon/v1/batch?writeKey=wrong", "X: y"),
    "snowplow, address": ("/snowplow/wrong" + TP2, "X: y"),
    "ga4, query": ("/mp/collect?api_secret=wrong", "X: y"),
    "ga4, nothing": ("/mp/collect", "X: y"),
    "touchpoint, header": ("/v1/events", "Authorization: Bearer wrong"),
}


def limited() -> list[Any]:
    return [
        source("shop", "segment", {"write_key": WRITE_KEY}, LIMITED),
        source("crm", "touchpoint", {"token": "tok-crm"}, LIMITED),
        source("closed", "snowplow", {"app_ids": "shop", "collector_key": "k-one"}, LIMITED),
        source("ga", "ga4", {"api_secret": "s-one"}, LIMITED),
        source("line", "line", {"channel_secret": "line-secret"}, LIMITED),
    ]


async def without_its_body(gateway: Gateway, path: str, header: str) -> bytes:
    """The answer to a request whose body never comes."""
    head = (
        f"POST {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n{header}\r\n"
        "Content-Length: 1000000\r\n\r\n"
    )
    return await gateway.raw(head.encode())


@pytest.mark.parametrize("name", KEY_IN_THE_HEAD)
async def test_a_source_over_its_rate_is_refused_before_the_body(name: str) -> None:
    path, header = KEY_IN_THE_HEAD[name]
    async with serving(GatewayConfig(port=0, linger_s=0.2), limited()) as gateway:
        field, _, value = header.partition(": ")
        answer = await gateway.post(path, b"{}", headers={field: value})
        assert answer.status in (200, 202, 204, 400)
        assert (await without_its_body(gateway, path, header)).startswith(b"HTTP/1.1 429")


@pytest.mark.parametrize("name", WRONG_KEY)
async def test_nobody_without_a_valid_key_has_a_body_read(name: str) -> None:
    path, header = WRONG_KEY[name]
    async with serving(GatewayConfig(port=0, linger_s=0.2), limited()) as gateway:
        assert (await without_its_body(gateway, path, header)).startswith(b"HTTP/1.1 401")


async def test_a_webhook_over_its_rate_is_refused_before_the_body() -> None:
    async with serving(GatewayConfig(port=0, linger_s=0.2), limited()) as gateway:
        body = line_body("x")
        answer = await gateway.post("/hooks/line", body, headers=line_signed(body, "line-secret"))
        assert answer.status == 200
        assert (await without_its_body(gateway, "/hooks/line", "X: y")).startswith(b"HTTP/1.1 429")


async def test_a_webhook_that_nobody_signed_costs_the_source_nothing() -> None:
    async with serving(given=limited()) as gateway:
        body = line_body("x")
        for _ in range(5):
            assert (await gateway.post("/hooks/line", body)).status == 401
        answer = await gateway.post("/hooks/line", body, headers=line_signed(body, "line-secret"))
        assert answer.status == 200
