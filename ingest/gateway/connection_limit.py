"""The limit on open connections; a client beyond it gets 503 and is to connect again later.

An open connection costs a descriptor and some kilobytes, whether it says anything or not. Without a
bound a process runs out of descriptors: then it can neither accept nor reach Kafka.
"""

from __future__ import annotations

import asyncio
import resource

import structlog
from aiohttp import web

from ingest.gateway import replies
from ingest.gateway.config import GatewayConfig

log = structlog.get_logger(__name__)

#: Descriptors that are not for senders: Kafka, logs, what connectors fetch, replies of 503.
RESERVED = 200
#: Most clients beyond the limit that get the reply at once; others are cut off.
_TOLD_AT_ONCE = 100
#: Interval at which the log says that connections are turned away.
_SAY_EVERY_S = 10.0


def allowed(most: int) -> int:
    """Return `most`, or as many as the process may have descriptors for.

    Raises the process's own limit as far as the system allows, as Go's runtime does.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY:
        return most
    wanted = most + RESERVED
    if soft < wanted:
        soft = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    return max(1, min(most, soft - RESERVED))


class ConnectionLimit:
    """The factory that asyncio calls for each new connection; gives the protocol serving it."""

    def __init__(self, server: web.Server, config: GatewayConfig) -> None:
        self._server = server
        self._config = config
        self._most = allowed(config.max_connections)
        if self._most < config.max_connections:
            log.warning("connections_limited", allowed=self._most, by="open files")
        #: Connections that are being turned away.
        self.turned_away: set[asyncio.Protocol] = set()
        self._say_at = 0.0

    def __call__(self) -> asyncio.Protocol:
        """See `asyncio.loop.create_server`."""
        if len(self._server.connections) < self._most:
            return self._server()
        now = asyncio.get_running_loop().time()
        if now >= self._say_at:
            self._say_at = now + _SAY_EVERY_S
            log.warning("connections_full", most=self._most)
        return _TurnedAway(self, self._config)


class _TurnedAway(asyncio.Protocol):
    """A protocol that answers the first request with 503, whatever it is, and closes."""

    def __init__(self, limit: ConnectionLimit, config: GatewayConfig) -> None:
        self._limit = limit
        self._config = config
        self._transport: asyncio.Transport | None = None
        self._answered = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        if len(self._limit.turned_away) >= _TOLD_AT_ONCE or not isinstance(
            transport, asyncio.Transport
        ):
            transport.close()
            return
        self._limit.turned_away.add(self)
        self._transport = transport
        asyncio.get_running_loop().call_later(self._config.linger_s, transport.abort)

    def data_received(self, data: bytes) -> None:
        # All further input is ignored, so that the client gets the answer first.
        if self._transport is not None and not self._answered:
            self._answered = True
            self._transport.write(_full(self._config.retry_after_s))
            self._transport.write_eof()

    def connection_lost(self, exc: Exception | None) -> None:
        self._limit.turned_away.discard(self)


def _full(retry_after_s: float) -> bytes:
    """Return the reply as bytes: there is no request yet that it could belong to."""
    reply = replies.error(503, "too many connections at present", retry_after_s)
    body = reply.body if isinstance(reply.body, bytes) else b""
    head = (
        "HTTP/1.1 503 Service Unavailable\r\n"
        f"Content-Type: {reply.headers['Content-Type']}\r\nContent-Length: {len(body)}\r\n"
        f"Retry-After: {reply.headers['Retry-After']}\r\nConnection: close\r\n\r\n"
    )
    return head.encode() + body
