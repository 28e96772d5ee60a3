"""A source of files, and the results of reading a file in it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from ingest.files.identity import identify
from ingest.files.reader import BatchSource, EvaluatedRow, SourceReader
from ingest.intake.accept import Accepted, SourcePolicy
from ingest.intake.limits import Limits
from ingest.registry import Registry
from schemas.rejection import Rejection

NOW_MS = 1_795_161_600_000


def reading(connector: str, name: str = "files", **options: Any) -> SourceReader:
    policy = SourcePolicy(name, region="JP", currency="JPY")
    source = BatchSource(Registry().create(connector, options), policy)
    return SourceReader(source, Limits(), lambda: NOW_MS)


def judged(it: SourceReader, path: Path, cursor: str | None = None) -> list[EvaluatedRow]:
    file, _ = identify(path, ())
    return list(it.rows(cursor, file))


def results(it: SourceReader, path: Path) -> list[Accepted | Rejection]:
    return [result for one in judged(it, path) for result in one.results]


def rows(it: SourceReader, path: Path) -> list[dict[str, Any]]:
    """The rows of a file of which all are accepted."""
    found = results(it, path)
    refused = [one for one in found if isinstance(one, Rejection)]
    assert not refused
    return [json.loads(one.value) for one in found if isinstance(one, Accepted)]
