"""A token that was used brings no other event: `TokenConnector` behind a real socket."""

from __future__ import annotations

import hashlib
import hmac
import json
from typing import Any

from ingest.connector import Use
from ingest.gateway.config import GatewayConfig, Source
from ingest.gateway.tokens import UsedTokens
from tests.support.gateway import NOW_MS, Gateway, serving, source

KEY = "signing-key"


def sources() -> list[Source]:
    return [
        source("mail", "mailgun", {"signing_key": KEY}),
        source("mail-eu", "mailgun", {"signing_key": KEY}),
    ]


def body(token: str, **event: Any) -> bytes:
    timestamp = str(NOW_MS // 1000)
    digest = hmac.new(KEY.encode(), (timestamp + token).encode(), hashlib.sha256).hexdigest()
    data = {"event": "opened", "id": "e", "timestamp": NOW_MS // 1000, "recipient": "a@example.com"}
    return json.dumps(
        {
            "signature": {"timestamp": timestamp, "token": token, "signature": digest},
            "event-data": {**data, **event},
        }
    ).encode()


async def statuses(gateway: Gateway, *bodies: bytes) -> list[int]:
    return [(await gateway.post("/hooks/mail", one)).status for one in bodies]


async def test_a_redelivery_is_taken_as_the_same_event() -> None:
    async with serving(given=sources()) as gateway:
        assert await statuses(gateway, body("t"), body("t"), body("t") + b"\n") == [200, 200, 200]
        names = {(row["event_id"], row["lead_value"]) for row in gateway.accepted}
        assert len(gateway.accepted) == 3
        assert len(names) == 1


async def test_a_used_token_brings_no_other_event_and_nothing_of_it_is_kept() -> None:
    async with serving(given=sources()) as gateway:
        others = (
            body("t", recipient="b@example.com"),
            body("t", event="unsubscribed"),
            body("t", id="another"),
            body("t", recipient=None),
            body("t").replace(b'"event-data"', b'"event"'),
        )
        assert await statuses(gateway, body("t"), *others) == [200, 401, 401, 401, 401, 401]
        assert len(gateway.publisher.records) == 1
        assert await statuses(gateway, body("t"), body("u", id="another")) == [200, 200]


async def test_a_token_that_is_not_signed_is_not_remembered() -> None:
    async with serving(given=sources()) as gateway:
        forged = body("t", id="forged").replace(b'"signature": "', b'"signature": "0')
        assert await statuses(gateway, forged, body("t")) == [401, 200]


async def test_sources_have_their_own_tokens() -> None:
    async with serving(given=sources()) as gateway:
        assert (await gateway.post("/hooks/mail", body("t"))).status == 200
        assert (await gateway.post("/hooks/mail-eu", body("t", id="x"))).status == 200


async def test_the_memory_is_bounded_and_forgets_the_oldest() -> None:
    config = GatewayConfig(port=0, max_tokens=2)
    async with serving(config, given=sources()) as gateway:
        assert await statuses(gateway, body("1"), body("2"), body("3")) == [200, 200, 200]
        assert await statuses(gateway, body("3", id="x"), body("2", id="x")) == [401, 401]
        assert await statuses(gateway, body("1", id="x")) == [200]


def test_a_name_and_a_token_cannot_be_shifted_into_each_other() -> None:
    tokens = UsedTokens(10)
    assert tokens.admits("ab", Use(b"c", b"1"))
    assert tokens.admits("a", Use(b"bc", b"2"))
    assert not tokens.admits("ab", Use(b"c", b"2"))
