"""Latency of single touches on an idle system: sent one by one, polled for until visible."""

from __future__ import annotations

import asyncio
import random
import time
from dataclasses import dataclass, field

import aiohttp

from deploy.demo.delivery import segment_batch
from deploy.demo.people import random_id
from deploy.demo.send import Sender
from deploy.demo.visits import Browser
from schemas.identifiers import identifier_id
from sinks.clickhouse.client import ClickHouse

TOUCHES = 20
#: A touch that is not visible after this many seconds counts as lost.
_BOUND_S = 15.0
_POLL_S = 0.02

_TOUCHPOINT = """
SELECT count() AS n FROM touchline_bi.touchpoints
WHERE occurred_at >= now() - INTERVAL 1 HOUR AND source = 'shop-web' AND event_id = {event:String}
"""
_PROFILE = """
SELECT touchpoints AS n FROM touchline_bi.profiles WHERE profile_id = {profile:UUID}
"""


@dataclass(slots=True)
class Probe:
    """Seconds from sending a touch to seeing it, and to seeing it in its customer's profile."""

    touchpoints: list[float] = field(default_factory=list)
    profiles: list[float] = field(default_factory=list)
    lost: int = 0


@dataclass(frozen=True, slots=True)
class Prober:
    """A prober that sends single touches and polls the views for them."""

    sender: Sender
    db: ClickHouse

    async def probe(self, customer_ids: list[str]) -> Probe:
        """Send one page view for each customer, each after the one before was seen."""
        found = Probe()
        async with aiohttp.ClientSession(self.sender.url) as session:
            for customer_id in customer_ids:
                await self._one(session, customer_id, found)
        return found

    async def _one(self, session: aiohttp.ClientSession, customer_id: str, found: Probe) -> None:
        rng = random.Random()  # noqa: S311 - ids of sample data
        browser = Browser(rng, random_id(rng))
        browser.user_id = customer_id
        now_ms = self.sender.now_ms()
        delivery = segment_batch("shop-web", [browser.page(now_ms, "/live")], now_ms)
        profile = {"profile": identifier_id("customer_id", customer_id)}
        before = await self._number(_PROFILE, profile)
        started = time.monotonic()
        self.sender.ledger.record(delivery, await self.sender.send(session, delivery))
        seen = await self._until(_TOUCHPOINT, {"event": delivery.kept[0]}, 1, started)
        merged = await self._until(_PROFILE, profile, before + 1, started)
        if seen is None or merged is None:
            found.lost += 1
        else:
            found.touchpoints.append(seen)
            found.profiles.append(merged)

    async def _until(
        self, query: str, parameters: dict[str, str], wanted: int, started: float
    ) -> float | None:
        """Return the seconds from `started` until the query reaches `wanted`; None on timeout."""
        while time.monotonic() - started < _BOUND_S:
            if await self._number(query, parameters) >= wanted:
                return time.monotonic() - started
            await asyncio.sleep(_POLL_S)
        return None

    async def _number(self, query: str, parameters: dict[str, str]) -> int:
        rows = await asyncio.to_thread(self.db.rows, query, parameters)
        return int(rows[0]["n"]) if rows else 0
