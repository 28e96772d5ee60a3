"""The check that a request comes from whom its source trusts, and all that the check needs.

A connector gets what it needs from its provider's site before it verifies (`fetching`), and if
only a token is signed, a used one is accepted with no other event (`tokens`).
"""

from __future__ import annotations

from collections.abc import Sequence

from ingest.connector import FetchingConnector, Request, TokenConnector
from ingest.gateway.config import Ports, Source
from ingest.gateway.fetching import Fetches
from ingest.gateway.tokens import UsedTokens


class Verification:
    """The verification of requests to these sources."""

    def __init__(self, sources: Sequence[Source], ports: Ports, max_tokens: int) -> None:
        connectors = {source.name: source.connector for source in sources}
        # Asked once: to ask an object whether it fits a protocol takes microseconds.
        self._fetching = {
            name: one for name, one in connectors.items() if isinstance(one, FetchingConnector)
        }
        self._with_tokens = {
            name: one for name, one in connectors.items() if isinstance(one, TokenConnector)
        }
        self._fetches = Fetches(ports.get, ports.monotonic)
        self._tokens = UsedTokens(max_tokens)
        self._now_ms = ports.now_ms

    async def verified(self, source: Source, request: Request) -> Request | None:
        """Return the request with what its connector fetched; None if it is not genuine.

        Raises FetchFailed.
        """
        fetching = self._fetching.get(source.name)
        if fetching is not None:
            request = await self._fetches.completed(fetching, request)
        if not source.connector.verify(request, self._now_ms()):
            return None
        with_token = self._with_tokens.get(source.name)
        if with_token is None or self._tokens.admits(source.name, with_token.token_use(request)):
            return request
        return None

    async def call_provider(self, source: Source, request: Request) -> None:
        """Call the address that a verified request asks to be called. Raises FetchFailed."""
        fetching = self._fetching.get(source.name)
        if fetching is not None:
            await self._fetches.call(fetching, source.connector.name, request)
