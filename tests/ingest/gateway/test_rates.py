"""Rates of sources: over theirs they are told when to come again, and disturb nobody."""

from __future__ import annotations

import asyncio

import pytest

from ingest.gateway.config import GatewayConfig, RateLimit
from ingest.gateway.limits import Rates
from tests.support.gateway import (
    BASIC,
    LINE_SECRET,
    WRITE_KEY,
    serving,
    source,
)
from tests.support.gateway_requests import line_body, line_signed, store_visit

pytestmark = pytest.mark.usefixtures("stays_healthy")


class TestRates:
    async def test_over_its_rate_a_source_is_told_when_to_come_again(self) -> None:
        limited = [source("slow", "touchpoint", {"token": "t"}, RateLimit(0.5, 2))]
        async with serving(given=limited) as gateway:
            headers = {"Authorization": "Bearer t"}
            events = [store_visit(str(n)) for n in range(5)]
            assert (await gateway.post("/v1/events", events, headers=headers)).status == 202
            answer = await gateway.post("/v1/events", store_visit("x"), headers=headers)
            assert (answer.status, answer.json["code"]) == (429, "rate_limited")
            assert 7 <= int(answer.headers["Retry-After"]) <= 8
            assert len(gateway.accepted) == 5
            assert gateway.rejected == []

    async def test_requests_count_whatever_is_in_them(self) -> None:
        limited = [source("idle", "touchpoint", {"token": "t"}, RateLimit(0.001, 3))]
        async with serving(given=limited) as gateway:
            headers = {"Authorization": "Bearer t"}
            statuses = [
                (await gateway.post("/v1/events", [], headers=headers)).status for _ in range(5)
            ]
            assert statuses == [202, 202, 202, 429, 429]
            # Who shows no token is told so, and costs the source nothing.
            assert (await gateway.post("/v1/events", [])).status == 401

    async def test_those_that_come_at_once_count_before_they_are_read(self) -> None:
        limited = [source("burst", "touchpoint", {"token": "t"}, RateLimit(0.001, 2))]
        async with serving(given=limited) as gateway:
            headers = {"Authorization": "Bearer t"}
            many = [
                gateway.post("/v1/events", store_visit(str(n)), headers=headers) for n in range(20)
            ]
            answers = await asyncio.gather(*many)
            assert sorted(answer.status for answer in answers) == [202] * 2 + [429] * 18

    async def test_a_source_that_is_over_its_rate_has_no_body_read(self) -> None:
        limited = [
            source("slow", "touchpoint", {"token": "t"}, RateLimit(0.001, 1)),
            source("line", "line", {"channel_secret": LINE_SECRET}, RateLimit(0.001, 1)),
        ]
        config = GatewayConfig(port=0, linger_s=0.2)
        async with serving(config, given=limited) as gateway:
            body = line_body("x")
            headers = {"Authorization": "Bearer t"}
            assert (await gateway.post("/v1/events", [], headers=headers)).status == 202
            answer = await gateway.post("/hooks/line", body, headers=line_signed(body))
            assert answer.status == 200
            for path in ("/v1/events", "/hooks/line"):
                head = (
                    f"POST {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n"
                    "Authorization: Bearer t\r\nContent-Length: 1000000\r\n\r\n"
                )
                assert (await gateway.raw(head.encode())).startswith(b"HTTP/1.1 429")

    async def test_a_noisy_source_does_not_starve_another(self) -> None:
        given = [
            source("noisy", "touchpoint", {"token": "n"}, RateLimit(20, 40)),
            source("calm", "segment", {"write_key": WRITE_KEY}),
        ]
        async with serving(given=given) as gateway:
            noise: list[int] = []
            done = asyncio.Event()

            async def shout() -> None:
                batch = [store_visit(str(n)) for n in range(50)]
                while not done.is_set():
                    headers = {"Authorization": "Bearer n"}
                    noise.append((await gateway.post("/v1/events", batch, headers=headers)).status)

            shouting = [asyncio.create_task(shout()) for _ in range(20)]
            calm = [
                (
                    await gateway.post(
                        "/v1/track", {"event": "X", "userId": f"u{n}"}, headers=BASIC
                    )
                ).status
                for n in range(50)
            ]
            done.set()
            await asyncio.gather(*shouting)
            assert calm == [200] * 50
            assert set(noise) == {202, 429}
            accepted = [row["source"] for row in gateway.accepted]
            assert accepted.count("calm") == 50
            assert noise.count(202) * 50 == accepted.count("noisy")
            assert noise.count(429) > noise.count(202)

    def test_a_bucket_that_never_holds_a_whole_event_lets_one_in_when_it_is_full(self) -> None:
        now = [0.0]
        limited = source("s", "line", {"channel_secret": "x"}, RateLimit(0.1, 0.2))
        rates = Rates([limited], lambda: now[0])
        assert rates.wait_s("s") is None
        rates.count("s", 1)
        assert rates.wait_s("s") == pytest.approx(10.0)
        now[0] = 10.1
        assert rates.wait_s("s") is None

    def test_a_bucket_fills_up_to_its_burst(self) -> None:
        now = [0.0]
        limited = source("s", "line", {"channel_secret": "x"}, RateLimit(10, 20))
        rates = Rates([limited], lambda: now[0])
        rates.count("s", 30)
        assert rates.wait_s("s") == pytest.approx(1.1)
        now[0] = 1.5
        assert rates.wait_s("s") is None
        now[0] = 1000.0
        rates.count("s", 19)
        assert rates.wait_s("s") is None
        rates.count("s", 1)
        assert rates.wait_s("s") is not None
        assert rates.wait_s("unlimited") is None
