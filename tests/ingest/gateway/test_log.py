"""Whatever a client sends, the log holds none of it: neither ours nor the HTTP server's."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from ipaddress import ip_network

import structlog
from hypothesis import Phase, given, settings
from hypothesis import strategies as st
from structlog.testing import capture_logs

from ingest.gateway.config import GatewayConfig
from tests.support.gateway import BASIC, BEARER, PUBLIC_URL, serving

#: What stands for a key, an address, a name: nothing of ours holds it.
SECRET = "zqPrivate"
CONFIG = GatewayConfig(
    port=0,
    public_url=PUBLIC_URL,
    body_s=0.2,
    idle_s=0.3,
    linger_s=0.1,
    trusted_proxies=(ip_network("10.0.0.0/8"),),
)
PATHS = (
    "/v1/track", "/v1/batch", "/v1/events", "/hooks/line", "/hooks/support", f"/hooks/{SECRET}",
    f"/v1/projects/{SECRET}/settings", f"/sourceConfig/?writeKey={SECRET}", f"/{SECRET}",
    f"/v1/track?writeKey={SECRET}&email={SECRET}@example.com", f"http://{SECRET}/v1/track", "*",
    f"/%{SECRET}", "/healthz",
)  # fmt: skip
HEADERS = (
    f"Authorization: {BASIC['Authorization']}",
    f"Authorization: {BEARER['Authorization']}",
    f"Authorization: Basic {SECRET}",
    f"Authorization: Bearer {SECRET}",
    f"X-Request-Id: {SECRET}",
    f"X-Forwarded-For: {SECRET}",
    f"X-Line-Signature: {SECRET}",
    f"Host: {SECRET}",
    f"Content-Type: {SECRET}/json",
    f"Content-Encoding: {SECRET}",
    "Content-Encoding: gzip",
    "Transfer-Encoding: chunked",
    f"Content-Length: {SECRET}",
    f"{SECRET}: x",
    f"{SECRET} x: x",
    f"X: {SECRET * 2000}",
    f"Expect: {SECRET}",
    f"Upgrade: {SECRET}",
)
BODIES = st.sampled_from(
    [
        SECRET.encode(),
        json.dumps({"event": SECRET, "userId": SECRET, "traits": {SECRET: SECRET}}).encode(),
        json.dumps({"batch": [{"type": SECRET, "userId": {SECRET: 1}}]}).encode(),
        json.dumps([{"event_id": SECRET, "channel": SECRET, SECRET: SECRET}]).encode(),
        f"{SECRET}\r\n0\r\n\r\n".encode(),
    ]
) | st.binary(max_size=50)
REQUESTS = st.builds(
    lambda method, path, headers, body, length: (
        f"{method} {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n".encode()
        + "".join(f"{header}\r\n" for header in headers).encode()
        + (f"Content-Length: {len(body) + length}\r\n\r\n".encode())
        + body
    ),
    st.sampled_from(["GET", "POST", "OPTIONS", "PUT", SECRET]),
    st.sampled_from(PATHS),
    st.lists(st.sampled_from(HEADERS), max_size=5, unique=True),
    BODIES,
    st.sampled_from([0, 0, 0, -3, 3]),
) | st.binary(max_size=40).map(lambda noise: noise + SECRET.encode() + b"\r\n\r\n")


@contextmanager
def everything_logged() -> Iterator[list[str]]:
    """Collect all that structlog and the standard library's logging are given, as text."""
    said: list[str] = []

    class Kept(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            said.append(logging.Formatter().format(record))

    root, handler = logging.getLogger(), Kept()
    root.addHandler(handler)
    structlog.reset_defaults()
    try:
        with capture_logs() as events:
            yield said
        said += [repr(event) for event in events]
    finally:
        root.removeHandler(handler)


# A failure is readable as it is found; to shrink it would take minutes, with a server each time.
@settings(max_examples=20, phases=[Phase.generate])
@given(st.lists(REQUESTS, min_size=1, max_size=8))
async def test_whatever_a_client_sends_is_not_logged(requests: list[bytes]) -> None:
    with everything_logged() as said:
        async with serving(CONFIG) as gateway:
            for request in requests:
                await gateway.raw(request)
            assert await gateway.healthy()
    assert any("'event': 'request'" in line for line in said)
    assert not [line for line in said if SECRET in line or "127.0.0.1" in line.partition("url")[0]]
