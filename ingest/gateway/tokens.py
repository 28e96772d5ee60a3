"""The memory of tokens that were used: see `ingest.connector.TokenConnector`."""

from __future__ import annotations

import hashlib
import secrets

from ingest.connector import Use


class UsedTokens:
    """What came with each of the last tokens, as digests.

    Bounded: beyond the limit the tokens that were used first are forgotten. A memory of this
    process alone: what a restart, or another gateway, has seen is not known here.
    """

    def __init__(self, limit: int) -> None:
        """`limit`: how many tokens are remembered, about 250 bytes each."""
        self._limit = limit
        self._salt = secrets.token_bytes(16)
        self._events: dict[bytes, bytes] = {}

    def admits(self, source: str, use: Use) -> bool:
        """Whether the token is new to this source, or came with the same event before."""
        token = self._digest(source.encode("utf-8", "replace") + b"\0" + use.token)
        event = self._digest(use.event)
        if self._events.setdefault(token, event) != event:
            return False
        if len(self._events) > self._limit:
            del self._events[next(iter(self._events))]
        return True

    def _digest(self, content: bytes) -> bytes:
        return hashlib.blake2b(content, key=self._salt, digest_size=16).digest()
