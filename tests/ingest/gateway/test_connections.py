"""Connections that are slow, broken, silent or too many: the gateway stays healthy."""

from __future__ import annotations

import asyncio
import resource
import subprocess
import sys

import msgspec
import pytest

from ingest.gateway.config import GatewayConfig
from tests.support.gateway import (
    BASIC,
    Gateway,
    serving,
)

pytestmark = pytest.mark.usefixtures("stays_healthy")


class TestConnections:
    @staticmethod
    def head(length: int | str, path: str = "/v1/track", more: bytes = b"") -> bytes:
        return (
            f"POST {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n"
            f"Authorization: {BASIC['Authorization']}\r\nContent-Length: {length}\r\n"
        ).encode() + (more + b"\r\n")

    async def test_a_content_length_that_is_too_small_cuts_the_body(self, gateway: Gateway) -> None:
        answer = await gateway.raw(self.head(10) + b'{"event":"X","userId":"u"}')
        assert answer.startswith((b"HTTP/1.1 400", b"HTTP/1.0 400"))

    async def test_a_body_that_never_comes_is_408(self) -> None:
        async with serving(GatewayConfig(port=0, body_s=0.3, linger_s=0.2)) as slow:
            answer = await slow.raw(self.head(100) + b'{"event"')
            assert answer.startswith(b"HTTP/1.1 408")
            assert await slow.healthy()

    async def test_a_body_that_trickles_is_cut_off(self) -> None:
        async with serving(GatewayConfig(port=0, body_s=0.4, linger_s=0.2)) as slow:
            reader, writer = await asyncio.open_connection("127.0.0.1", slow.port)
            writer.write(self.head(1000))
            reading = asyncio.create_task(reader.read())
            while not reading.done():
                writer.write(b" ")
                await asyncio.wait([reading], timeout=0.05)
            assert reading.result().startswith(b"HTTP/1.1 408")
            writer.close()

    async def test_a_connection_that_says_nothing_is_closed(self) -> None:
        async with serving(GatewayConfig(port=0, idle_s=0.3)) as slow:
            assert await slow.raw(b"", timeout_s=5) == b""
            assert await slow.raw(b"POST /v1/tr", timeout_s=5) == b""
            assert await slow.healthy()

    @pytest.mark.parametrize("length", ["-1", "abc", "1, 2", "99999999999999999999999"])
    async def test_a_nonsense_content_length(self, gateway: Gateway, length: str) -> None:
        answer = await gateway.raw(self.head(length) + b"{}")
        assert answer.startswith((b"HTTP/1.1 400", b"HTTP/1.0 400"))

    async def test_a_client_that_leaves_early(self, gateway: Gateway) -> None:
        _, writer = await asyncio.open_connection("127.0.0.1", gateway.port)
        writer.write(self.head(1000) + b'{"event":')
        await writer.drain()
        writer.close()
        await writer.wait_closed()

    @pytest.mark.parametrize(
        "data",
        [
            b"\x16\x03\x01\x02\x00\x01",
            b"GET /\x00 HTTP/1.1\r\n\r\n",
            b"POST /v1/track HTTP/9.9\r\n\r\n",
            b"GET / HTTP/1.1\r\nHost: x\r\nX: " + b"y" * 20_000 + b"\r\n\r\n",
            b"\r\n\r\n\r\n\r\nnonsense\r\n\r\n",
        ],
    )
    async def test_what_is_no_http(self, gateway: Gateway, data: bytes) -> None:
        assert (await gateway.raw(data))[:12] in (b"HTTP/1.1 400", b"HTTP/1.0 400")

    async def test_headers_that_trickle_are_cut_off(self) -> None:
        async with serving(GatewayConfig(port=0, idle_s=0.4)) as slow:
            reader, writer = await asyncio.open_connection("127.0.0.1", slow.port)
            writer.write(b"GET /healthz HTTP/1.1\r\nHost: x\r\n")
            reading = asyncio.create_task(reader.read())
            async with asyncio.timeout(10):
                while not reading.done():
                    writer.write(b"X: y\r\n")
                    await asyncio.wait([reading], timeout=0.05)
            assert reading.result() == b""
            writer.close()

    async def test_a_connection_serves_one_request_after_another(self, gateway: Gateway) -> None:
        body = b'{"event":"X","userId":"u"}'
        keep = self.head(len(body)).replace(b"Connection: close\r\n", b"")
        # All at once, too: what stands behind a body is the next request.
        answers = await gateway.raw((keep + body) * 3 + self.head(len(body)) + body)
        assert answers.count(b"HTTP/1.1 200") == 4
        assert len(gateway.accepted) == 4

    @pytest.mark.parametrize(
        ("headers", "status"),
        [
            (b"X: " + b"y" * 8_000 + b"\r\n", b"404"),
            (b"X: " + b"y" * 9_000 + b"\r\n", b"400"),
            (b"".join(b"X-%d: y\r\n" % n for n in range(100)), b"404"),
            (b"".join(b"X-%d: y\r\n" % n for n in range(200)), b"400"),
        ],
    )
    async def test_headers_have_a_size_and_a_number(
        self, gateway: Gateway, headers: bytes, status: bytes
    ) -> None:
        head = b"GET /x HTTP/1.1\r\nHost: x\r\nConnection: close\r\n" + headers + b"\r\n"
        assert (await gateway.raw(head))[9:12] == status

    async def test_a_line_that_is_too_long_is_400(self, gateway: Gateway) -> None:
        head = b"GET /%s HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
        assert (await gateway.raw(head % (b"x" * 8_000)))[9:12] == b"404"
        assert (await gateway.raw(head % (b"x" * 9_000)))[9:12] == b"400"


