"""Reading a request's body within its limits.

The server does not decompress, so that the bytes here are those that were sent. Decompression goes
chunk by chunk and never makes more than the limit, whatever the ratio (a "bomb").
"""

from __future__ import annotations

import asyncio
import zlib
from typing import NamedTuple

from aiohttp import web

from ingest.gateway.config import GatewayConfig
from ingest.gateway.limits import Budget
from schemas.rejection import Rejection

_CHUNK = 64 * 1024


class Body(NamedTuple):
    """A body; with `problem` it is incomplete, and the problem holds the part that was read."""

    data: bytes
    problem: Rejection | None = None


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
    limit = config.max_body_bytes
    encoding = request.headers.get("Content-Encoding", "").strip().lower()
    if (request.content_length or 0) > limit:
        # Its Content-Length is too large: only the part that is stored is read.
        limit = min(limit, config.max_kept_bytes)
    raw = bytearray()
    try:
        async with asyncio.timeout(config.body_s):
            while chunk := await request.content.read(_CHUNK):
                lease.grow(len(chunk))
                raw += chunk
                if len(raw) > limit:
                    return _too_large(bytes(raw[:limit]), encoding, config)
    except TimeoutError:
        raise TooSlow from None
    data = bytes(raw)
    if encoding in ("", "identity"):
        return Body(data)
    body = decompress(data, encoding, config.max_body_bytes)
    lease.grow(len(body.data))
    return body


def _too_large(start: bytes, encoding: str, config: GatewayConfig) -> Body:
    """Return the start of a body that exceeds the limit, decompressed where that is possible."""
    detail = f"the body is over {config.max_body_bytes} bytes"
    if encoding not in ("", "identity"):
        start = decompress(start, encoding, config.max_kept_bytes).data or start
    return Body(b"", Rejection("too_large", detail, start))


def decompress(data: bytes, encoding: str, limit: int) -> Body:
    """Decode the Content-Encoding of `data`: gzip (RFC 1952), deflate (RFC 1950, or bare 1951).

    A problem holds the bytes as they were sent, or the first `limit` bytes of a body that became
    too large; `data` is then the part that could be read.
    """
    if encoding not in ("gzip", "x-gzip", "deflate"):
        detail = "Content-Encoding: must be gzip, deflate or identity"
        return Body(b"", Rejection("unreadable", detail, data))
    out = bytearray()
    rest = data
    try:
        while True:
            inflater = zlib.decompressobj(_window(rest, encoding))
            out += inflater.decompress(rest, limit + 1 - len(out))
            if len(out) > limit:
                start = bytes(out[:limit])
                detail = f"the body is over {limit} bytes when decompressed"
                return Body(start, Rejection("too_large", detail, start))
            if not inflater.eof:
                raise zlib.error
            # A gzip file may have several members; zeros after the last are padding.
            rest = inflater.unused_data.lstrip(b"\0")
            if not rest or encoding == "deflate":
                return Body(bytes(out))
    except zlib.error:
        detail = f"the body is not what Content-Encoding says ({encoding})"
        return Body(bytes(out), Rejection("unreadable", detail, data))


def _window(data: bytes, encoding: str) -> int:
    """Return zlib's wbits: gzip, zlib, or bare deflate, which some clients send under that name."""
    if encoding != "deflate":
        return 16 + zlib.MAX_WBITS
    is_zlib = len(data) >= 2 and data[0] & 0x0F == 8 and (data[0] << 8 | data[1]) % 31 == 0
    return zlib.MAX_WBITS if is_zlib else -zlib.MAX_WBITS


_NOT_STRUCTURE = bytes(set(range(256)) - set(b'[]{}"\\'))
_ONE_KIND = bytes.maketrans(b"{}", b"[]")


def depth(json: bytes, limit: int) -> int:
    """Return the nesting depth of arrays and objects in a JSON text, at most `limit + 1`.

    Works by deleting: escapes, then strings, then innermost pairs, level by level, each with one
    pass at the speed of memory. Text that is not JSON gives some number; its parser reports it.
    """
    if b"\\" in json:
        json = json.replace(b"\\\\", b"").replace(b'\\"', b"")
    # Two quotes side by side are a string without structure, or nothing between two strings.
    marks = json.translate(None, _NOT_STRUCTURE).replace(b'""', b"")
    if b'"' in marks:
        marks = b"".join(marks.split(b'"')[::2])
    marks = marks.translate(_ONE_KIND, b"\\")
    level = 0
    while marks and level <= limit:
        inner = marks.replace(b"[]", b"")
        if len(inner) == len(marks):
            # Never closed: as deep as brackets open.
            return min(level + inner.count(b"["), limit + 1)
        # A pair that stands beside another is of the same level.
        marks = inner
        level += 1
    return level
