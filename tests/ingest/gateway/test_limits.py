"""Bad input over a real socket: answered as promised, and the gateway stays healthy."""

from __future__ import annotations

import gzip
import time
import zlib
from collections.abc import AsyncIterator
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest.gateway.config import GatewayConfig
from ingest.intake.decompression import decompress
from ingest.intake.depth import depth
from tests.support.gateway import (
    BASIC,
    BEARER,
    Gateway,
    serving,
)
from tests.support.gateway_requests import line_signed, store_visit

pytestmark = pytest.mark.usefixtures("stays_healthy")


MIB = 1024 * 1024


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
