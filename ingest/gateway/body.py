"""Reading a request's body within its limits.

The server does not decompress, so that the bytes here are those that were sent.
"""

from __future__ import annotations

import asyncio

from aiohttp import web

from ingest.gateway.config import GatewayConfig
from ingest.gateway.limits import Budget
from ingest.intake.decompression import Body, decompress
from ingest.intake.limits import Limits
from schemas.rejection import Rejection

_CHUNK = 64 * 1024


class Busy(Exception):
    """Too many bodies are being processed; the sender should send again later."""


class TooSlow(Exception):
    """The body did not arrive in time."""


class Lease:
    """The part of the budget that one request holds; released when the request ends."""

    def __init__(self, budget: Budget) -> None:
        self._budget = budget
        self._size = 0

    def __enter__(self) -> Lease:
        return self

    def __exit__(self, *_: object) -> None:
        self._budget.give(self._size)

    def grow(self, size: int) -> None:
        """Reserve `size` more bytes. Raises Busy when they are not left."""
        if not self._budget.take(size):
            raise Busy
        self._size += size


async def read_body(request: web.Request, config: GatewayConfig, lease: Lease) -> Body:
    """Read and decompress the body. Raises Busy, TooSlow and what a broken connection raises."""
    limits = config.limits
    limit = limits.max_body_bytes
    encoding = request.headers.get("Content-Encoding", "").strip().lower()
    if (request.content_length or 0) > limit:
        # Its Content-Length is too large: only the part that is stored is read.
        limit = min(limit, limits.max_kept_bytes)
    raw = bytearray()
    try:
        async with asyncio.timeout(config.body_s):
            while chunk := await request.content.read(_CHUNK):
                lease.grow(len(chunk))
                raw += chunk
                if len(raw) > limit:
                    return _too_large(bytes(raw[:limit]), encoding, limits)
    except TimeoutError:
        raise TooSlow from None
    data = bytes(raw)
    if encoding in ("", "identity"):
        return Body(data)
    body = decompress(data, encoding, limits.max_body_bytes)
    lease.grow(len(body.data))
    return body


def _too_large(start: bytes, encoding: str, limits: Limits) -> Body:
    """Return the start of a body that exceeds the limit, decompressed where that is possible."""
    detail = f"the body is over {limits.max_body_bytes} bytes"
    if encoding not in ("", "identity"):
        start = decompress(start, encoding, limits.max_kept_bytes).data or start
    return Body(b"", Rejection("too_large", detail, start))
