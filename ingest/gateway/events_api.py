"""`POST /v1/events`: own systems send touchpoints, alone, as a list, or as CloudEvents.

The bearer token finds the source among those of the connector `touchpoint`; it is expected to be a
`KeyedConnector` whose `key` reads the Authorization header, and to read all four forms in `parse`.
"""

from __future__ import annotations

from aiohttp import web

from ingest.gateway import replies
from ingest.gateway.request_pipeline import RequestPipeline

CONNECTOR = "touchpoint"


class EventsApi:
    """The handler of `/v1/events`."""

    def __init__(self, pipeline: RequestPipeline) -> None:
        self._pipeline = pipeline

    def routes(self) -> list[web.RouteDef]:
        """Return the routes of this family."""
        return [web.post("/v1/events", self.post)]

    async def post(self, http: web.Request) -> web.StreamResponse:
        """Accept events."""
        pipeline = self._pipeline
        # The token is in a header: without a valid one the body is not read.
        request = pipeline.request(http, b"")
        source = pipeline.sources.keyed(CONNECTOR, request)
        if source is None:
            reply = replies.error(401, "Authorization: must be Bearer with the token of a source")
            reply.headers["WWW-Authenticate"] = "Bearer"
            return reply
        pipeline.admit(source)
        with pipeline.lease() as lease:
            body = await pipeline.body(http, lease)
            result = await pipeline.process(source, request._replace(body=body.data), body)
            return replies.events(result)