class TestManyConnections:
    @staticmethod
    async def connected(gateway: Gateway, count: int) -> list[asyncio.StreamWriter]:
        """So many connections that say nothing."""
        found: list[asyncio.StreamWriter] = []
        for start in range(0, count, 200):
            opening = [
                asyncio.open_connection("127.0.0.1", gateway.port)
                for _ in range(min(200, count - start))
            ]
            found += [writer for _, writer in await asyncio.gather(*opening)]
        return found

    async def test_thousands_that_are_idle_disturb_nobody(self) -> None:
        async with serving(GatewayConfig(port=0, idle_s=60)) as gateway:
            # Both ends are in this process.
            descriptors = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
            idle = await self.connected(gateway, min(3_000, descriptors // 2 - 200))
            for _ in range(20):
                assert await gateway.healthy()
            for writer in idle:
                writer.close()
            assert await gateway.healthy()

    async def test_those_beyond_the_bound_are_told_to_come_again(self) -> None:
        config = GatewayConfig(port=0, max_connections=5, linger_s=0.3)
        async with serving(config) as gateway:
            inside = await self.connected(gateway, 5)
            # One that says nothing is closed all the same.
            assert await gateway.raw(b"") == b""
            assert gateway.publisher.records == []
            for writer in inside:
                writer.close()
            async with asyncio.timeout(10):
                while (await gateway.call("GET", "/healthz")).status != 200:
                    pass
            assert await gateway.healthy()

    async def test_they_hear_it_even_while_they_send_a_large_body(self) -> None:
        config = GatewayConfig(port=0, max_connections=1, linger_s=30)
        async with serving(config) as gateway:
            [inside] = await self.connected(gateway, 1)
            body = b'{"event":"X","userId":"u"}' + b" " * 20_000_000
            answer = await gateway.raw(TestConnections.head(len(body)) + body, timeout_s=30)
            head, _, said = answer.partition(b"\r\n\r\n")
            assert head.startswith(b"HTTP/1.1 503")
            assert b"Retry-After: 2" in head
            assert b"Connection: close" in head
            assert msgspec.json.decode(said)["code"] == "unavailable"
            inside.close()

    async def test_of_those_beyond_it_only_so_many_are_answered_at_once(self) -> None:
        config = GatewayConfig(port=0, max_connections=1, linger_s=30)
        async with serving(config) as gateway:
            inside = await self.connected(gateway, 1)
            waiting = await self.connected(gateway, 100)
            # Cut off at once, and not after the 30 seconds that those before have.
            assert await gateway.raw(b"", timeout_s=10) == b""
            for writer in (*inside, *waiting):
                writer.close()

    def test_no_more_than_there_are_descriptors_for(self) -> None:
        code = (
            "import resource\n"
            "from ingest.gateway.connection_limit import RESERVED, allowed\n"
            "assert allowed(400) == 400, allowed(400)\n"
            "assert resource.getrlimit(resource.RLIMIT_NOFILE)[0] == 400 + RESERVED\n"
            "assert allowed(10_000) == 1_000 - RESERVED, allowed(10_000)\n"
        )
        limited = f"ulimit -Sn 500; ulimit -Hn 1000; exec {sys.executable} -c '{code}'"
        done = subprocess.run(["bash", "-c", limited], capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
