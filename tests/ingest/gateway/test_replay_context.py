"""Only verified requests leave something to replay, whatever they were refused for."""

from __future__ import annotations

import base64
from collections.abc import AsyncIterator

import pytest

from ingest.gateway.config import GatewayConfig
from tests.support.gateway import PUBLIC_URL, Gateway, serving
from tests.support.gateway_requests import line_signed

WRONG_BEARER = {"Authorization": "Bearer tok-of-nobody"}
WRONG_BASIC = {"Authorization": "Basic " + base64.b64encode(b"wk-of-nobody:").decode()}
#: Of every kind that the gateway refuses.
BODIES = {
    "unreadable": b"\x00\xff",
    "too deep": b"[" * 600,
    "invalid": b'{"type": 1, "event_id": 2}',
    "nobody": b'{"type": "track", "event": "E"}',
    "a batch": b'{"batch": [{"type": "track"}]}',
    "events": b'{"events": [{"type": "follow"}]}',
    "too many": b'{"events": [' + b",".join([b"{}"] * 10_001) + b"]}",
    "too large": b'{"a": "' + b"x" * 6_000_000 + b'"}',
}


@pytest.fixture
async def gateway() -> AsyncIterator[Gateway]:
    """A gateway that does not wait for the rest of what is too large."""
    async with serving(GatewayConfig(port=0, public_url=PUBLIC_URL, linger_s=0.2)) as running:
        yield running


@pytest.mark.parametrize("name", BODIES)
@pytest.mark.parametrize("encoding", ["", "gzip", "br"])
async def test_nothing_is_kept_of_a_request_that_is_not_verified(
    gateway: Gateway, name: str, encoding: str
) -> None:
    body = BODIES[name]
    more = {"Content-Encoding": encoding} if encoding else {}
    for path, headers in (
        ("/v1/events", WRONG_BEARER),
        ("/v1/track", WRONG_BASIC),
        ("/v1/batch", {}),
        ("/hooks/line", line_signed(body, "secret-of-nobody")),
        ("/hooks/line", {}),
        ("/hooks/support", {"X-Twilio-Signature": "AAAA"}),
    ):
        answer = await gateway.post(path, body, headers={**headers, **more})
        assert answer.status in (401, 413), path
        assert gateway.publisher.records == [], path


async def test_of_one_that_is_verified_every_kind_is_kept(gateway: Gateway) -> None:
    for body in BODIES.values():
        await gateway.post("/hooks/line", body, headers=line_signed(body))
    # Of what is too large the signature covers more than was read.
    assert len(gateway.rejected) == len(BODIES) - 1
