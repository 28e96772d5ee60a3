"""Fetching from providers' sites for connectors: see `ingest.connector.FetchingConnector`.

Anybody can send a request that names an address, so this is narrow: hosts that the connector
names, https, few at a time, each address once, and the content is cached.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from ssl import SSLContext
from urllib.parse import urlsplit

import aiohttp
import structlog
from aiohttp.abc import AbstractResolver
from yarl import URL

from ingest.connector import FetchingConnector, Request

log = structlog.get_logger(__name__)

#: Fetches an https address; raises FetchFailed.
Get = Callable[[str], Awaitable[bytes]]

MAX_BYTES = 64 * 1024
TIMEOUT_S = 5.0
_KEPT = 32
_KEPT_S = 24 * 3600.0
_AT_A_TIME = 8


class FetchFailed(Exception):
    """An address could not be fetched; the message holds no address."""


class HttpsGet:
    """GET over https: status 200, no redirects, at most `MAX_BYTES`, within `timeout_s`."""

    def __init__(
        self,
        *,
        timeout_s: float = TIMEOUT_S,
        tls: SSLContext | None = None,
        resolver: AbstractResolver | None = None,
    ) -> None:
        """`tls`: the trusted certificates, by default the system's; `resolver`: of names."""
        self._timeout = aiohttp.ClientTimeout(total=timeout_s)
        self._tls: SSLContext | bool = True if tls is None else tls
        self._resolver = resolver

    async def __call__(self, url: str) -> bytes:
        """Return the content. Raises FetchFailed."""
        connector = aiohttp.TCPConnector(ssl=self._tls, resolver=self._resolver)
        try:
            async with (
                aiohttp.ClientSession(connector=connector, timeout=self._timeout) as session,
                session.get(URL(url, encoded=True), allow_redirects=False) as response,
            ):
                if response.status != 200:
                    raise FetchFailed(f"the provider's site answered {response.status}")
                content = await response.content.read(MAX_BYTES + 1)
                while len(content) <= MAX_BYTES and (more := await response.content.readany()):
                    content += more
        except (aiohttp.ClientError, TimeoutError, OSError, ValueError) as error:
            # The error's own text would hold the address, which may hold a token.
            raise FetchFailed(f"the provider's site: {type(error).__name__}") from None
        if len(content) > MAX_BYTES:
            raise FetchFailed("the provider's site sent more than expected")
        return content


class Fetches:
    """The gateway's side of `FetchingConnector`."""

    def __init__(self, get: Get, monotonic: Callable[[], float]) -> None:
        self._get = get
        self._monotonic = monotonic
        self._kept: dict[str, tuple[bytes, float]] = {}
        self._running: dict[str, asyncio.Task[bytes]] = {}

    async def completed(self, connector: FetchingConnector, request: Request) -> Request:
        """Return the request with what its connector needs to verify it. Raises FetchFailed."""
        url = connector.needs(request)
        if url is None or not allowed(connector, url):
            return request
        return request._replace(fetched={url: await self._content(url)})

    async def call(self, connector: FetchingConnector, name: str, request: Request) -> None:
        """Call the address that a verified request asks to call. Raises FetchFailed.

        `name`: the connector's, for the log.
        """
        url = connector.calls(request)
        if url is not None and allowed(connector, url):
            await self._get(url)
            log.info("provider_called", connector=name)

    async def _content(self, url: str) -> bytes:
        content, until = self._kept.get(url, (b"", 0.0))
        if content and self._monotonic() < until:
            return content
        task = self._running.get(url)
        if task is None:
            if len(self._running) >= _AT_A_TIME:
                raise FetchFailed("too much is being fetched at once")
            task = self._running[url] = asyncio.create_task(self._fetched(url))
        # A sender that disconnects does not end it for the others.
        return await asyncio.shield(task)

    async def _fetched(self, url: str) -> bytes:
        try:
            content = await self._get(url)
        finally:
            del self._running[url]
        self._kept.pop(url, None)
        self._kept[url] = content, self._monotonic() + _KEPT_S
        if len(self._kept) > _KEPT:
            del self._kept[next(iter(self._kept))]
        return content


def allowed(connector: FetchingConnector, url: str) -> bool:
    """Return True if this connector may have the address called."""
    if not (url.isascii() and url.isprintable()) or " " in url:
        return False  # urlsplit would drop some of it
    try:
        parts = urlsplit(url)
        # Neither a user name nor a port, whatever the pattern lets through.
        plain = parts.scheme == "https" and parts.netloc == parts.hostname
    except ValueError:
        return False
    return plain and connector.hosts.fullmatch(parts.netloc) is not None
