"""A gateway on a real socket, with the publisher in memory."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any, Self

import aiohttp
import msgspec
import pytest

from ingest.connector import WebhookConnector
from ingest.gateway.app import run_gateway
from ingest.gateway.config import GatewayConfig, Ports, RateLimit, Source
from ingest.intake.accept import SourcePolicy
from ingest.publishing.memory import MemoryPublisher
from ingest.registry import Registry
from schemas.topics import REJECTED, TOUCHPOINTS

NOW_MS = 1_790_000_000_000
WRITE_KEY = "wk-shop"
TOKEN = "tok-crm"
BASIC = {"Authorization": "Basic " + base64.b64encode(f"{WRITE_KEY}:".encode()).decode()}
BEARER = {"Authorization": f"Bearer {TOKEN}"}
LINE_SECRET = "line-secret"
TWILIO_TOKEN = "twilio-token"
PUBLIC_URL = "https://touch.example.com"


def source(
    name: str, connector: str, options: dict[str, Any], rate: RateLimit | None = None
) -> Source:
    made = Registry().create(connector, options)
    assert isinstance(made, WebhookConnector)
    return Source(made, SourcePolicy(name, region="JP", currency="JPY"), rate=rate)


def sources() -> list[Source]:
    return [
        source("shop", "segment", {"write_key": [WRITE_KEY, "wk-old"]}),
        source("blog", "segment", {"write_key": "wk-blog"}),
        source("crm", "touchpoint", {"token": TOKEN}),
        source("line", "line", {"channel_secret": LINE_SECRET}),
        source("support", "twilio", {"auth_token": TWILIO_TOKEN}),
    ]


class Gateway:
    """A running gateway as its clients and Kafka see it."""

    def __init__(self, url: str, publisher: MemoryPublisher, http: aiohttp.ClientSession) -> None:
        self.url = url
        self.port = int(url.rpartition(":")[2])
        self.publisher = publisher
        self.http = http

    async def post(self, path: str, body: Any = None, **options: Any) -> Answer:
        """POST; what is not bytes goes as JSON."""
        data = body if isinstance(body, bytes) else msgspec.json.encode(body)
        return await self.call("POST", path, data=data, **options)

    async def call(self, method: str, path: str, **options: Any) -> Answer:
        async with self.http.request(method, self.url + path, **options) as response:
            return await Answer.of(response)

    async def raw(self, data: bytes, *, timeout_s: float = 10) -> bytes:
        """Send bytes over a connection of their own and read until the server closes it."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        try:
            writer.write(data)
            await writer.drain()
            async with asyncio.timeout(timeout_s):
                return await reader.read()
        finally:
            writer.close()

    @property
    def accepted(self) -> list[dict[str, Any]]:
        return [msgspec.json.decode(r.value) for r in self.publisher.of(TOUCHPOINTS.name)]

    @property
    def rejected(self) -> list[dict[str, Any]]:
        rows = [msgspec.json.decode(r.value) for r in self.publisher.of(REJECTED.name)]
        for row in rows:
            row["payload"] = base64.b64decode(row.pop("payload_base64"))
        return rows

    async def healthy(self) -> bool:
        """It still takes an event."""
        before = len(self.accepted)
        answer = await self.post("/v1/track", {"event": "Ping", "userId": "u"}, headers=BASIC)
        return answer.status == 200 and len(self.accepted) == before + 1


class Answer:
    """A response, read."""

    def __init__(self, status: int, headers: Any, body: bytes) -> None:
        self.status = status
        self.headers = headers
        self.body = body

    @classmethod
    async def of(cls, response: aiohttp.ClientResponse) -> Self:
        return cls(response.status, response.headers, await response.read())

    @property
    def json(self) -> Any:
        return msgspec.json.decode(self.body)


@asynccontextmanager
async def serving(
    config: GatewayConfig | None = None,
    given: list[Source] | None = None,
    **ports: Any,
) -> AsyncIterator[Gateway]:
    """A running gateway; stopped, gracefully, at the end."""
    publisher = ports.pop("publisher", None) or MemoryPublisher()
    stop = asyncio.Event()
    url: asyncio.Future[str] = asyncio.get_running_loop().create_future()
    now: Callable[[], int] = ports.pop("now_ms", lambda: NOW_MS)
    task = asyncio.create_task(
        run_gateway(
            config or GatewayConfig(port=0, public_url=PUBLIC_URL),
            sources() if given is None else given,
            Ports(publisher=publisher, now_ms=now, **ports),
            stop,
            started=url.set_result,
        )
    )
    waiting: list[asyncio.Future[Any]] = [task, url]
    await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
    if task.done():
        task.result()
    try:
        async with aiohttp.ClientSession() as http:
            yield Gateway(await url, publisher, http)
    finally:
        stop.set()
        await task


@pytest.fixture
async def gateway() -> AsyncIterator[Gateway]:
    """A gateway with the sources of `tests.support.gateway`."""
    async with serving() as running:
        yield running


@pytest.fixture
async def stays_healthy(gateway: Gateway) -> AsyncIterator[None]:
    """Whatever a test here sends, the gateway takes the next event."""
    yield
    assert await gateway.healthy()
