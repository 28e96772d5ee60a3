"""A file that people write, as plain values with the line of each.

A reader of files fills it; whoever knows the content checks the values and reports problems at
their lines.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from schemas.errors import Problem

#: The way to a value: names of settings and indices of list items.
Location = tuple[str | int, ...]


@dataclass(slots=True)
class Document:
    """A file's content. `lines` holds the line of each key and list item by its location."""

    path: Path
    data: Any = None
    lines: dict[Location, int] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)

    def line(self, location: Location) -> int:
        """Return the line of a location, or of the nearest enclosing one that the file has."""
        while location and location not in self.lines:
            location = location[:-1]
        return self.lines.get(location, 1)

    def report(self, line: int, message: str) -> None:
        """Note a problem; line 0 stands for the file as a whole."""
        self.problems.append(Problem(str(self.path), message, line))
