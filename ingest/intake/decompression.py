"""Undoing a Content-Encoding, chunk by chunk and never beyond a limit (a "bomb").

The bytes that were sent are kept beside, because signatures are over them.
"""

from __future__ import annotations

import zlib
from typing import NamedTuple

from schemas.rejection import Rejection


class Body(NamedTuple):
    """A body; with `problem` it is incomplete, and the problem holds the part that was read."""

    data: bytes
    problem: Rejection | None = None


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
