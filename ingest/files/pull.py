"""Pulling from a provider repeatedly: from the cursor, with growing pauses while that fails."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import msgspec
import structlog

from ingest.connector import BatchConnector, NotNow, Position
from ingest.files.publish import Outlet, run
from ingest.files.reader import Batch, SourceReader
from ingest.publishing.port import NotAcknowledged
from schemas.backoff import backoff_s
from schemas.error_location import error_location

log = structlog.get_logger(__name__)

_FIRST_PAUSE_S = 2.0
_LONGEST_PAUSE_S = 900.0


class Pulled(msgspec.Struct, frozen=True, kw_only=True):
    """The progress of reading a provider, stored under the cursor's key."""

    cursor: str

    def encode(self) -> bytes:
        """Return one line of JSON."""
        return msgspec.json.encode(self)


def decode(value: bytes) -> Pulled:
    """Decode the output of `encode`."""
    return msgspec.json.decode(value, type=Pulled)


class CursorStore(Protocol):
    """The store of cursors. Raises NotAcknowledged."""

    def of(self, prefix: str) -> dict[str, bytes]:
        """Return the cursors whose keys begin with `prefix`."""

    def move(self, key: str, value: bytes) -> None:
        """Store a cursor."""


class PullMetrics(Protocol):
    """The counters of a pull."""

    def pulled(self, source: str, connector: str, batch: Batch) -> None:
        """Count a batch that is in Kafka, with the cursor after it."""

    def failed(self, source: str, connector: str, cause: str) -> None:
        """Count a pull that was broken off: unreachable, limited, refused, kafka or failed."""

    def complete(self, source: str, connector: str) -> None:
        """Count a source that was read to its end."""


class Stopped(Exception):
    """The process is asked to stop; the rest is left to the next start."""


@dataclass(slots=True)
class Pull:
    """Pulls one source."""

    reader: SourceReader
    cursors: CursorStore
    outlet: Outlet
    metrics: PullMetrics
    #: Returns True if the process is asked to stop.
    stopped: Callable[[], bool] = lambda: False
    _failures: int = 0

    @property
    def key(self) -> str:
        """The key of the cursor."""
        source = self.reader.source
        return f"pull/{source.name}/{source.connector.name}"

    def forever(self, wait: Callable[[float], bool]) -> None:
        """Pull until `wait`, which waits this many seconds, returns True: it is time to stop."""
        while True:
            try:
                pause_s, _ = self.once()
            except Stopped:
                return
            if wait(pause_s):
                return

    def once(self) -> tuple[float, bool]:
        """Read the source to its end; return the seconds until the next time, and True on success.

        Raises Stopped, between two batches.
        """
        source, connector = self.reader.source.name, self.reader.source.connector
        try:
            kept = self.cursors.of(self.key).get(self.key)
            cursor = decode(kept).cursor if kept else None
            # Always closed: that ends the provider's connection.
            with contextlib.closing(self.reader.batches(cursor)) as found:
                run(found, self.outlet, self._move, self._done)
        except NotNow as error:
            return self._later(error.cause, str(error), error.retry_after), False
        except NotAcknowledged as error:
            return self._later("kafka", str(error)), False
        except Stopped:
            raise
        except Exception as error:
            # A bug must not end the pulling of other sources; what was read is not lost by it.
            return self._later(
                "failed", f"{type(error).__name__} in {error_location(error)}"
            ), False
        self._failures = 0
        self.metrics.complete(source, connector.name)
        return connector.pause_s if isinstance(connector, BatchConnector) else 0.0, True

    def _move(self, batch: Batch, position: Position) -> None:
        self.cursors.move(self.key, Pulled(cursor=position.cursor).encode())

    def _done(self, batch: Batch) -> None:
        self.metrics.pulled(self.reader.source.name, self.reader.source.connector.name, batch)
        if self.stopped():
            raise Stopped

    def _later(self, cause: str, detail: str, wanted_s: float | None = None) -> float:
        source = self.reader.source
        growing = backoff_s(self._failures, first_s=_FIRST_PAUSE_S, longest_s=_LONGEST_PAUSE_S)
        # The provider's own pause counts, but never shortens the first pause after a failure.
        pause_s = growing if wanted_s is None else max(wanted_s, _FIRST_PAUSE_S)
        self._failures += 1
        self.metrics.failed(source.name, source.connector.name, cause)
        log.warning(
            "pull_broken_off",
            source=source.name,
            connector=source.connector.name,
            cause=cause,
            detail=detail,
            retry_in=pause_s,
        )
        return pause_s
