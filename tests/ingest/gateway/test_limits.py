"""Bad input over a real socket: answered as promised, and the gateway stays healthy."""

from __future__ import annotations

import asyncio
import gzip
import resource
import subprocess
import sys
import time
import zlib
from collections.abc import AsyncIterator
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest.gateway.config import GatewayConfig, RateLimit
from ingest.gateway.limits import Rates
from ingest.intake.decompression import decompress
from ingest.intake.depth import depth
from tests.support.gateway import (
    BASIC,
    BEARER,
    LINE_SECRET,
    WRITE_KEY,
    Gateway,
    serving,
    source,
)
from tests.support.gateway_requests import line_body, line_signed, store_visit

MIB = 1024 * 1024


@pytest.fixture(autouse=True)
async def healthy_in_the_end(gateway: Gateway) -> AsyncIterator[None]:
    """Whatever a test here sends, the gateway takes the next event."""
    yield
    assert await gateway.healthy()


class TestSize:
    async def test_a_body_of_6_mb_is_413_and_its_start_is_kept(self, gateway: Gateway) -> None:
        body = b'{"a":"' + b"x" * 6_000_000 + b'"}'
        answer = await gateway.post("/v1/events", body, headers=BEARER)
        assert (answer.status, answer.json["code"]) == (413, "too_large")
        assert answer.json["results"][0]["reason"] == "too_large"
        [row] = gateway.rejected
        assert row["payload"] == body[: 512 * 1024]
        assert "over 5242880 bytes" in row["detail"]

    async def test_on_segment_paths_it_is_400(self, gateway: Gateway) -> None:
        answer = await gateway.post("/v1/batch", b"x" * 6_000_000, headers=BASIC)
        assert answer.status == 400
        assert gateway.rejected[0]["reason"] == "too_large"

    async def test_a_webhook_that_cannot_be_verified_is_413_and_not_kept(
        self, gateway: Gateway
    ) -> None:
        answer = await gateway.post("/hooks/line", b"x" * 6_000_000)
        assert answer.status == 413
        assert gateway.publisher.records == []

    async def test_chunked_bodies_have_the_same_limit(self, gateway: Gateway) -> None:
        async def chunks() -> AsyncIterator[bytes]:
            for _ in range(6):
                yield b" " * MIB

        answer = await gateway.call("POST", "/v1/events", data=chunks(), headers=BEARER)
        assert answer.status == 413

    async def test_exactly_the_limit_is_read(self, gateway: Gateway) -> None:
        event = msgspec.json.encode(store_visit("e"))
        body = event + b" " * (5 * MIB - len(event))
        assert (await gateway.post("/v1/events", body, headers=BEARER)).status == 202
        assert (await gateway.post("/v1/events", body + b" ", headers=BEARER)).status == 413

    @pytest.mark.parametrize(
        ("path", "headers", "status"),
        [("/v1/batch", BASIC, 400), ("/hooks/line", line_signed(b"x"), 413)],
    )
    async def test_a_bomb_is_one_wherever_it_comes(
        self, gateway: Gateway, path: str, headers: dict[str, str], status: int
    ) -> None:
        # 32 members of a gzip, each small, and a bomb within a bomb, which stays what it is.
        members = gzip.compress(b" " * MIB) * 32
        answer = await gateway.post(path, members, headers={**headers, "Content-Encoding": "gzip"})
        assert answer.status == status
        nested = gzip.compress(gzip.compress(b" " * 200 * MIB))
        answer = await gateway.post(path, nested, headers={**headers, "Content-Encoding": "gzip"})
        assert answer.status in (400, 401)

    @pytest.mark.parametrize("encoding", ["gzip", "deflate"])
    async def test_a_bomb_is_413(self, gateway: Gateway, encoding: str) -> None:
        pack = gzip.compress if encoding == "gzip" else zlib.compress
        bomb = pack(b" " * 200 * MIB)
        assert len(bomb) < 300_000
        headers = {**BEARER, "Content-Encoding": encoding}
        started = time.monotonic()
        answer = await gateway.post("/v1/events", bomb, headers=headers)
        assert answer.status == 413
        assert time.monotonic() - started < 2
        assert gateway.rejected[0]["reason"] == "too_large"

    async def test_an_event_over_256_kib_is_refused_alone(self, gateway: Gateway) -> None:
        events = [store_visit("small"), store_visit("big", properties={"x": "y" * 257 * 1024})]
        answer = await gateway.post("/v1/events", events, headers=BEARER)
        assert answer.status == 202
        assert [r["reason"] for r in answer.json["results"]] == [None, "too_large"]
        assert msgspec.json.decode(gateway.rejected[0]["payload"]) == events[1]
        alone = await gateway.post("/v1/events", events[1], headers=BEARER)
        assert alone.status == 413

    async def test_more_than_10000_events_are_413(self, gateway: Gateway) -> None:
        answer = await gateway.post("/v1/events", [{}] * 10_001, headers=BEARER)
        assert answer.status == 413
        assert gateway.rejected[0]["reason"] == "too_many"


