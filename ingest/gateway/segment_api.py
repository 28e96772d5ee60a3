"""The Segment protocol's paths, for Segment's and RudderStack's SDKs as they are.

The write key (Basic auth's user, `writeKey` in the query of a beacon or in the body) finds the
source among those of the connector `segment`; it is expected to be a `KeyedConnector`. Its `parse`
sees every call under its long path: `/v1/track`, `/v1/batch` and so on.

Sources: Segment's HTTP API and the settings request of analytics-next; RudderStack's HTTP API,
its beacon and `sourceConfig` requests, as their public SDKs make them.
"""

from __future__ import annotations

from functools import partial
from typing import Any

from aiohttp import web

from ingest.gateway import replies
from ingest.gateway.config import Source
from ingest.gateway.cors import FOREIGN, Family, check_origin
from ingest.gateway.request_pipeline import RequestPipeline

CONNECTOR = "segment"
_CALLS = ("track", "identify", "page", "screen", "group", "alias", "batch")
#: Other paths of the same calls: the first letters, and the beacons.
_PATHS = (
    {f"/v1/{call}": f"/v1/{call}" for call in _CALLS}
    | {f"/v1/{call[0]}": f"/v1/{call}" for call in _CALLS}
    | {"/b": "/v1/batch", "/beacon/v1/batch": "/v1/batch"}
)
#: Headers that the SDKs send; the star stands for those of the next ones, save Authorization.
_HEADERS = (
    "Authorization", "Content-Type", "X-Retry-Count", "AnonymousId", "SentAt", "Rsa-Recovered",
    "Rsa-Retry-Attempt", "Rsa-Retry-Reason", "Rsa-Since-First-Attempt", "Rsa-Since-Last-Attempt",
    "*",
)  # fmt: skip
_CORS = {
    "Access-Control-Allow-Methods": "GET, HEAD, POST, OPTIONS",
    "Access-Control-Allow-Headers": ", ".join(_HEADERS),
    "Access-Control-Expose-Headers": "Retry-After",
    "Access-Control-Max-Age": "86400",
}
_NO_KEY = "the write key is missing or unknown"


class SegmentApi:
    """The handlers of the Segment protocol."""

    def __init__(self, pipeline: RequestPipeline) -> None:
        self._pipeline = pipeline

    def routes(self) -> list[web.RouteDef]:
        """Return the routes of this family."""
        settings = "/v1/projects/{key}/settings"
        configs = ("/sourceConfig", "/sourceConfig/")
        return [
            *(web.post(path, partial(self.post, call)) for path, call in _PATHS.items()),
            web.get(settings, self.settings, allow_head=True),
            *(web.get(path, self.source_config, allow_head=True) for path in configs),
            *(web.options(path, self.options) for path in (*_PATHS, settings, *configs)),
        ]

    async def post(self, call: str, http: web.Request) -> web.StreamResponse:
        """Accept a call, or a batch of them."""
        pipeline = self._pipeline
        with pipeline.lease() as lease:
            body = await pipeline.body(http, lease)
            request = pipeline.request(http, body.data, call)
            source = pipeline.sources.keyed(CONNECTOR, request)
            if source is None:
                return replies.error(401, _NO_KEY)
            if not check_origin(http, source):
                return replies.error(403, FOREIGN)
            pipeline.admit(source)
            return replies.segment(await pipeline.process(source, request, body))

    async def options(self, http: web.Request) -> web.StreamResponse:
        """Answer a browser's preflight; the headers are those of every reply here."""
        source = self._pipeline.sources.keyed(CONNECTOR, self._pipeline.request(http, b""))
        if source is not None:
            check_origin(http, source)
        return web.Response(status=204)

    async def settings(self, http: web.Request) -> web.StreamResponse:
        """Answer analytics-next, which asks before it sends: where to send, nothing to load."""
        key = http.match_info["key"]
        source = self._pipeline.sources.by_key(CONNECTOR, key.encode("utf-8", "replace"))
        if source is None:
            return replies.error(404, _NO_KEY)
        if not check_origin(http, source):
            return replies.error(403, FOREIGN)
        scheme, _, host = self._pipeline.base_url(http).partition("://")
        return replies.json_reply(200, _settings(key, f"{host}/v1", scheme))

    async def source_config(self, http: web.Request) -> web.StreamResponse:
        """Answer RudderStack's SDKs, which ask before they send: the source, no destinations."""
        source = self._pipeline.sources.keyed(CONNECTOR, self._pipeline.request(http, b""))
        if source is None:
            return replies.error(401, _NO_KEY)
        if not check_origin(http, source):
            return replies.error(403, FOREIGN)
        return replies.json_reply(200, _source_config(source))


def _has(path: str) -> bool:
    return path in _PATHS or path.startswith(("/v1/projects/", "/sourceConfig"))


FAMILY = Family(CONNECTOR, _has, _CORS)


def _settings(key: str, host: str, scheme: str) -> dict[str, Any]:
    segment = {"apiKey": key, "apiHost": host, "protocol": scheme, "unbundledIntegrations": []}
    return {
        "integrations": {"Segment.io": segment},
        "plan": {"track": {"__default": {"enabled": True, "integrations": {}}}},
        "edgeFunction": {},
        "analyticsNextEnabled": True,
        "middlewareSettings": {},
        "enabledMiddleware": {},
        "metrics": {"sampleRate": 0},
        "legacyVideoPluginsEnabled": False,
        "remotePlugins": [],
    }


def _source_config(source: Source) -> dict[str, Any]:
    collection = {"errors": {"enabled": False}, "metrics": {"enabled": False}}
    return {
        "source": {
            "id": source.name,
            "name": source.name,
            "enabled": True,
            "config": {"statsCollection": collection},
            "connections": [],
            "destinations": [],
            "dataplanes": {},
            "workspaceId": "touchline",
        }
    }
