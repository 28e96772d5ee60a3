"""The memory of tokens that were used: see `ingest.connector.TokenConnector`."""

from __future__ import annotations

import hashlib
import secrets

from ingest.connector import Use


class UsedTokens:
    """The digests of the last tokens, each with that of the event that came with it.

    Bounded: beyond the limit the tokens that were used first are forgotten. It is kept in this
    process alone: the tokens before a restart, or of another gateway, are not known here.
    """

    def __init__(self, limit: int) -> None:
        """`limit`: the number of tokens that are remembered, about 250 bytes each."""
        self._limit = limit
        self._salt = secrets.token_bytes(16)
        self._events: dict[bytes, bytes] = {}

    def admits(self, source: str, use: Use) -> bool:
        """Return True if the token is new to this source, or came with the same event before."""
        token = self._digest(source.encode("utf-8", "replace") + b"\0" + use.token)
        event = self._digest(use.event)
        if self._events.setdefault(token, event) != event:
            return False
        if len(self._events) > self._limit:
            del self._events[next(iter(self._events))]
        return True

    def _digest(self, content: bytes) -> bytes:
        return hashlib.blake2b(content, key=self._salt, digest_size=16).digest()
