"""A reader of the folder of segment definitions."""

from __future__ import annotations

from pathlib import Path

from deploy.config.yaml_file import definition_files, read_definition
from processors.segments import Segment, SegmentError, compile_documents
from schemas.errors import Problem

_SUFFIXES = (".yaml", ".yml")


def load_segments(folder: Path) -> tuple[Segment, ...]:
    """Return the segments that the folder's *.yaml and *.yml files define, sorted by name.

    Raises `SegmentError` with every problem of every file, in the order of file and line.
    """
    if not folder.is_dir():
        raise SegmentError(Problem(str(folder), "no such folder, expected one of YAML files", 1))
    return compile_documents(map(read_definition, definition_files(folder, _SUFFIXES)))
