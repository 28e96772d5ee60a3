"""`/hooks/{source}`: providers' webhooks, and the handshakes of those that ask first.

The signature is checked before anything is stored. A body that could not be read whole (too large,
broken compression) cannot be verified against a signature over its content either: the connector
sees the bytes as they were sent, and if it finds its signature in them the refusal is stored.

A connector gets what it needs from its provider's site before it verifies (`fetching`), and if
only a token is signed, a used one is accepted with no other event (`tokens`).
"""

from __future__ import annotations

from aiohttp import web

from ingest.connector import Request, TokenConnector
from ingest.gateway import replies
from ingest.gateway.config import Source
from ingest.gateway.cors import FOREIGN, check_origin
from ingest.gateway.fetching import Fetches
from ingest.gateway.request_pipeline import RequestPipeline
from ingest.gateway.tokens import UsedTokens


class Hooks:
    """The handlers of the webhooks."""

    def __init__(self, pipeline: RequestPipeline) -> None:
        self._pipeline = pipeline
        self._fetches = Fetches(pipeline.ports.get, pipeline.ports.monotonic)
        self._tokens = UsedTokens(pipeline.config.max_tokens)

    def routes(self) -> list[web.RouteDef]:
        """Return the routes of this family."""
        return [
            web.post("/hooks/{source}", self.post),
            web.get("/hooks/{source}", self.get, allow_head=True),
        ]

    async def post(self, http: web.Request) -> web.StreamResponse:
        """Accept a webhook."""
        pipeline = self._pipeline
        source = pipeline.sources.named(http.match_info["source"])
        if source is None:
            return replies.error(404, "there is no source of this name")
        pipeline.check_rate(source)
        with pipeline.lease() as lease:
            body = await pipeline.body(http, lease)
            raw = body.data if body.problem is None else body.problem.payload
            request = await self._fetches.completed(source.connector, pipeline.request(http, raw))
            if not self._is_genuine(source, request):
                if body.problem is not None and body.problem.reason == "too_large":
                    return replies.error(413, body.problem.detail)
                return replies.error(401, "the signature is missing or wrong")
            if not check_origin(http, source):
                return replies.error(403, FOREIGN)
            await self._fetches.call(source.connector, request)
            pipeline.count(source)
            result = await pipeline.process(source, request, body)
            return replies.hook(result, source.connector.reply(request))

    def _is_genuine(self, source: Source, request: Request) -> bool:
        connector = source.connector
        if not connector.verify(request, self._pipeline.ports.now_ms()):
            return False
        if not isinstance(connector, TokenConnector):
            return True
        return self._tokens.admits(source.name, connector.token_use(request))

    async def get(self, http: web.Request) -> web.StreamResponse:
        """Answer a handshake."""
        source = self._pipeline.sources.named(http.match_info["source"])
        if source is None:
            return replies.error(404, "there is no source of this name")
        reply = source.connector.handshake(self._pipeline.request(http, b""))
        if reply is None:
            return replies.error(405, "this source takes POST only")
        return replies.provider(reply)
