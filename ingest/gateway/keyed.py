"""The paths of connectors with a key, all served by one handler from their declarations.

The key in the head of a request (address, query, headers) finds the source before the body is
read: nobody without a valid key, or over the rate of its source, has a body read. Where the key is
among the events, the body comes first.
"""

from __future__ import annotations

from functools import partial

from aiohttp import web

from ingest.connector import Request
from ingest.gateway import replies
from ingest.gateway.body import Busy, Lease
from ingest.gateway.config import Source
from ingest.gateway.cors import check_origin, note_source
from ingest.gateway.protocols import KeyedProtocol
from ingest.gateway.request_pipeline import Denied, RequestPipeline
from ingest.gateway.verification import Verification
from ingest.intake.decompression import Body
from ingest.kit.keyed import Caller, Document, Route

_KEY = "key"


class KeyedPaths:
    """The handlers of one protocol."""

    def __init__(
        self, protocol: KeyedProtocol, pipeline: RequestPipeline, verification: Verification
    ) -> None:
        self._protocol = protocol
        self._pipeline = pipeline
        self._verification = verification

    def routes(self) -> list[web.RouteDef]:
        """Return all routes of the protocol; those of events first."""
        protocol = self._protocol
        made = []
        for route in protocol.routes:
            handler = partial(self._take_events, route)
            if route.method == "POST":
                made.append(web.post(route.path, handler))
            else:
                made.append(web.get(route.path, handler, allow_head=False))
        for document in protocol.documents:
            handler = partial(self._document, document)
            made.append(web.get(document.path, handler, allow_head=True))
        if protocol.cors is not None:
            made += [web.options(path, self._preflight) for path in protocol.paths()]
        if protocol.shared_hook:
            made.append(web.get(protocol.shared_hook, self._handshake, allow_head=True))
        return made

    async def _take_events(self, route: Route, http: web.Request) -> web.StreamResponse:
        pipeline, protocol = self._pipeline, self._protocol
        if route.method == "GET" and pipeline.ports.admission() is not None:
            raise Busy  # of POST the middleware has asked
        request = pipeline.request(http, path=route.read_as)
        body: Body | None = None
        with pipeline.lease() as lease:
            key = protocol.head_key(request)
            if key is None and protocol.body_key is not None:
                body = await self._body(route, http, lease)
                request = request._replace(body=body.data)
                key = protocol.body_key(request)
            source = self._source(key, body)
            check_origin(http, source)
            pipeline.admit(source)
            if body is None:
                body = await self._body(route, http, lease)
                request = request._replace(body=body.data)
            verified = await self._verification.verified(source, request)
            if verified is None:
                pipeline.unauthorized.note(protocol.name, source.name)
                raise self._denied(401)
            await self._verification.call_provider(source, verified)
            result = await pipeline.process(source, verified, body)
            reply = route.reply or source.connector.reply(verified)
            return replies.to_events(result, reply, protocol.answers, route.headers)

    async def _body(self, route: Route, http: web.Request, lease: Lease) -> Body:
        return Body(b"") if route.method == "GET" else await self._pipeline.body(http, lease)

    def _source(self, key: bytes | None, body: Body | None = None) -> Source:
        """Return the source of a key. Raises Denied; `body`: where the key was looked for last."""
        source = None if key is None else self._pipeline.sources.by_key(self._protocol.name, key)
        if source is not None:
            return source
        unread = body.problem if body is not None else None
        if unread is not None and self._protocol.unauthorized.tells_unreadable:
            raise Denied(400, unread.detail)
        self._pipeline.unauthorized.note(self._protocol.name)
        raise self._denied(401)

    def _denied(self, status: int) -> Denied:
        unauthorized = self._protocol.unauthorized
        return Denied(status, unauthorized.message, unauthorized.challenge if status == 401 else "")

    def _shown(self, request: Request) -> bytes | None:
        """Return the key of a request that has no body."""
        protocol = self._protocol
        key = protocol.head_key(request)
        return protocol.body_key(request) if key is None and protocol.body_key else key

    async def _document(self, document: Document, http: web.Request) -> web.StreamResponse:
        in_path = http.match_info.get(_KEY)
        if in_path is None:
            key = self._shown(self._pipeline.request(http))
        else:
            key = in_path.encode("utf-8", "replace")
        try:
            source = self._source(key)
        except Denied:
            raise self._denied(document.unknown_status) from None
        check_origin(http, source)
        base_url = self._pipeline.base_url(http)
        caller = Caller(source.name, in_path or "", base_url)
        return replies.json_reply(200, document.content(caller))

    async def _preflight(self, http: web.Request) -> web.StreamResponse:
        """Answer a browser that asks before it sends; every reply here has the headers it needs."""
        key = self._shown(self._pipeline.request(http))
        source = None if key is None else self._pipeline.sources.by_key(self._protocol.name, key)
        if source is not None:
            note_source(http, source)
        return web.Response(status=204)

    async def _handshake(self, http: web.Request) -> web.StreamResponse:
        request = self._pipeline.request(http)
        return replies.to_handshake(self._source(self._shown(request)).connector, request)
