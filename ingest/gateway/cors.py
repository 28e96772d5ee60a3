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
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

from aiohttp import web

from ingest.gateway.config import Source

FOREIGN = "pages of this origin may not send to this source"
_SOURCE: web.RequestKey[Source] = web.RequestKey("source", Source)
#: Origins that may be sent back in a header.
_PRINTABLE = re.compile(r"[\x21-\x7e]{1,512}")


class Family(NamedTuple):
    """Paths that web pages call, all for the sources of one connector."""

    connector: str
    #: Returns True for a path of the family.
    has: Callable[[str], bool]
    #: Headers of every reply on these paths.
    headers: Mapping[str, str]
    #: True if the SDKs send cookies along, which browsers do only for an origin that is named.
    credentials: bool = False


def check_origin(request: web.Request, source: Source) -> bool:
    """Return True if the page that sent a request may send to its source, as found by its key."""
    request[_SOURCE] = source
    origin = request.headers.get("Origin")
    return source.origins is None or origin is None or origin in source.origins


class Cors:
    """The CORS headers of replies."""

    def __init__(self, families: Sequence[Family], sources: Sequence[Source]) -> None:
        self._families = families
        self._together = {family.connector: _together(family, sources) for family in families}

    def headers(self, request: web.Request) -> dict[str, str]:
        """Return the headers of a reply, an error too; none for paths that are not for pages."""
        family = next((f for f in self._families if f.has(request.path)), None)
        if family is None:
            return {}
        source = request.get(_SOURCE)
        allowed = self._together[family.connector] if source is None else source.origins
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


def _together(family: Family, sources: Sequence[Source]) -> frozenset[str] | None:
    """Return the origins that any source of a family allows; None: all."""
    found: set[str] = set()
    of_family = [s.origins for s in sources if s.connector.name == family.connector]
    for origins in of_family:
        if origins is None:
            return None
        found |= origins
    return frozenset(found) if of_family else None
