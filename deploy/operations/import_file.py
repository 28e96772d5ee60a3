"""Importing a file: its source and connector, the results for its rows, and its position."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any

from msgspec.structs import replace

from deploy.config.settings import Configuration
from deploy.kafka.cursors import Cursors
from deploy.runtime.factories.sources import Plans, source_policy
from ingest.connector import BatchConnector, Position
from ingest.files.identity import Imported, decode, identify
from ingest.files.publish import Outlet, run
from ingest.files.reader import Batch, BatchSource, EvaluatedRow, SourceReader
from ingest.intake.accept import SourcePolicy
from ingest.registry import ConnectorError, Registry
from ingest.testing.preview import connector_for
from schemas.errors import TouchlineError

#: Refused rows that are listed one by one.
SHOWN = 5


class ImportProblem(TouchlineError):
    """An import cannot be made or cannot be completed; the message is one line."""


def source_of(
    loaded: Configuration, source: str, connector: str, options: Mapping[str, Any]
) -> BatchSource:
    """Return the source that reads the file.

    `source` or `connector` may be '' if the other implies it. A configured source brings its
    policy, and the options of its connector if the same connector is requested. Raises
    ImportProblem and `ConnectorError`.
    """
    settings = loaded.settings
    if not source:
        using = [name for name, one in settings.sources.items() if one.connector == connector]
        if len(using) != 1:
            found = f"{len(using)} sources have" if using else "no source has"
            raise ImportProblem(f"{found} the connector {connector!r}: name one with --source")
        source = using[0]
    configured = settings.sources.get(source)
    if not connector:
        if configured is None:
            raise ImportProblem(f"there is no source {source!r}: name a connector too")
        connector = configured.connector
    if configured is not None and configured.connector == connector:
        options = {**configured.options, **options}
    policy = (
        source_policy(settings, source)
        if configured is not None
        else SourcePolicy(
            source,
            settings.identity.policy(),
            region=settings.identity.default_region,
            max_event_bytes=settings.gateway.limits.event_bytes,
        )
    )
    made = connector_for(Registry(), connector, options)
    if isinstance(made, BatchConnector) and made.pulls:
        raise ConnectorError(f"connector {connector!r} reads no files: touchline pull asks it")
    plan = Plans(loaded).of(source) if configured is not None else None
    return BatchSource(made, policy, plan)


@dataclass(slots=True)
class Counts:
    """The result of an import. `already` rows were imported before, and are not read."""

    already: int = 0
    rows: int = 0
    accepted: int = 0
    rejected: Counter[str] = field(default_factory=Counter)
    #: Place and reason of the first refused rows.
    details: list[str] = field(default_factory=list)

    def add(self, batch: Batch) -> None:
        """Count a batch that Kafka has acknowledged."""
        self.rows += batch.rows
        self.accepted += len(batch.accepted)
        self.rejected += batch.reasons
        self.details += batch.details[: max(0, SHOWN - len(self.details))]


@dataclass(frozen=True, slots=True)
class Import:
    """An importer of files into a source."""

    reader: SourceReader
    cursors: Cursors
    outlet: Outlet

    def run(
        self,
        path: Path,
        *,
        again: bool = False,
        beat: Callable[[Counts, float | None], None] = lambda *_: None,
    ) -> Counts:
        """Import the rows of the file that Kafka does not have yet; `again`: all rows once more.

        `beat` receives the counts of what Kafka has, and the part of the file that this is. Raises
        OSError and FileProblem for the file, NotAcknowledged for Kafka. Rows that are in Kafka by
        then stay, and the same call again continues after them.
        """
        known = [decode(value) for value in self.cursors.of(self._key("")).values()]
        file, so_far = identify(path, known)
        if again:
            so_far = replace(so_far, cursor=None, rows=0)
        counts = Counts(already=so_far.rows)
        # Stored before any row is sent: a file that grows before its first rows are in keeps its
        # id.
        self._keep(so_far)

        def move(batch: Batch, position: Position) -> None:
            rows = so_far.rows + counts.rows + batch.rows
            self._keep(replace(so_far, cursor=position.cursor, rows=rows))

        def done(batch: Batch) -> None:
            counts.add(batch)
            beat(counts, batch.position.progress if batch.position else None)

        run(self.reader.batches(so_far.cursor, file), self.outlet, move, done)
        beat(counts, 1.0)
        return counts

    def _keep(self, so_far: Imported) -> None:
        if so_far.size:
            self.cursors.move(self._key(so_far.file), so_far.encode())

    def _key(self, file_id: str) -> str:
        source = self.reader.source
        return f"file/{source.name}/{source.connector.name}/{file_id}"


def first_rows(reader: SourceReader, path: Path, limit: int) -> list[EvaluatedRow]:
    """Return the results for the first rows of a file. Raises OSError and FileProblem."""
    file, _ = identify(path, ())
    return list(islice(reader.rows(None, file), limit))