class TestDepth:
    @staticmethod
    def nested(levels: int) -> Any:
        value: Any = 1
        for _ in range(levels):
            value = {"a": value} if levels % 2 else [value]
        return value

    @pytest.mark.parametrize("opening", [b"[", b'{"a":', b'[{"a":'])
    async def test_10000_levels_are_unreadable(self, gateway: Gateway, opening: bytes) -> None:
        body = opening * 10_000
        closed = body + b"1" + (b"]" if opening == b"[" else b"}") * 10_000
        for text in (body, closed):
            answer = await gateway.post("/v1/events", text, headers=BEARER)
            assert answer.status == 400
        for path in ("/v1/track", "/v1/batch"):
            assert (await gateway.post(path, closed, headers=BASIC)).status == 400
        answer = await gateway.post("/hooks/line", closed, headers=line_signed(closed))
        assert answer.status == 400
        assert len(gateway.rejected) == 5

    async def test_64_levels_are_taken_65_are_not(self, gateway: Gateway) -> None:
        good = store_visit("good", properties={"x": self.nested(62)})
        bad = store_visit("bad", properties={"x": self.nested(63)})
        answer = await gateway.post("/v1/events", [good, bad], headers=BEARER)
        assert [r["reason"] for r in answer.json["results"]] == [None, "invalid"]
        assert "64" in answer.json["results"][1]["detail"]
        assert (await gateway.post("/v1/events", good, headers=BEARER)).status == 202
        assert (await gateway.post("/v1/events", bad, headers=BEARER)).status == 400

    #: Strings that look like structure, or end like one.
    TEXTS = st.text('[]{}"\\a, :') | st.text()

    @given(
        st.recursive(
            TEXTS | st.none(), lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner)
        )
    )
    def test_depth_is_that_of_the_value(self, value: Any) -> None:
        def measured(part: Any) -> int:
            inner = part.values() if isinstance(part, dict) else part
            if isinstance(part, dict | list):
                return 1 + max(map(measured, inner), default=0)
            return 0

        assert depth(msgspec.json.encode(value), 1000) == measured(value)

    @given(st.binary())
    def test_depth_takes_any_bytes(self, data: bytes) -> None:
        assert 0 <= depth(data, 64) <= 65


class TestOddContent:
    BODIES = (
        b"\x00",
        b'{"event":"a\x00b","userId":"u"}',
        b'{"event":"a\\u0000b","userId":"u\\u0000"}',
        b'{"event":"\\ud83d","userId":"\\udc00x"}',
        b'{"event":"\xff\xfe","userId":"u"}',
        b'{"event":1e400,"userId":"u"}',
        b'{"event":["x"],"userId":{},"traits":[],"context":"x","properties":7}',
        b'{"event":"x","userId":123456789012345678901234567890}',
        b'{"event":"x","userId":"u","properties":{"revenue":"1e999999999"}}',
        b'{"event":"x","userId":"u","timestamp":-5}',
        b'{"event":"x","userId":"u","timestamp":"9999-99-99"}',
        b'{"batch":{"a":1}}',
        "{}".encode("utf-16"),
        b"\xef\xbb\xbf{}",
        b"true",
    )

    @pytest.mark.parametrize("body", BODIES)
    async def test_is_taken_or_kept_but_never_our_error(
        self, gateway: Gateway, body: bytes
    ) -> None:
        for path, headers in (("/v1/track", BASIC), ("/v1/batch", BASIC), ("/v1/events", BEARER)):
            before = len(gateway.publisher.records)
            answer = await gateway.post(path, body, headers=headers)
            assert answer.status in (200, 202, 400)
            assert len(gateway.publisher.records) == before + 1

    async def test_japanese_and_emoji_arrive_as_they_were(self, gateway: Gateway) -> None:
        name = "髙橋 さくら 🌸 ﾊﾝｶｸ"
        body = {"userId": "顧客一", "traits": {"name": name, "email": "さくら@例え.jp"}}
        assert (await gateway.post("/v1/identify", body, headers=BASIC)).status == 200
        [row] = gateway.accepted
        assert row["traits"]["name"] == name
        assert row["lead_value"] == "顧客一"
        assert row["identifiers"]["email"] == ["さくら@xn--r8jz45g.jp"]

    async def test_an_emoji_cut_in_two_does_not_cost_the_batch(self, gateway: Gateway) -> None:
        body = (
            b'{"batch":[{"type":"page","userId":"a","name":"\\ud83d"},'
            b'{"type":"page","userId":"b"}]}'
        )
        assert (await gateway.post("/v1/batch", body, headers=BASIC)).status == 200
        assert len(gateway.accepted) == 2


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


class TestBodies:
    @given(st.binary(max_size=2000), st.sampled_from(["gzip", "deflate"]))
    def test_decompress_undoes_compress(self, data: bytes, encoding: str) -> None:
        packed = gzip.compress(data) if encoding == "gzip" else zlib.compress(data)
        assert decompress(packed, encoding, 2000) == (data, None)

    @given(st.binary(max_size=500), st.sampled_from(["gzip", "deflate", "x-gzip"]))
    def test_decompress_takes_any_bytes(self, data: bytes, encoding: str) -> None:
        body = decompress(data, encoding, 1000)
        assert len(body.data) <= 1000

    def test_members_of_a_gzip_are_one_body(self) -> None:
        packed = gzip.compress(b"a") + gzip.compress(b"b") + b"\0\0"
        assert decompress(packed, "gzip", 10) == (b"ab", None)


async def test_too_many_bodies_at_once_are_503() -> None:
    config = GatewayConfig(port=0, max_bodies_bytes=100_000)
    async with serving(config) as gateway:
        answer = await gateway.post("/v1/track", b" " * 150_000, headers=BASIC)
        assert answer.status == 503
        assert int(answer.headers["Retry-After"]) >= 1
        assert await gateway.healthy()


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
