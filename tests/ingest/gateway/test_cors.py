"""Pages of browsers may talk to the sources that allow their origin."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

import pytest

from tests.support.gateway import Gateway, serving, source

SHOP = "https://shop.example.com"
BLOG = "https://blog.example.com"
EVIL = "https://evil.example.com"
EVENT = {"type": "track", "event": "X", "userId": "u", "messageId": "m"}


def sources() -> list[Any]:
    shop = source("shop", "segment", {"write_key": "wk-shop"})
    blog = source("blog", "segment", {"write_key": "wk-blog"})
    return [
        replace(shop, origins=frozenset({SHOP, "http://localhost:3000"})),
        replace(blog, origins=frozenset({BLOG})),
        source("crm", "touchpoint", {"token": "t"}),
    ]


@pytest.fixture
async def gateway() -> AsyncIterator[Gateway]:
    async with serving(given=sources()) as running:
        yield running


async def send(gateway: Gateway, key: str, origin: str | None, path: str = "/v1/track") -> Any:
    headers = {} if origin is None else {"Origin": origin}
    return await gateway.post(path, {**EVENT, "writeKey": key}, headers=headers)


@pytest.mark.parametrize("origin", [SHOP, "http://localhost:3000"])
async def test_pages_of_the_origins_of_a_source_may_send(gateway: Gateway, origin: str) -> None:
    answer = await send(gateway, "wk-shop", origin)
    assert answer.status == 200
    assert answer.headers["Access-Control-Allow-Origin"] == origin
    assert answer.headers["Vary"] == "Origin"
    assert len(gateway.accepted) == 1


@pytest.mark.parametrize(
    "origin",
    [
        BLOG, EVIL, "null", "", SHOP + ":8443", "http://shop.example.com", SHOP + ".evil.example",
        "https://shop.example.co", SHOP.upper(), SHOP + "/", f"{SHOP} {EVIL}", "é",
    ],
)  # fmt: skip
async def test_those_of_others_are_refused_and_nothing_is_kept(
    gateway: Gateway, origin: str
) -> None:
    for path in ("/v1/track", "/v1/batch"):
        answer = await send(gateway, "wk-shop", origin, path)
        assert (answer.status, answer.json["code"]) == (403, "forbidden")
        assert "Access-Control-Allow-Origin" not in answer.headers
        assert answer.headers["Vary"] == "Origin"
    assert gateway.publisher.records == []


async def test_who_says_no_origin_is_no_page(gateway: Gateway) -> None:
    answer = await send(gateway, "wk-shop", None)
    assert answer.status == 200
    assert "Access-Control-Allow-Origin" not in answer.headers


async def test_settings_are_told_to_the_sources_own_pages(gateway: Gateway) -> None:
    for path in ("/v1/projects/wk-shop/settings", "/sourceConfig?writeKey=wk-shop"):
        for origin, status, named in ((SHOP, 200, SHOP), (BLOG, 403, None), (EVIL, 403, None)):
            answer = await gateway.call("GET", path, headers={"Origin": origin})
            assert answer.status == status
            assert answer.headers.get("Access-Control-Allow-Origin") == named


@pytest.mark.parametrize(
    ("path", "origin", "allowed"),
    [
        ("/v1/batch", SHOP, True),
        ("/v1/batch", BLOG, True),
        ("/v1/batch", EVIL, False),
        ("/beacon/v1/batch?writeKey=wk-shop", SHOP, True),
        ("/beacon/v1/batch?writeKey=wk-shop", BLOG, False),
    ],
)
async def test_a_preflight_without_a_key_is_answered_by_all_sources_together(
    gateway: Gateway, path: str, origin: str, allowed: bool
) -> None:
    headers = {"Origin": origin, "Access-Control-Request-Method": "POST"}
    answer = await gateway.call("OPTIONS", path, headers=headers)
    assert answer.headers.get("Access-Control-Allow-Origin") == (origin if allowed else None)
    assert ("Access-Control-Allow-Headers" in answer.headers) is allowed


async def test_an_error_is_readable_for_pages_that_may_send(gateway: Gateway) -> None:
    for key, origin, status, named in (
        ("wrong", SHOP, 401, SHOP),
        ("wrong", EVIL, 401, None),
        ("wk-shop", SHOP, 400, SHOP),
    ):
        headers = {"Origin": origin}
        answer = await gateway.post("/v1/track", {"writeKey": key}, headers=headers)
        assert answer.status == status
        assert answer.headers.get("Access-Control-Allow-Origin") == named


async def test_a_source_without_origins_takes_all_pages() -> None:
    given = [*sources(), source("open", "segment", {"write_key": "wk-open"})]
    async with serving(given=given) as gateway:
        answer = await send(gateway, "wk-open", EVIL)
        assert (answer.status, answer.headers["Access-Control-Allow-Origin"]) == (200, "*")
        assert (await send(gateway, "wk-shop", EVIL)).status == 403
        preflight = await gateway.call("OPTIONS", "/v1/batch", headers={"Origin": EVIL})
        assert preflight.headers["Access-Control-Allow-Origin"] == "*"


async def test_there_is_no_way_round_by_the_sources_own_path(gateway: Gateway) -> None:
    for origin, status in ((EVIL, 403), (SHOP, 200), (None, 200)):
        answer = await send(gateway, "wk-shop", origin, "/hooks/shop")
        assert answer.status == status
    assert len(gateway.accepted) == 2


async def test_other_paths_are_not_for_pages(gateway: Gateway) -> None:
    for path in ("/v1/events", "/hooks/crm", "/healthz"):
        answer = await gateway.call("GET", path, headers={"Origin": SHOP})
        assert "Access-Control-Allow-Origin" not in answer.headers
