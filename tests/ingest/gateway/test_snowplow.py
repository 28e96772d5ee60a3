"""Snowplow's tracker protocol over a real socket, and its official Python tracker unchanged."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
from snowplow_tracker import (
    Emitter,
    PagePing,
    PageView,
    ScreenView,
    SelfDescribing,
    SelfDescribingJson,
    StructuredEvent,
    Subject,
    Tracker,
)

from ingest.gateway.config import GatewayConfig, Source
from schemas.times import to_ms
from tests.support.gateway import PUBLIC_URL, Gateway, serving, source

TP2 = "/com.snowplowanalytics.snowplow/tp2"
SHOP = "https://shop.example.com"
EVIL = "https://evil.example.com"


def sources() -> list[Source]:
    return [
        source("shop", "snowplow", {"app_ids": ["shop", "shop-app"]}),
        source("blog", "snowplow", {"app_ids": "blog"}),
        source("closed", "snowplow", {"app_ids": "shop", "collector_key": ["k-one", "k-two"]}),
    ]


@pytest.fixture
async def gateway() -> AsyncIterator[Gateway]:
    async with serving(given=sources()) as running:
        yield running


def event(**changes: Any) -> dict[str, Any]:
    return {"e": "pv", "aid": "shop", "duid": "d1", "eid": "e1", "url": SHOP + "/", **changes}


def batch(*events: Any) -> dict[str, Any]:
    schema = "iglu:com.snowplowanalytics.snowplow/payload_data/jsonschema/1-0-4"
    return {"schema": schema, "data": list(events)}


@pytest.mark.parametrize(
    ("path", "app_id", "name"),
    [
        (TP2, "shop", "shop"),
        (TP2, "shop-app", "shop"),
        (TP2, "blog", "blog"),
        ("/snowplow/k-one" + TP2, "shop", "closed"),
        ("/snowplow/k-two" + TP2, "shop", "closed"),
        ("/hooks/blog", "blog", "blog"),
    ],
)
async def test_events_find_their_source(
    gateway: Gateway, path: str, app_id: str, name: str
) -> None:
    answer = await gateway.post(path, batch(event(aid=app_id), event(aid=app_id, eid="e2")))
    assert answer.status == 200
    assert answer.body == (b"" if path.startswith("/hooks") else b"ok")
    assert [row["source"] for row in gateway.accepted] == [name, name]


async def test_a_pixel_is_a_picture_that_nobody_keeps(gateway: Gateway) -> None:
    for path, name in (("/i", "shop"), ("/snowplow/k-one/i", "closed")):
        answer = await gateway.call("GET", path, params=event(page="ブーツ 花子"))
        assert (answer.status, answer.headers["Content-Type"]) == (200, "image/gif")
        assert answer.body.startswith(b"GIF89a")
        assert "no-store" in answer.headers["Cache-Control"]
        row = gateway.accepted[-1]
        assert (row["source"], row["subject"]) == (name, "ブーツ 花子")
    assert (await gateway.call("HEAD", "/i", params=event())).status == 405


@pytest.mark.parametrize(
    ("path", "body"),
    [
        (TP2, batch(event(aid="unknown"))),
        (TP2, batch()),
        (TP2, b"not json"),
        (TP2, b""),
        ("/snowplow/k-three" + TP2, batch(event())),
        ("/snowplow/shop" + TP2, batch(event())),
    ],
)
async def test_without_a_source_nothing_is_kept(gateway: Gateway, path: str, body: Any) -> None:
    answer = await gateway.post(path, body)
    assert (answer.status, answer.json["code"]) == (401, "unauthorized")
    assert gateway.publisher.records == []


async def test_a_source_with_a_key_is_not_found_by_its_app_id() -> None:
    async with serving(given=sources()[1:]) as gateway:
        assert (await gateway.post(TP2, batch(event()))).status == 401
        assert (await gateway.call("GET", "/i", params=event())).status == 401
        assert gateway.publisher.records == []


async def test_what_is_refused_is_kept_without_the_key(gateway: Gateway) -> None:
    bad = event(dtm="soon")
    for call in (
        gateway.post("/snowplow/k-one" + TP2, batch(bad)),
        gateway.call("GET", "/snowplow/k-one/i", params=bad),
    ):
        answer = await call
        assert (answer.status, answer.json["code"]) == (400, "invalid_request")
    for row in gateway.rejected:
        assert (row["source"], row["reason"]) == ("closed", "invalid")
        assert json.loads(row["payload"]) == bad
        assert "k-one" not in json.dumps(row, default=str)


async def test_trackers_are_not_told_413_since_they_would_send_again(gateway: Gateway) -> None:
    big = "x" * (6 * 1024 * 1024)
    for path, kept in ((TP2, False), ("/snowplow/k-one" + TP2, True)):
        answer = await gateway.post(path, batch(event(page=big)))
        assert answer.status == 400
        assert bool(gateway.rejected) is kept
    answer = await gateway.post(TP2, batch(event(page="x" * 300_000)))
    assert answer.status == 400


async def test_an_event_of_nobody_is_kept_and_is_no_fault(gateway: Gateway) -> None:
    answer = await gateway.post(TP2, batch(event(duid=None)))
    assert answer.status == 200
    assert gateway.rejected[0]["reason"] == "no_identifier"


async def test_admission_holds_for_pixels_too() -> None:
    async with serving(given=sources(), admission=lambda: 1.0) as gateway:
        for answer in (
            await gateway.call("GET", "/i", params=event()),
            await gateway.post(TP2, batch(event())),
        ):
            assert (answer.status, "Retry-After" in answer.headers) == (503, True)
        assert gateway.publisher.records == []


# Pages


async def test_pages_may_send_with_cookies(gateway: Gateway) -> None:
    """The trackers send with credentials, which browsers allow only to an origin that is named."""
    for answer in (
        await gateway.call("OPTIONS", TP2, headers={"Origin": SHOP}),
        await gateway.post(TP2, batch(event()), headers={"Origin": SHOP}),
        await gateway.post(TP2, batch(), headers={"Origin": SHOP}),
        await gateway.call("GET", "/i", params=event(), headers={"Origin": SHOP}),
    ):
        assert answer.headers["Access-Control-Allow-Origin"] == SHOP
        assert answer.headers["Access-Control-Allow-Credentials"] == "true"
        assert answer.headers["Vary"] == "Origin"
        allowed = set(answer.headers["Access-Control-Allow-Headers"].split(", "))
        assert allowed == {"Content-Type", "SP-Anonymous"}
        assert "Set-Cookie" not in answer.headers


async def test_pages_of_other_origins_are_refused() -> None:
    shop, blog, closed = sources()
    shop, closed = (replace(s, origins=frozenset({SHOP})) for s in (shop, closed))
    async with serving(given=[shop, blog, closed]) as gateway:
        for path in ("", "/snowplow/k-one"):
            for origin, status in ((SHOP, 200), (EVIL, 403), ("null", 403)):
                headers = {"Origin": origin}
                posted = await gateway.post(path + TP2, batch(event()), headers=headers)
                got = await gateway.call("GET", path + "/i", params=event(), headers=headers)
                named = origin if status == 200 else None
                for answer in (posted, got):
                    assert answer.status == status
                    assert answer.headers.get("Access-Control-Allow-Origin") == named
        assert len(gateway.accepted) == 4
        assert gateway.rejected == []
        for path, named in ((TP2, EVIL), ("/snowplow/k-one" + TP2, None)):
            preflight = await gateway.call("OPTIONS", path, headers={"Origin": EVIL})
            assert preflight.headers.get("Access-Control-Allow-Origin") == named


# The official tracker


def tracker(gateway: Gateway, method: Any, prefix: str = "", **options: Any) -> Tracker:
    emitter = Emitter(f"{gateway.url}{prefix}", method=method, batch_size=50, **options)
    subject = Subject().set_platform("web").set_user_id("C-42").set_domain_user_id("d-1")
    subject.set_network_user_id("n-1").set_useragent("test").set_lang("ja")
    return Tracker("sp", emitter, subject=subject, app_id="shop")


@pytest.mark.parametrize("prefix", ["", "/snowplow/k-two"])
@pytest.mark.parametrize("method", ["post", "get"])
async def test_all_events_of_the_official_tracker_arrive(method: str, prefix: str) -> None:
    failed: list[Any] = []
    now = datetime.now(UTC)
    async with serving(given=sources(), now_ms=lambda: to_ms(datetime.now(UTC))) as gateway:
        sender = tracker(gateway, method, prefix, on_failure=lambda *args: failed.append(args))
        entity = SelfDescribingJson(
            "iglu:com.snowplowanalytics.snowplow/mobile_context/jsonschema/1-0-3",
            {"osType": "ios", "osVersion": "17", "deviceManufacturer": "A", "deviceModel": "B",
             "appleIdfv": "B5372DB0-C21E-11E4-8DFC-AA07A5B093DB"},
        )  # fmt: skip
        own = SelfDescribingJson("iglu:com.acme/document_downloaded/jsonschema/1-0-0", {"n": "花"})
        yesterday = to_ms(now) - 86_400_000
        ids = [
            sender.track(PageView("https://shop.example.com/?utm_source=x", page_title="ブーツ")),
            sender.track(PagePing("https://shop.example.com/", min_x=0, max_x=5)),
            sender.track(StructuredEvent("video", "play", value=9.99)),
            sender.track(ScreenView("8b7e42ae-3c83-4d0b-bb45-1a5a5a3a1c61", "Start")),
            sender.track(SelfDescribing(own, context=[entity], true_timestamp=yesterday)),
        ]
        for emitter in sender.emitters:
            await asyncio.to_thread(emitter.flush)
        assert failed == []
        rows = gateway.accepted
    assert [row["event_id"] for row in rows] == ids
    assert [row["type"] for row in rows] == [
        "page_viewed", "page_pinged", "snowplow_video_play", "screen_viewed",
        "document_downloaded",
    ]  # fmt: skip
    assert {row["source"] for row in rows} == {"closed" if prefix else "shop"}
    assert (rows[0]["subject"], rows[0]["campaign_source"]) == ("ブーツ", "x")
    assert rows[0]["identifiers"] == {"customer_id": ["C-42"], "anonymous_id": ["d-1", "n-1"]}
    assert rows[4]["identifiers"]["device_id"] == ["B5372DB0-C21E-11E4-8DFC-AA07A5B093DB"]
    assert rows[4]["occurred_at"][:19] == datetime.fromtimestamp(yesterday // 1000, UTC).strftime(
        "%Y-%m-%dT%H:%M:%S"
    )
    assert json.loads(rows[4]["properties"])["n"] == "花"


async def test_the_official_tracker_does_not_repeat_what_is_refused(gateway: Gateway) -> None:
    sender = Tracker("sp", Emitter(gateway.url, batch_size=1), app_id="unknown")
    await asyncio.to_thread(sender.track, PageView("https://shop.example.com/"))
    emitter = sender.emitters[0]
    assert not emitter.retry_timer.is_active()  # type: ignore[attr-defined]
    assert gateway.publisher.records == []


async def test_the_public_address_may_have_a_path() -> None:
    config = GatewayConfig(port=0, public_url=PUBLIC_URL + "/snowplow/")
    async with serving(config, sources()) as gateway:
        assert (await gateway.post(TP2, batch(event()))).status == 200
        assert (await gateway.post("/snowplow/k-one" + TP2, batch(event()))).status == 200
        assert [row["source"] for row in gateway.accepted] == ["shop", "closed"]
