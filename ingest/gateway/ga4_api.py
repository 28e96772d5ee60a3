"""`POST /mp/collect`: senders of Google Analytics' Measurement Protocol.

The API secret in the query finds the source among those of the connector `ga4`; it is expected to
be a `KeyedConnector` whose `key` reads the query.
"""

from __future__ import annotations

from aiohttp import web

from ingest.gateway import replies
from ingest.gateway.request_pipeline import RequestPipeline

CONNECTOR = "ga4"


class Ga4Api:
    """The handler of `/mp/collect`."""

    def __init__(self, pipeline: RequestPipeline) -> None:
        self._pipeline = pipeline

    def routes(self) -> list[web.RouteDef]:
        """Return the routes of this family."""
        return [web.post("/mp/collect", self.post)]

    async def post(self, http: web.Request) -> web.StreamResponse:
        """Accept events."""
        pipeline = self._pipeline
        # The secret is in the query: without a valid one the body is not read.
        request = pipeline.request(http, b"")
        source = pipeline.sources.keyed(CONNECTOR, request)
        if source is None:
            return replies.error(401, "api_secret: is missing or unknown")
        pipeline.admit(source)
        with pipeline.lease() as lease:
            body = await pipeline.body(http, lease)
            request = request._replace(body=body.data)
            return replies.hook(
                await pipeline.process(source, request, body), source.connector.reply(request)
            )
