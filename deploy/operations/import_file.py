"""Importing a file: which source and connector, what becomes of it, and how far it is."""

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
from deploy.runtime import factories
from ingest.connector import BatchConnector, Position
from ingest.files.identity import Imported, decode, identify
from ingest.files.publish import Outlet, run
from ingest.files.reader import Batch, BatchSource, Judgement, Reading
from ingest.intake.accept import SourcePolicy
from ingest.registry import ConnectorError, Registry
from ingest.testing.preview import connector_for

#: Refused rows that are named one by one.
SHOWN = 5


class ImportProblem(Exception):
    """An import cannot be made, or not to its end; one line."""


def source_of(
    loaded: Configuration, source: str, connector: str, options: Mapping[str, Any]
) -> BatchSource:
    """What reads the file: `source` and `connector` may each be '' where the other tells it.

    A source that is configured brings its policy, and the options of its connector where the same
    is asked for. Raises ImportProblem and `ConnectorError`.
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
        factories.source_policy(settings, source)
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
    plan = factories.Plans(loaded).of(source) if configured is not None else None
    return BatchSource(made, policy, plan)


@dataclass(slots=True)
class Counts:
    """What came of an import. `already` rows were imported before, and are not read."""

    already: int = 0
    rows: int = 0
    accepted: int = 0
    rejected: Counter[str] = field(default_factory=Counter)
    #: Of the first refused rows: where and why.
    details: list[str] = field(default_factory=list)

    def add(self, batch: Batch) -> None:
        """Count what Kafka has now."""
        self.rows += batch.rows
        self.accepted += len(batch.accepted)
        self.rejected += batch.reasons
        self.details += batch.details[: max(0, SHOWN - len(self.details))]


@dataclass(frozen=True, slots=True)
class Import:
    """Imports files into a source."""

    reading: Reading
    cursors: Cursors
    outlet: Outlet

    def run(
        self,
        path: Path,
        *,
        again: bool = False,
        beat: Callable[[Counts, float | None], None] = lambda *_: None,
    ) -> Counts:
        """Import what of the file Kafka does not have yet; `again`: all of it once more.

        `beat` hears what Kafka has, and how much of the file that is. Raises OSError and
        FileProblem for the file, NotAcknowledged for Kafka. What is in Kafka by
        then stays, and the same once more goes on behind it.
        """
        known = [decode(value) for value in self.cursors.of(self._key("")).values()]
        file, so_far = identify(path, known)
        if again:
            so_far = replace(so_far, cursor=None, rows=0)
        counts = Counts(already=so_far.rows)
        # Before anything is sent: a file that grows before its first rows are in keeps its id.
        self._keep(so_far)

        def move(batch: Batch, position: Position) -> None:
            rows = so_far.rows + counts.rows + batch.rows
            self._keep(replace(so_far, cursor=position.cursor, rows=rows))

        def done(batch: Batch) -> None:
            counts.add(batch)
            beat(counts, batch.position.progress if batch.position else None)

        run(self.reading.batches(so_far.cursor, file), self.outlet, move, done)
        beat(counts, 1.0)
        return counts

    def _keep(self, so_far: Imported) -> None:
        if so_far.size:
            self.cursors.move(self._key(so_far.file), so_far.encode())

    def _key(self, file_id: str) -> str:
        source = self.reading.source
        return f"file/{source.name}/{source.connector.name}/{file_id}"


def first_rows(reading: Reading, path: Path, limit: int) -> list[Judgement]:
    """What would become of the first rows of a file. Raises OSError and FileProblem."""
    file, _ = identify(path, ())
    return list(islice(reading.judgements(None, file), limit))
