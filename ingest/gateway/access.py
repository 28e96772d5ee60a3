"""The middleware around every request: its id, admission, the access log, errors as replies.

The log names the route's template, never the path, the query or the sender: those may hold keys
and personal data.
"""

from __future__ import annotations

import logging

import structlog
from aiohttp import web
from aiohttp.typedefs import Handler, Middleware

from ingest.gateway import replies
from ingest.gateway.body import Busy, TooSlow
from ingest.gateway.config import GatewayConfig, Ports
from ingest.gateway.cors import CorsHeaders
from ingest.gateway.fetching import FetchFailed
from ingest.gateway.health import PROBES
from ingest.gateway.proxies import Proxies
from ingest.gateway.request_pipeline import Denied, RateLimited
from ingest.publishing.port import NotAcknowledged

log = structlog.get_logger(__name__)
_BUSY = "too busy at present, please send it again"


class Access:
    """The middleware around every request."""

    def __init__(self, config: GatewayConfig, ports: Ports, cors: CorsHeaders) -> None:
        self._config = config
        self._ports = ports
        self._proxies = Proxies(config.trusted_proxies)
        self._cors = cors

    def middleware(self) -> Middleware:
        """Return the middleware in the form that aiohttp expects."""

        @web.middleware
        async def around(request: web.Request, handler: Handler) -> web.StreamResponse:
            return await self._around(request, handler)

        return around

    async def _around(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        started = self._ports.monotonic()
        request_id = self._proxies.request_id(request) or self._ports.new_id()
        response = await self._respond(request, handler, request_id)
        response.headers["X-Request-Id"] = request_id
        response.headers.update(self._cors.of(request))
        seconds = self._ports.monotonic() - started
        resource = request.match_info.route.resource
        route = resource.canonical.rstrip("/") if resource is not None else "unknown"
        self._ports.metrics.request(route, _method(request), response.status, seconds)
        # Probes and scrapes come every few seconds and would hide what people do.
        note = log.debug if route in PROBES else log.info
        note(
            "request",
            method=_method(request),
            route=route,
            status=response.status,
            ms=round(seconds * 1000, 1),
            bytes=request.content_length,
            request_id=request_id,
        )
        return response

    async def _respond(
        self, request: web.Request, handler: Handler, request_id: str
    ) -> web.StreamResponse:
        wait_s = self._ports.admission() if request.method == "POST" else None
        if wait_s is not None:
            return replies.error(503, _BUSY, wait_s)
        try:
            return await handler(request)
        except Exception as error:  # the one place where every failure becomes a reply
            reply = self._reply_to(error, request_id)
            if reply.status == 408:
                reply.force_close()
            return reply

    def _reply_to(self, error: Exception, request_id: str) -> web.StreamResponse:
        if isinstance(error, web.HTTPException):
            return _plain(error)
        if isinstance(error, Denied):
            return _denied(error)
        again: float | None = None
        match error:
            case RateLimited():
                status, message = 429, "over the rate limit of this source"
                again = error.retry_after
            case NotAcknowledged():
                # A known outage has its own line in the log; requests need not repeat it.
                note = log.warning if self._ports.publisher.problem is None else log.debug
                note("not_acknowledged", detail=str(error), request_id=request_id)
                status, message = 503, "the events could not be stored, please send them again"
                again = error.retry_after
            case Busy():
                status, message, again = 503, _BUSY, self._config.retry_after_s
            case FetchFailed():
                log.warning("fetch_failed", detail=str(error), request_id=request_id)
                status, again = 503, self._config.retry_after_s
                message = "what this request needs from its provider's site could not be had"
            case TooSlow():
                status, message = 408, f"the body did not arrive in {self._config.body_s:g} s"
            case web.RequestPayloadError() | ConnectionError():
                status, message = 400, "the body ended early or is not well-formed HTTP"
            case _:
                log.error("request_failed", request_id=request_id, exc_info=error)
                status, message = 500, "an error on our side, logged under the request's id"
        return replies.error(status, message, again)


class _WithoutContent(logging.Handler):
    """A log handler that reports errors below our handlers, without the bytes that caused them."""

    def emit(self, record: logging.LogRecord) -> None:
        """Log one event; the server's own message would quote the client's input and address."""
        error = record.exc_info[0] if record.exc_info else None
        log.warning("http_error", error=error.__name__ if error else record.funcName)


def server_log() -> logging.Logger:
    """Return the logger for the HTTP server's own messages: requests that are not HTTP etc."""
    logger = logging.Logger("ingest.gateway.server", logging.WARNING)
    logger.addHandler(_WithoutContent())
    return logger


def _plain(refused: web.HTTPException) -> web.StreamResponse:
    """Return aiohttp's own 404 and 405 in our form."""
    reply = replies.error(refused.status, refused.reason)
    if "Allow" in refused.headers:
        reply.headers["Allow"] = refused.headers["Allow"]
    return reply


def _denied(denied: Denied) -> web.StreamResponse:
    reply = replies.error(denied.status, str(denied))
    if denied.challenge:
        reply.headers["WWW-Authenticate"] = denied.challenge
    return reply


def _method(request: web.Request) -> str:
    """Return the method if it is one that we know: it becomes a label."""
    known = ("GET", "HEAD", "POST", "OPTIONS", "PUT", "PATCH", "DELETE")
    return request.method if request.method in known else "other"
