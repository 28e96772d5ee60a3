"""A reader of the folder of a tracking plan's schemas: reports all problems with file and line."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from deploy.config.yaml_file import ConfigurationError, Problem
from ingest.intake.plan_schema import problems
from processors.segments.document import Document, read

_SUFFIXES = (".yaml", ".yml", ".json")


def read_plan(folder: Path) -> dict[str, Any]:
    """Return type -> its JSON Schema, from each *.yaml, *.yml and *.json file, named by the file.

    Raises `ConfigurationError` with every problem of every file.
    """
    if not folder.is_dir():
        raise ConfigurationError(Problem(str(folder), "no such folder, expected one of schemas"))
    schemas: dict[str, Any] = {}
    found: list[Problem] = []
    for path in sorted(folder.iterdir()):
        if path.suffix not in _SUFFIXES or path.name.startswith(".") or not path.is_file():
            continue
        document = read(path, "a JSON Schema")
        if not document.problems:
            _check(document)
        if path.stem in schemas:
            document.report(1, f"{path.stem} has another file already")
        found += [Problem(f"{one.path}:{one.line}", one.message) for one in document.problems]
        schemas[path.stem] = document.data
    if not schemas:
        found.append(Problem(str(folder), "is empty, expected a schema for each type of event"))
    if found:
        raise ConfigurationError(*found)
    return schemas


def _check(document: Document) -> None:
    for location, message in problems(document.data):
        document.report(document.line(location), message)
