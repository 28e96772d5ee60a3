"""The paths of Snowplow's trackers, which no setting changes: the POST path and the pixel.

The app id of the events finds the source among those of the connector `snowplow`, or the key in
an address below `/snowplow/`; it is expected to be a `KeyedConnector` that finds both in the
request's `url`, query and body. Its `parse` sees the paths without a key.

Source: Snowplow's collector, as its trackers expect it to answer
(https://docs.snowplow.io/docs/api-reference/stream-collector/). No cookie is set.
"""

from __future__ import annotations

from functools import partial

from aiohttp import web

from ingest.connector import Reply
from ingest.gateway import replies
from ingest.gateway.body import Busy
from ingest.gateway.cors import FOREIGN, Family, check_origin
from ingest.gateway.request_pipeline import RequestPipeline
from ingest.intake.decompression import Body

CONNECTOR = "snowplow"
_POST = "/com.snowplowanalytics.snowplow/tp2"
_PIXEL = "/i"
_PREFIXES = ("", "/snowplow/{key}")
_CORS = {
    "Access-Control-Allow-Methods": "GET, POST, OPTIONS",
    "Access-Control-Allow-Headers": "Content-Type, SP-Anonymous",
    "Access-Control-Expose-Headers": "Retry-After",
    "Access-Control-Max-Age": "86400",
}
_OK = Reply(200, b"ok")
#: A transparent GIF of one pixel.
_GIF = Reply(
    200,
    b"GIF89a\x01\x00\x01\x00\x80\x00\x00\x00\x00\x00\xff\xff\xff!\xf9\x04\x01\x00\x00\x00\x00,"
    b"\x00\x00\x00\x00\x01\x00\x01\x00\x00\x02\x01D\x00;",
    "image/gif",
)


class SnowplowApi:
    """The handlers of Snowplow's tracker protocol."""

    def __init__(self, pipeline: RequestPipeline) -> None:
        self._pipeline = pipeline

    def routes(self) -> list[web.RouteDef]:
        """Return the routes of this family."""
        return [
            *(web.post(prefix + _POST, self.post) for prefix in _PREFIXES),
            *(web.get(prefix + _PIXEL, self.pixel, allow_head=False) for prefix in _PREFIXES),
            *(
                web.options(prefix + path, partial(self.options, path))
                for prefix in _PREFIXES
                for path in (_POST, _PIXEL)
            ),
        ]

    async def post(self, http: web.Request) -> web.StreamResponse:
        """Accept events."""
        pipeline = self._pipeline
        with pipeline.lease() as lease:
            body = await pipeline.body(http, lease)
            request = pipeline.request(http, body.data, _POST)
            source = pipeline.sources.keyed(CONNECTOR, request)
            if source is None:
                # A body that cannot be read does not name its source.
                unread = body.problem
                return replies.error(400, unread.detail) if unread else _unknown()
            if not check_origin(http, source):
                return replies.error(403, FOREIGN)
            pipeline.admit(source)
            return replies.tracker(await pipeline.process(source, request, body), _OK)

    async def pixel(self, http: web.Request) -> web.StreamResponse:
        """Accept the event in the query, and answer with a picture."""
        pipeline = self._pipeline
        if pipeline.ports.admission() is not None:
            raise Busy
        request = pipeline.request(http, b"", _PIXEL)
        source = pipeline.sources.keyed(CONNECTOR, request)
        if source is None:
            return _unknown()
        if not check_origin(http, source):
            return replies.error(403, FOREIGN)
        pipeline.admit(source)
        reply = replies.tracker(await pipeline.process(source, request, Body(b"")), _GIF)
        reply.headers["Cache-Control"] = "no-cache, no-store, must-revalidate"
        return reply

    async def options(self, path: str, http: web.Request) -> web.StreamResponse:
        """Answer a browser's preflight; the headers are those of every reply here."""
        source = self._pipeline.sources.keyed(CONNECTOR, self._pipeline.request(http, b"", path))
        if source is not None:
            check_origin(http, source)
        return web.Response(status=204)


def _has(path: str) -> bool:
    return path in (_POST, _PIXEL) or path.startswith("/snowplow/")


FAMILY = Family(CONNECTOR, _has, _CORS, credentials=True)


def _unknown() -> web.Response:
    return replies.error(401, "the app id, or the key in the address, is missing or unknown")
