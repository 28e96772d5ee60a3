"""The headers that proxies in front of the gateway set, believed only from trusted proxies.

A proxy that ends TLS puts the scheme and the host that its client used into X-Forwarded-Proto and
X-Forwarded-Host (MDN: https://developer.mozilla.org/docs/Web/HTTP/Headers/X-Forwarded-Proto), and
may number requests in X-Request-Id. Anybody can send these headers, so they count only when the
connection comes from an address of `gateway.trusted_proxies`. X-Forwarded-For is never read: the
gateway has no use for the client's address.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from ipaddress import IPv4Network, IPv6Address, IPv6Network, ip_address

from aiohttp import web

Network = IPv4Network | IPv6Network

#: A name or an address with an optional port, as a Host header has it (RFC 9110, 7.2).
_HOST = re.compile(r"(?:[A-Za-z0-9._-]{1,253}|\[[0-9A-Fa-f:.]{2,45}\])(?::[0-9]{1,5})?")
#: Ids that logs and replies can hold as they are, of every proxy's usual form: hex, UUID, ULID.
_REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{1,128}")


class Proxies:
    """The proxies that are trusted; none by default."""

    def __init__(self, trusted: Sequence[Network] = ()) -> None:
        self._trusted = tuple(trusted)

    def origin(self, request: web.Request) -> str:
        """Return scheme and host by which the request was made: `https://touch.example.com`."""
        scheme, host = request.scheme, request.host
        if self.trusts(request):
            said = _last(request, "X-Forwarded-Proto").lower()
            if said in ("http", "https"):
                scheme = said
            said = _last(request, "X-Forwarded-Host")
            if _HOST.fullmatch(said):
                host = said
        return f"{scheme}://{host}"

    def request_id(self, request: web.Request) -> str | None:
        """Return the id that a trusted proxy gave to the request, if it has a usual form."""
        said = request.headers.getall("X-Request-Id", ())
        if len(said) != 1 or not _REQUEST_ID.fullmatch(said[0]):
            return None
        return said[0] if self.trusts(request) else None

    def trusts(self, request: web.Request) -> bool:
        """Return True if the connection comes from a trusted address."""
        if not self._trusted or request.transport is None:
            return False
        peer = request.transport.get_extra_info("peername")
        if not isinstance(peer, tuple):
            return False  # not over IP
        # A link-local address has its interface behind %.
        address = ip_address(str(peer[0]).partition("%")[0])
        if isinstance(address, IPv6Address) and address.ipv4_mapped is not None:
            address = address.ipv4_mapped
        return any(address in network for network in self._trusted)


def _last(request: web.Request, name: str) -> str:
    """Return the last of a header's values: of a list, the one that the nearest proxy wrote."""
    values = request.headers.getall(name, ("",))
    return values[-1].rpartition(",")[2].strip()
