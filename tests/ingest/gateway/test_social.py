"""Meta, X and Amazon Connect through the gateway: handshakes, answers, what is kept."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable
from typing import Any, NamedTuple

import pytest

from ingest.connector import Request
from ingest.connectors.amazon_connect import contract as amazon_connect
from ingest.connectors.meta import contract as meta
from ingest.connectors.x import contract as x
from ingest.kit.firehose import ACCESS_KEY
from ingest.testing.values import RECEIVED_MS
from tests.support.gateway import Gateway, serving, source


class Provider(NamedTuple):
    """A connector with its options, its payloads, how they are sent, and their events."""

    connector: str
    options: dict[str, Any]
    payloads: dict[str, Any]
    send: Callable[[bytes], Request]
    events: int


PROVIDERS = [
    Provider(
        "meta",
        {"app_secret": "s", "verify_token": "v"},
        meta.PAYLOADS,
        meta.signed,
        96,
    ),
    Provider("x", {"consumer_secret": "s"}, x.XContract.payloads, x.signed, 33),
    Provider(
        "amazon_connect",
        {"access_key": "s"},
        amazon_connect.AmazonConnectContract.payloads,
        amazon_connect.shown,
        18,
    ),
]


def _body(value: Any) -> bytes:
    return json.dumps(value).encode()


@pytest.mark.parametrize("provider", PROVIDERS, ids=lambda provider: provider.connector)
async def test_each_event_is_answered_and_kept_once(provider: Provider) -> None:
    given = [source("it", provider.connector, provider.options)]
    async with serving(given=given, now_ms=lambda: RECEIVED_MS) as gateway:
        for value in provider.payloads.values():
            request = provider.send(_body(value))
            answer = await gateway.post("/hooks/it", request.body, headers=dict(request.headers))
            assert (answer.status, answer.body) == (200, b"")
        assert gateway.rejected == []
        ids = [row["event_id"] for row in gateway.accepted]
        assert len(set(ids)) == len(ids) == provider.events


@pytest.mark.parametrize("provider", PROVIDERS, ids=lambda provider: provider.connector)
async def test_a_request_without_its_secret_stores_nothing(provider: Provider) -> None:
    given = [source("it", provider.connector, provider.options)]
    async with serving(given=given, now_ms=lambda: RECEIVED_MS) as gateway:
        answer = await gateway.post("/hooks/it", next(iter(provider.payloads.values())))
        assert answer.status == 401
        assert (gateway.accepted, gateway.rejected) == ([], [])


async def _meta(gateway: Gateway, token: str) -> tuple[int, bytes, str]:
    query = {"hub.mode": "subscribe", "hub.verify_token": token, "hub.challenge": "1158201444"}
    answer = await gateway.call("GET", "/hooks/it", params=query)
    return answer.status, answer.body, answer.headers.get("Content-Type", "")


async def test_meta_shows_the_verify_token() -> None:
    given = [source("it", "meta", {"app_secret": "s", "verify_token": "v & w"})]
    async with serving(given=given) as gateway:
        status, body, kind = await _meta(gateway, "v & w")
        assert (status, body) == (200, b"1158201444")
        assert kind.startswith("text/plain"), "what a stranger sent is no page"
        assert (await _meta(gateway, "v"))[0] == 403
        assert (await gateway.call("GET", "/hooks/it")).status == 403


async def test_x_asks_for_the_hmac_of_a_challenge() -> None:
    given = [source("it", "x", {"consumer_secret": "s"})]
    async with serving(given=given) as gateway:
        answer = await gateway.call("GET", "/hooks/it", params={"crc_token": "a+b=="})
        assert answer.status == 200
        assert answer.headers["Content-Type"].startswith("application/json")
        assert answer.json == {"response_token": f"sha256={x.mac(b'a+b==', 's')}"}
        assert (await gateway.call("GET", "/hooks/it")).status == 403


async def test_firehose_hears_that_its_records_are_kept() -> None:
    given = [source("it", "amazon_connect", {"access_key": ["new", "old"]})]
    payloads = amazon_connect.AmazonConnectContract.payloads
    records = [_body(payloads[name]) for name in ("chat", "task")]
    body = gzip.compress(amazon_connect.delivery(*records))
    headers = {
        "Content-Type": "application/json",
        "Content-Encoding": "gzip",
        "X-Amz-Firehose-Protocol-Version": "1.0",
        "X-Amz-Firehose-Request-Id": amazon_connect.REQUEST_ID,
        "X-Amz-Firehose-Source-Arn": "arn:aws:firehose:eu-west-1:123456789012:deliverystream/calls",
    }
    async with serving(given=given, now_ms=lambda: RECEIVED_MS) as gateway:
        for key in ("old", "new"):
            shown = {**headers, ACCESS_KEY: key}
            answer = await gateway.post("/hooks/it", body, headers=shown)
            assert answer.status == 200
            assert answer.headers["Content-Type"].startswith("application/json")
            assert answer.json["requestId"] == amazon_connect.REQUEST_ID
            assert isinstance(answer.json["timestamp"], int)
        first, second = gateway.accepted[:2], gateway.accepted[2:]
        assert [row["event_id"] for row in first] == [row["event_id"] for row in second]
        refused = await gateway.post("/hooks/it", body, headers={**headers, ACCESS_KEY: "older"})
        assert refused.status == 401
        assert len(gateway.accepted) == 4
