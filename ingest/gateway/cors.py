"""The CORS protocol: the web pages that may send to a source from a browser.

Source: the Fetch standard (https://fetch.spec.whatwg.org/#http-cors-protocol). A source with
`origins` accepts requests of pages of these origins only, one without them of all. A preflight
mostly shows no key: the answer to it is what the sources of its path allow together, and the
request after it is checked against its own source.

A request without Origin comes from a server, an app or a picture and is not checked. So `origins`
keeps the pages of others out; it is no authentication.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from aiohttp import web

from ingest.gateway.config import Source
from ingest.gateway.protocols import KeyedProtocol
from ingest.gateway.request_pipeline import Denied
from ingest.kit.keyed import Cors as Declaration

_SOURCE: web.RequestKey[Source] = web.RequestKey("source", Source)
#: How long a browser may keep the answer to a preflight.
_MAX_AGE_S = "86400"
#: Origins that may be sent back in a header.
_PRINTABLE = re.compile(r"[\x21-\x7e]{1,512}")


def note_source(request: web.Request, source: Source) -> None:
    """Remember the source of a request, whose origins then decide on the headers of the reply."""
    request[_SOURCE] = source


def check_origin(request: web.Request, source: Source) -> None:
    """Raise Denied if the request comes from a page that may not send to its source."""
    note_source(request, source)
    origin = request.headers.get("Origin")
    if source.origins is not None and origin is not None and origin not in source.origins:
        raise Denied(403, "pages of this origin may not send to this source")


class _Family:
    """The paths that web pages call, all for the sources of one connector."""

    def __init__(
        self, protocol: KeyedProtocol, declared: Declaration, sources: Sequence[Source]
    ) -> None:
        fixed = [path.partition("{") for path in protocol.paths()]
        self._paths = frozenset(start.rstrip("/") for start, name, _ in fixed if not name)
        #: Beginnings of paths with a name in them. An error on any path below them is readable.
        self._beginnings = tuple(start for start, name, _ in fixed if name)
        self.headers = {
            "Access-Control-Allow-Methods": ", ".join(declared.methods),
            "Access-Control-Allow-Headers": ", ".join(declared.headers),
            "Access-Control-Expose-Headers": ", ".join(declared.exposed),
            "Access-Control-Max-Age": _MAX_AGE_S,
        }
        self.credentials = declared.credentials
        self.origins = _together(s for s in sources if s.connector.name == protocol.name)

    def has(self, path: str) -> bool:
        return path.rstrip("/") in self._paths or path.startswith(self._beginnings)


class CorsHeaders:
    """The CORS headers of replies."""

    def __init__(self, protocols: Iterable[KeyedProtocol], sources: Sequence[Source]) -> None:
        self._families = [
            _Family(protocol, protocol.cors, sources)
            for protocol in protocols
            if protocol.cors is not None
        ]

    def of(self, request: web.Request) -> dict[str, str]:
        """Return the headers of a reply, an error too; none for paths that are not for pages."""
        family = next((one for one in self._families if one.has(request.path)), None)
        if family is None:
            return {}
        source = request.get(_SOURCE)
        allowed = family.origins if source is None else source.origins
        origin = request.headers.get("Origin", "")
        if not _PRINTABLE.fullmatch(origin):
            origin = ""
        if allowed is None and not (family.credentials and origin):
            return {**family.headers, "Access-Control-Allow-Origin": "*"}
        if allowed is not None and origin not in allowed:
            return {"Vary": "Origin"}
        headers = {**family.headers, "Access-Control-Allow-Origin": origin, "Vary": "Origin"}
        if family.credentials:
            headers["Access-Control-Allow-Credentials"] = "true"
        return headers


def _together(sources: Iterable[Source]) -> frozenset[str] | None:
    """Return the origins that any of the sources allows; None: all."""
    allowed = [source.origins for source in sources]
    found: set[str] = set()
    for origins in allowed:
        if origins is None:
            return None
        found |= origins
    return frozenset(found) if allowed else None
