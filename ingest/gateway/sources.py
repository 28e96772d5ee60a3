"""Lookup of the source that a request belongs to.

`/hooks/{source}` names it. The paths of a connector with a key (`ingest.connector.KeyedConnector`)
serve all of its sources, told apart by the key that the caller shows. Keys are looked up by a keyed
hash, with a salt of this process, so that the time of a look-up tells nothing about the keys.
"""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Sequence

from ingest.connector import KeyedConnector
from ingest.gateway.config import Source
from ingest.gateway.protocols import SourcesClash, served_protocols


class Sources:
    """The sources by name and by key."""

    def __init__(self, sources: Sequence[Source]) -> None:
        """Index the sources.

        Raises SourcesClash when two have one name or share a key, or the paths of their connectors
        clash.
        """
        self._salt = secrets.token_bytes(16)
        self._by_name: dict[str, Source] = {}
        self._by_key: dict[tuple[str, bytes], Source] = {}
        for source in sources:
            if source.name in self._by_name:
                raise SourcesClash(f"two sources are called {source.name!r}")
            self._by_name[source.name] = source
            self._index(source)
        #: The connectors with a key that are served.
        self.protocols = served_protocols(sources)

    def _index(self, source: Source) -> None:
        connector = source.connector
        if not isinstance(connector, KeyedConnector):
            return
        keys = connector.keys()
        for key in keys:
            other = self._by_key.setdefault((connector.name, self._hash(key)), source)
            if other is not source:
                raise SourcesClash(f"sources {other.name!r} and {source.name!r} have the same key")

    def named(self, name: str) -> Source | None:
        """Return the source of this name."""
        return self._by_name.get(name)

    def by_key(self, connector: str, key: bytes) -> Source | None:
        """Return the source of this connector with this key."""
        return self._by_key.get((connector, self._hash(key)))

    def _hash(self, key: bytes) -> bytes:
        return hashlib.blake2b(key, key=self._salt, digest_size=32).digest()
