"""`touchline.yaml` and the mappings that it names, with the place of each setting."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from deploy.config.yaml_file import read_settings
from schemas.document import Location
from schemas.errors import ProblemsFound


class ConfigurationError(ProblemsFound):
    """An unusable configuration; never repeats a configured value."""


@dataclass(frozen=True, slots=True)
class ConfigFile:
    """The content of a configuration file. `lines` holds the line of each key and list item."""

    path: Path | None = None
    data: dict[str, Any] = field(default_factory=dict, repr=False)
    lines: dict[Location, int] = field(default_factory=dict, repr=False)
    #: Files that replace the value of a setting.
    parts: dict[Location, ConfigFile] = field(default_factory=dict, repr=False)

    @classmethod
    def read(cls, path: Path, environment: Mapping[str, str]) -> ConfigFile:
        """Return the file's content, with `${NAME}` in texts replaced by the environment's value.

        Raises `ConfigurationError` for a file that cannot be read, is not YAML, names a key twice
        or refers to a variable that is not set.
        """
        document = read_settings(path, environment)
        if document.problems:
            raise ConfigurationError(*document.problems)
        return cls(path, document.data, document.lines)

    def with_mappings(self, environment: Mapping[str, str]) -> ConfigFile:
        """Return the file with each source's `mapping` that names a file replaced by its content.

        Names are relative to the file. Raises `ConfigurationError` as `read` does.
        """
        sources = self.data.get("sources")
        if self.path is None or not isinstance(sources, dict):
            return self
        parts: dict[Location, ConfigFile] = {
            ("sources", name, "mapping"): self.read(
                self.path.parent / source["mapping"], environment
            )
            for name, source in sources.items()
            if isinstance(source, dict) and isinstance(source.get("mapping"), str)
        }
        changed = {
            name: {**sources[name], "mapping": part.data} for (_, name, _), part in parts.items()
        }
        data = {**self.data, "sources": {**sources, **changed}}
        return ConfigFile(self.path, data, self.lines, parts)

    def place(self, location: Location) -> str:
        """Return `file:line` of a setting, or of the nearest enclosing one that the file has."""
        if self.path is None:
            return "configuration"
        for above, part in self.parts.items():
            if len(location) > len(above) and location[: len(above)] == above:
                return part.place(location[len(above) :])
        for size in range(len(location), 0, -1):
            if location[:size] in self.lines:
                return f"{self.path}:{self.lines[location[:size]]}"
        return str(self.path)
