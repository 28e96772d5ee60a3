"""The connectors with a key, as their classes declare them (`ingest.kit.keyed`).

The built-in ones are served even while no source uses them: their SDKs then get 401. Those of
plug-ins are served as soon as a source names them.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

from ingest.connector import KeyedConnector, Request
from ingest.connectors.ga4 import Ga4
from ingest.connectors.segment import Segment
from ingest.connectors.snowplow import Snowplow
from ingest.connectors.touchpoint import TouchpointConnector
from ingest.gateway.config import Source
from ingest.kit.keyed import Answers, Cors, Document, KeyedWebhook, Route, Unauthorized
from schemas.errors import TouchlineError

_BUILT_IN: tuple[type[KeyedWebhook], ...] = (Segment, Snowplow, Ga4, TouchpointConnector)
#: Paths of the gateway itself.
HOOKS = "/hooks/{source}"
_OWN = (HOOKS, "/healthz", "/readyz", "/metrics")
#: A fixed part first, then fixed parts and names in braces.
_PATH = re.compile(r"/[^/{}]+(/([^/{}]*|\{[A-Za-z_]\w*\}))*")
FindKey = Callable[[Request], bytes | None]


class SourcesClash(TouchlineError, ValueError):
    """Two sources, or the paths of two connectors, cannot be served beside each other."""


@dataclass(frozen=True, slots=True)
class KeyedProtocol:
    """The declaration of a connector with a key."""

    #: The connector's name.
    name: str
    #: Module and name of its class, for messages.
    place: str
    #: Finds the key without the body.
    head_key: FindKey
    #: Finds the key in a request with its body; None: it is never there.
    body_key: FindKey | None
    routes: tuple[Route, ...] = ()
    documents: tuple[Document, ...] = ()
    cors: Cors | None = None
    unauthorized: Unauthorized = KeyedWebhook.unauthorized
    answers: Answers = KeyedWebhook.answers
    #: The address of a connector that declares no routes; '' for the others.
    shared_hook: str = ""

    def paths(self) -> list[str]:
        """Return all its paths, each once."""
        return list(dict.fromkeys(path for _, path in self.endpoints()))

    def endpoints(self) -> Iterator[tuple[str, str]]:
        """Yield method and path of all that it serves."""
        for route in self.routes:
            yield route.method, route.path
        for document in self.documents:
            yield "GET", document.path


def served_protocols(sources: Sequence[Source]) -> list[KeyedProtocol]:
    """Return the protocols that a gateway with these sources serves.

    One that declares no routes gets the address `/hooks/` and its name, unless a source has this
    name. Raises SourcesClash if a path is malformed, or two connectors claim one.
    """
    classes: dict[str, type] = {cls.name: cls for cls in _BUILT_IN}
    for source in sources:
        if isinstance(source.connector, KeyedConnector):
            classes[source.connector.name] = type(source.connector)
    found = [_declared(name, cls) for name, cls in classes.items()]
    _check_paths(found)
    taken = {source.name for source in sources}
    return [one if one.routes or one.name in taken else _at_shared_hook(one) for one in found]


def _declared(name: str, cls: type) -> KeyedProtocol:
    place = f"{cls.__module__}.{cls.__qualname__}"
    if not issubclass(cls, KeyedWebhook):
        # Only the protocol `KeyedConnector`: its `key` looks wherever the key may be.
        return KeyedProtocol(name, place, cls.key, cls.key)  # type: ignore[attr-defined]
    return KeyedProtocol(
        name,
        place,
        cls.head_key,
        cls.body_key if cls.key_in_body else None,
        cls.routes,
        cls.documents,
        cls.cors,
        cls.unauthorized,
        cls.answers,
    )


def _at_shared_hook(protocol: KeyedProtocol) -> KeyedProtocol:
    path = HOOKS.format(source=protocol.name)
    return replace(protocol, routes=(Route(path),), shared_hook=path)


def _check_paths(protocols: Sequence[KeyedProtocol]) -> None:
    taken = [("", path, "the gateway itself") for path in _OWN]
    for protocol in protocols:
        who = f"connector {protocol.name!r} ({protocol.place})"
        for method, path in protocol.endpoints():
            if not _PATH.fullmatch(path):
                raise SourcesClash(
                    f"{who} declares the path {path!r}: it must begin with / and a fixed part, "
                    "and each {name} must be a whole part of it"
                )
            for other, its_path, whose in taken:
                if other in ("", method) and _overlap(path, its_path):
                    raise SourcesClash(
                        f"{who} serves {method} {path}, which belongs to {whose}: give it another "
                        "path in its class, or configure no source of it"
                    )
        taken += [(method, path, who) for method, path in protocol.endpoints()]


def _overlap(one: str, other: str) -> bool:
    """Return True if some path is both; a slash at its end makes no difference."""
    parts, others = one.rstrip("/").split("/"), other.rstrip("/").split("/")
    return len(parts) == len(others) and all(
        a == b or a.startswith("{") or b.startswith("{") for a, b in zip(parts, others, strict=True)
    )
