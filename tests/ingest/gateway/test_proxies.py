"""Statements of proxies about a request: believed from trusted addresses only, over real sockets.

The trusted proxy of these tests is 127.0.0.2; whoever connects from 127.0.0.1 is anybody.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from ipaddress import ip_network
from urllib.parse import urlencode

import aiohttp
import pytest
import structlog
from structlog.testing import capture_logs

from ingest.gateway.config import GatewayConfig
from tests.support.gateway import PUBLIC_URL, Gateway, serving
from tests.support.gateway_requests import SMS, twilio

PROXY = "127.0.0.2"
CONFIG = GatewayConfig(port=0, trusted_proxies=(ip_network(PROXY), ip_network("fd00::/8")))
FORWARDED = {"X-Forwarded-Proto": "https", "X-Forwarded-Host": "touch.example.com"}


@asynccontextmanager
async def through(address: str, config: GatewayConfig = CONFIG) -> AsyncIterator[Gateway]:
    """A gateway, called from this address."""
    async with serving(config) as gateway:
        connector = aiohttp.TCPConnector(local_addr=(address, 0))
        async with aiohttp.ClientSession(connector=connector) as http:
            yield Gateway(gateway.url, gateway.publisher, http)


async def signed_for(gateway: Gateway, url: str, forwarded: dict[str, str]) -> int:
    """The status of a text message that Twilio signed for this address."""
    options = twilio(url + "/hooks/support", SMS)
    headers = {**options["headers"], **forwarded}
    answer = await gateway.post("/hooks/support", urlencode(SMS).encode(), headers=headers)
    return answer.status


class TestTheAddressOfARequest:
    async def test_is_what_a_trusted_proxy_says(self) -> None:
        async with through(PROXY) as gateway:
            assert await signed_for(gateway, PUBLIC_URL, FORWARDED) == 200
            settings = await gateway.call("GET", "/v1/projects/wk-shop/settings", headers=FORWARDED)
        segment = settings.json["integrations"]["Segment.io"]
        assert (segment["protocol"], segment["apiHost"]) == ("https", "touch.example.com/v1")

    async def test_is_not_what_anybody_says(self) -> None:
        async with through("127.0.0.1") as gateway:
            assert await signed_for(gateway, PUBLIC_URL, FORWARDED) == 401
            assert await signed_for(gateway, gateway.url, FORWARDED) == 200

    async def test_is_the_public_url_where_one_is_configured(self) -> None:
        config = GatewayConfig(
            port=0, public_url=PUBLIC_URL, trusted_proxies=CONFIG.trusted_proxies
        )
        async with through(PROXY, config) as gateway:
            others = {"X-Forwarded-Proto": "http", "X-Forwarded-Host": "other.example.com"}
            assert await signed_for(gateway, PUBLIC_URL, others) == 200

    async def test_of_several_values_is_the_nearest_proxys(self) -> None:
        async with through(PROXY) as gateway:
            appended = {
                "X-Forwarded-Proto": "http, https",
                "X-Forwarded-Host": "evil.example.com, touch.example.com",
            }
            assert await signed_for(gateway, PUBLIC_URL, appended) == 200

    @pytest.mark.parametrize(
        "odd",
        [
            {"X-Forwarded-Proto": "javascript"},
            {"X-Forwarded-Host": "a/b"},
            {"X-Forwarded-Host": "user@host"},
            {"X-Forwarded-Host": "x" * 300},
            {"X-Forwarded-Host": ""},
            {"X-Forwarded-For": "203.0.113.9"},
        ],
    )
    async def test_is_the_host_header_where_a_proxy_says_nothing_usable(
        self, odd: dict[str, str]
    ) -> None:
        async with through(PROXY) as gateway:
            assert await signed_for(gateway, gateway.url, odd) == 200


class TestRequestIds:
    async def test_one_of_a_trusted_proxy_is_kept_in_reply_and_log(self) -> None:
        structlog.reset_defaults()
        with capture_logs() as logs:
            async with through(PROXY) as gateway:
                headers = {"X-Request-Id": "01J8Z-a.b_c"}
                answers = [
                    await gateway.call("GET", "/healthz", headers=headers),
                    await gateway.call("POST", "/v1/events", headers=headers),
                    await gateway.call("GET", "/nowhere", headers=headers),
                ]
        assert [answer.status for answer in answers] == [200, 401, 404]
        assert {answer.headers["X-Request-Id"] for answer in answers} == {"01J8Z-a.b_c"}
        logged = [entry["request_id"] for entry in logs if entry["event"] == "request"]
        assert logged == ["01J8Z-a.b_c"] * 3

    async def test_one_of_anybody_is_not(self) -> None:
        async with through("127.0.0.1") as gateway:
            answer = await gateway.call("GET", "/healthz", headers={"X-Request-Id": "mine"})
        assert len(answer.headers["X-Request-Id"]) == 36

    @pytest.mark.parametrize("odd", ["", "a b", "a@example.com", "x" * 129, "ü", '"', "a,b"])
    async def test_one_that_cannot_be_kept_is_replaced(self, odd: str) -> None:
        async with through(PROXY) as gateway:
            answer = await gateway.call("GET", "/healthz", headers={"X-Request-Id": odd})
        assert len(answer.headers["X-Request-Id"]) == 36

    async def test_of_two_none_is_kept(self) -> None:
        async with through(PROXY) as gateway:
            headers = [("X-Request-Id", "one"), ("X-Request-Id", "two")]
            answer = await gateway.call("GET", "/healthz", headers=headers)
        assert len(answer.headers["X-Request-Id"]) == 36
