"""The Python SDKs of Segment and RudderStack, unchanged, against the gateway."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from rudderstack.analytics.client import Client as RudderClient
from segment.analytics.client import Client

from schemas.times import to_ms
from tests.support.gateway import WRITE_KEY, serving


@pytest.mark.parametrize("gzip", [False, True])
async def test_all_calls_arrive(gzip: bool) -> None:
    failures: list[Any] = []
    async with serving(now_ms=lambda: to_ms(datetime.now(UTC))) as gateway:
        client = Client(
            WRITE_KEY,
            host=gateway.url,
            gzip=gzip,
            on_error=lambda error, items: failures.append(error),
            max_retries=0,
        )
        yesterday = datetime.now(UTC) - timedelta(days=1)
        client.identify("u1", {"email": "hanako@example.com", "name": "花子 🌸"})
        client.track("u1", "Order Completed", {"revenue": 12.5, "currency": "JPY"})
        client.track("u1", "Late", timestamp=yesterday)
        client.page("u1", "Docs", "Home", {"url": "https://shop.example/"})
        client.screen("u1", "Start")
        client.group("u1", "g1", {"plan": "gold"})
        client.alias("anon", "u1")
        # flush and join block their thread, the gateway runs in this one.
        await asyncio.to_thread(client.flush)
        await asyncio.to_thread(client.join)
        assert failures == []
        rows = {row["type"]: row for row in gateway.accepted}
    assert set(rows) == {
        "identified", "order_completed", "late", "page_viewed", "screen_viewed", "group_joined",
        "aliased",
    }  # fmt: skip
    assert rows["identified"]["traits"]["name"] == "花子 🌸"
    assert rows["order_completed"]["channel"] == "commerce"
    assert rows["order_completed"]["value_amount"] == "12.5"
    assert rows["late"]["occurred_at"][:10] == yesterday.date().isoformat()
    assert {row["lead_value"] for row in rows.values()} == {"u1"}


async def test_a_wrong_key_is_told() -> None:
    failures: list[Any] = []
    async with serving() as gateway:
        client = Client(
            "wrong",
            host=gateway.url,
            on_error=lambda error, items: failures.append(error),
            max_retries=0,
        )
        client.track("u1", "X")
        await asyncio.to_thread(client.flush)
        await asyncio.to_thread(client.join)
        assert gateway.publisher.records == []
    assert [failure.status for failure in failures] == [401]
    assert failures[0].code == "unauthorized"


@pytest.mark.parametrize("gzip", [False, True])
async def test_all_calls_of_rudderstacks_sdk_arrive(gzip: bool) -> None:
    failures: list[Any] = []
    async with serving(now_ms=lambda: to_ms(datetime.now(UTC))) as gateway:
        client = RudderClient(
            WRITE_KEY,
            host=gateway.url + "/",
            gzip=gzip,
            on_error=lambda error, items: failures.append(error),
            max_retries=0,
        )
        client.identify("u1", {"email": "hanako@example.com", "name": "花子 🌸"})
        client.track("u1", "Order Completed", {"revenue": 12.5, "currency": "JPY"}, message_id="m")
        client.track(
            anonymous_id="a1", event="Late", timestamp=datetime.now(UTC) - timedelta(days=1)
        )
        client.page("u1", "Docs", "Home", {"url": "https://shop.example/"})
        client.screen("u1", "App", "Start")
        client.group("u1", "g1", {"plan": "gold"})
        client.alias("anon", "u1")
        await asyncio.to_thread(client.flush)
        await asyncio.to_thread(client.join)
        assert failures == []
        rows = {row["type"]: row for row in gateway.accepted}
    assert set(rows) == {
        "identified", "order_completed", "late", "page_viewed", "screen_viewed", "group_joined",
        "aliased",
    }  # fmt: skip
    assert rows["identified"]["traits"]["name"] == "花子 🌸", "its traits are in the context"
    assert rows["order_completed"]["value_amount"] == "12.5"
    assert rows["order_completed"]["channel"] == "commerce", "not the protocol's own: server"
    assert rows["late"]["lead_kind"] == "anonymous_id"
    assert rows["late"]["occurred_at"] < rows["page_viewed"]["occurred_at"]


async def test_rudderstacks_sdk_is_told_of_a_wrong_key() -> None:
    failures: list[Any] = []
    async with serving() as gateway:
        client = RudderClient(
            "wrong",
            host=gateway.url,
            on_error=lambda error, items: failures.append(error),
            max_retries=0,
        )
        client.track("u1", "X")
        await asyncio.to_thread(client.flush)
        await asyncio.to_thread(client.join)
        assert gateway.publisher.records == []
    assert [failure.status for failure in failures] == [401]
