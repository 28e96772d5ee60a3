"""Webhooks of shops and help desks through the gateway: what is answered and what is kept."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any, NamedTuple

import pytest

from ingest.connector import Request
from ingest.connectors.intercom import contract as intercom
from ingest.connectors.shopify import contract as shopify
from ingest.connectors.stripe import contract as stripe
from ingest.connectors.zendesk import contract as zendesk
from ingest.testing.values import RECEIVED_MS
from tests.support.gateway import Gateway, serving, source


class Provider(NamedTuple):
    """A connector with its options, its payloads, how they are signed, and an event of nobody."""

    connector: str
    options: dict[str, Any]
    payloads: dict[str, Any]
    sign: Callable[[bytes, str], Request]
    nobody: Request


def _body(value: Any) -> bytes:
    return json.dumps(value).encode()


PROVIDERS = [
    Provider(
        "shopify",
        {"client_secret": "s"},
        shopify.ShopifyContract.payloads,
        lambda body, name: shopify.signed(body, topic=shopify.topic_of(name)),
        shopify.signed(_body({"id": 1, "email": "o@example.com"}), topic="app/uninstalled"),
    ),
    Provider(
        "stripe",
        {"signing_secret": "s"},
        stripe.StripeContract.payloads,
        lambda body, _: stripe.signed(body),
        stripe.signed(_body({"id": "e", "type": "payout.paid", "data": {"object": {}}})),
    ),
    Provider(
        "intercom",
        {"client_secret": "s"},
        intercom.IntercomContract.payloads,
        lambda body, _: intercom.signed(body),
        intercom.signed(_body({"id": "e", "topic": "admin.logged_in", "data": {}})),
    ),
    Provider(
        "zendesk",
        {"signing_secret": "s"},
        zendesk.ZendeskContract.payloads,
        lambda body, _: zendesk.signed(body),
        zendesk.signed(_body({"id": "e", "type": "zen:event-type:article.published"})),
    ),
]


async def _send(gateway: Gateway, request: Request) -> tuple[int, bytes]:
    answer = await gateway.post("/hooks/it", request.body, headers=dict(request.headers))
    return answer.status, answer.body


@pytest.mark.parametrize("provider", PROVIDERS, ids=lambda provider: provider.connector)
async def test_each_event_is_answered_and_kept_once(provider: Provider) -> None:
    given = [source("it", provider.connector, provider.options)]
    async with serving(given=given, now_ms=lambda: RECEIVED_MS) as gateway:
        requests = [provider.sign(_body(v), name) for name, v in provider.payloads.items()]
        for request in requests:
            assert await _send(gateway, request) == (200, b"")
        assert gateway.rejected == []
        ids = [row["event_id"] for row in gateway.accepted]
        assert len(set(ids)) == len(ids) == len(requests)

        assert await _send(gateway, requests[0]) == (200, b"")
        assert gateway.accepted[-1]["event_id"] == ids[0], "a redelivery has the same id"

        for request in requests:
            tampered = request._replace(body=request.body[:-1] + b" }")
            assert (await _send(gateway, tampered))[0] == 401
        assert len(gateway.accepted) == len(ids) + 1
        assert gateway.rejected == []


@pytest.mark.parametrize("provider", PROVIDERS, ids=lambda provider: provider.connector)
async def test_an_event_of_nobody_is_kept_and_no_fault_of_the_provider(provider: Provider) -> None:
    given = [source("it", provider.connector, provider.options)]
    async with serving(given=given, now_ms=lambda: RECEIVED_MS) as gateway:
        assert await _send(gateway, provider.nobody) == (200, b"")
        (row,) = gateway.rejected
        assert (row["reason"], row["payload"]) == ("no_identifier", provider.nobody.body)
        assert gateway.accepted == []


async def test_intercom_finds_the_address_and_may_ping_it() -> None:
    given = [source("it", "intercom", {"client_secret": "s"})]
    async with serving(given=given) as gateway:
        assert (await gateway.call("HEAD", "/hooks/it")).status == 200
        assert await _send(gateway, intercom.signed(_body({"topic": "ping"}))) == (200, b"")
        assert (gateway.accepted, gateway.rejected) == ([], [])
