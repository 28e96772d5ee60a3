"""SDKs of JavaScript, unchanged, against the gateway: in Node, and in pages of a real browser.

The pages are of another origin than the gateway, so the browser itself enforces CORS.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest

from ingest.gateway.config import GatewayConfig, NoMetrics, Source
from schemas.times import to_ms
from tests.support import sdk_tools
from tests.support.gateway import Gateway, serving, source
from tests.support.sdk_tools import Site, chromium, until

pytestmark = pytest.mark.integration

KEY = "wk-shop"


def sources(origin: str | None = None) -> list[Source]:
    origins = None if origin is None else frozenset({origin})
    made = [
        source("shop", "segment", {"write_key": KEY}),
        source("tracker", "snowplow", {"app_ids": "shop"}),
        source("closed", "snowplow", {"app_ids": "shop", "collector_key": "k-one"}),
    ]
    return [replace(one, origins=origins) for one in made]


class Requests(NoMetrics):
    """Method, path and status of each request."""

    def __init__(self) -> None:
        self.seen: list[tuple[str, str, int]] = []

    def request(self, route: str, method: str, status: int, seconds: float) -> None:
        self.seen.append((method, route, status))


@asynccontextmanager
async def gateway(
    origin: str | None = None, metrics: Requests | None = None
) -> AsyncIterator[Gateway]:
    def now_ms() -> int:
        return to_ms(datetime.now(UTC))

    ports = {"now_ms": now_ms, "metrics": metrics or NoMetrics()}
    async with serving(GatewayConfig(port=0), sources(origin), **ports) as running:
        yield running


@pytest.fixture
async def site() -> AsyncIterator[Site]:
    async with Site.serving() as running:
        yield running


def by_type(running: Gateway) -> dict[str, Any]:
    return {row["type"]: row for row in running.accepted}


def address(origin: str, page: str, running: Gateway, prefix: str = "", **query: str) -> str:
    told = {"gateway": running.url + prefix, "key": KEY, **query}
    return f"{origin}/{page}?{urlencode(told)}"


# Node


async def test_analytics_node() -> None:
    async with gateway() as running:
        errors = json.loads(await sdk_tools.node("node_calls.cjs", running.url, KEY))
        assert errors == []
        rows = by_type(running)
    assert set(rows) == {
        "identified", "order_completed", "late", "page_viewed", "screen_viewed", "group_joined",
        "aliased",
    }  # fmt: skip
    assert rows["identified"]["traits"]["name"] == "花子 🌸"
    assert (rows["order_completed"]["event_id"], rows["order_completed"]["value_amount"]) == (
        "order-1",
        "12.5",
    )
    assert rows["late"]["occurred_at"] < rows["page_viewed"]["occurred_at"]
    assert rows["late"]["lead_kind"] == "anonymous_id"


async def test_analytics_node_is_told_of_a_wrong_key() -> None:
    async with gateway() as running:
        errors = json.loads(await sdk_tools.node("node_calls.cjs", running.url, "wrong"))
        assert len(errors) == 7
        assert running.publisher.records == []


# Pages


async def test_analytics_next(site: Site, tmp_path: Path) -> None:
    """Settings are asked for first, then each call is sent, both across origins."""
    async with gateway() as running:
        async with chromium(address(site.origin, "segment.html", running), tmp_path / "profile"):
            await until(lambda: len(running.accepted) >= 5, site)
        rows = by_type(running)
    assert set(rows) == {"identified", "page_viewed", "order_completed", "group_joined", "aliased"}
    assert rows["identified"]["identifiers"]["email"] == ["hanako@example.com"]
    assert rows["identified"]["traits"]["name"] == "花子 🌸"
    assert rows["page_viewed"]["url"].startswith(f"{site.origin}/segment.html")
    assert rows["page_viewed"]["subject"] == "ブーツ一覧"
    assert rows["order_completed"]["value_amount"] == "12.5"
    assert site.reports == []


async def test_analytics_next_when_the_page_is_left(site: Site, tmp_path: Path) -> None:
    """A batch that waits is sent while the page goes away, by a request that outlives it."""
    metrics = Requests()
    async with gateway(metrics=metrics) as running:
        url = address(site.origin, "segment.html", running, batch="")
        async with chromium(url, tmp_path / "profile"):
            await until(lambda: "left.html" in site.visited and bool(running.accepted), site)
        assert len(by_type(running)) == 5
    assert [seen for seen in metrics.seen if seen[0] == "POST"] == [("POST", "/v1/b", 200)]


@pytest.mark.parametrize("beacon", [False, True])
async def test_rudderstacks_sdk_for_browsers(site: Site, tmp_path: Path, beacon: bool) -> None:
    """It asks for its source's configuration; with `useBeacon` it sends by navigator.sendBeacon."""
    query = {"beacon": ""} if beacon else {}
    metrics = Requests()
    async with gateway(metrics=metrics) as running:
        url = address(site.origin, "rudder.html", running, **query)
        async with chromium(url, tmp_path / "profile"):
            await until(lambda: len(running.accepted) >= 3, site)
        rows = by_type(running)
    assert set(rows) == {"identified", "page_viewed", "order_completed"}
    assert rows["order_completed"]["value_amount"] == "12.5"
    assert {row["lead_value"] for row in rows.values()} == {"u1"}
    assert {row["source"] for row in rows.values()} == {"shop"}
    assert {seen for seen in metrics.seen if seen[0] == "POST"} == {
        ("POST", path, 200)
        for path in (["/beacon/v1/batch"] if beacon else ["/v1/identify", "/v1/page", "/v1/track"])
    }


