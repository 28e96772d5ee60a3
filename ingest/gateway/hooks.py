"""`/hooks/{source}`: providers' webhooks, and the handshakes of those that ask first.

The signature is checked before anything is stored. A body that could not be read whole (too large,
broken compression) cannot be verified against a signature over its content either: the connector
sees the bytes as they were sent, and if it finds its signature in them the refusal is stored.
"""

from __future__ import annotations

from aiohttp import web

from ingest.gateway import replies
from ingest.gateway.config import Source
from ingest.gateway.cors import check_origin
from ingest.gateway.protocols import HOOKS
from ingest.gateway.request_pipeline import Denied, RequestPipeline
from ingest.gateway.verification import Verification


class Hooks:
    """The handlers of the webhooks."""

    def __init__(self, pipeline: RequestPipeline, verification: Verification) -> None:
        self._pipeline = pipeline
        self._verification = verification

    def routes(self) -> list[web.RouteDef]:
        """Return the routes of this family."""
        return [web.post(HOOKS, self.post), web.get(HOOKS, self.get, allow_head=True)]

    async def post(self, http: web.Request) -> web.StreamResponse:
        """Accept a webhook."""
        pipeline, source = self._pipeline, self._source(http)
        # Not counted yet: anybody may call this address.
        pipeline.check_rate(source)
        with pipeline.lease() as lease:
            body = await pipeline.body(http, lease)
            raw = body.data if body.problem is None else body.problem.payload
            request = await self._verification.verified(source, pipeline.request(http, raw))
            if request is None:
                if body.problem is not None and body.problem.reason == "too_large":
                    raise Denied(413, body.problem.detail)
                pipeline.unauthorized.note(source.connector.name, source.name)
                raise Denied(401, "the signature is missing or wrong")
            check_origin(http, source)
            await self._verification.call_provider(source, request)
            pipeline.count(source)
            result = await pipeline.process(source, request, body)
            return replies.to_events(result, source.connector.reply(request))

    async def get(self, http: web.Request) -> web.StreamResponse:
        """Answer a handshake."""
        source = self._source(http)
        return replies.to_handshake(source.connector, self._pipeline.request(http))

    def _source(self, http: web.Request) -> Source:
        source = self._pipeline.sources.named(http.match_info["source"])
        if source is None:
            raise Denied(404, "there is no source of this name")
        return source
