"""A reader of the folder of a tracking plan's schemas: reports all problems with file and line."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from deploy.config.config_file import ConfigurationError
from deploy.config.yaml_file import definition_files, read_definition
from ingest.intake.plan_schema import problems
from schemas.document import Document
from schemas.errors import Problem

_SUFFIXES = (".yaml", ".yml", ".json")


def read_plan(folder: Path) -> dict[str, Any]:
    """Return type -> its JSON Schema, from each *.yaml, *.yml and *.json file, named by the file.

    Raises `ConfigurationError` with every problem of every file.
    """
    if not folder.is_dir():
        raise ConfigurationError(Problem(str(folder), "no such folder, expected one of schemas"))
    schemas: dict[str, Any] = {}
    found: list[Problem] = []
    for path in definition_files(folder, _SUFFIXES):
        document = read_definition(path, "a JSON Schema")
        if not document.problems:
            _check(document)
        if path.stem in schemas:
            document.report(1, f"{path.stem} has another file already")
        found += document.problems
        schemas[path.stem] = document.data
    if not schemas:
        found.append(Problem(str(folder), "is empty, expected a schema for each type of event"))
    if found:
        raise ConfigurationError(*found)
    return schemas


def _check(document: Document) -> None:
    for location, message in problems(document.data):
        document.report(document.line(location), message)