@pytest.mark.parametrize("prefix", ["", "/snowplow/k-one"])
@pytest.mark.parametrize("method", ["post", "get"])
async def test_snowplows_tracker_for_browsers(
    site: Site, tmp_path: Path, method: str, prefix: str
) -> None:
    """It sends with credentials, so the browser wants the page's origin named."""
    async with gateway() as running:
        url = address(site.origin, "snowplow.html", running, prefix, key="shop", method=method)
        async with chromium(url, tmp_path / "profile"):
            await until(lambda: len(running.accepted) >= 3, site)
        rows = by_type(running)
    assert set(rows) == {"page_viewed", "snowplow_video_play", "document_downloaded"}
    assert {row["source"] for row in rows.values()} == {"closed" if prefix else "tracker"}
    assert rows["page_viewed"]["subject"] == "ブーツ一覧"
    assert json.loads(rows["document_downloaded"]["properties"])["n"] == "花 🌸"
    assert {row["lead_value"] for row in rows.values()} == {"u1"}
    assert site.reports == []


@pytest.mark.parametrize("page", ["segment.html", "snowplow.html"])
async def test_only_pages_of_a_sources_origins_can_send(
    site: Site, tmp_path: Path, page: str
) -> None:
    """The same page from two origins, of which the browser lets only one through."""
    query = {"key": "shop", "method": "post"} if page == "snowplow.html" else {}
    metrics = Requests()
    async with gateway(site.origin, metrics) as running:
        wrong = address(site.other_origin, page, running, **query)
        async with chromium(wrong, tmp_path / "wrong"):
            await until(lambda: bool(metrics.seen), site)
        right = address(site.origin, page, running, **query)
        async with chromium(right, tmp_path / "right"):
            await until(lambda: len(running.accepted) >= 3, site)
        assert {row["url"].split("?")[0] for row in running.accepted} == {f"{site.origin}/{page}"}
        assert running.rejected == []
    # The settings are refused; a tracker gets no answer that lets it send.
    expected = {
        "segment.html": ("GET", "/v1/projects/{key}/settings", 403),
        "snowplow.html": ("OPTIONS", "/com.snowplowanalytics.snowplow/tp2", 204),
    }
    assert metrics.seen[0] == expected[page]
