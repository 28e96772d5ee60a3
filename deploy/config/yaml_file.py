"""A reader of `touchline.yaml`: values, the line of each, and `${NAME}` from the environment."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import yaml

from schemas.errors import TouchlineError

Location = tuple[str | int, ...]
_REFERENCE = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*)\}")


@dataclass(frozen=True, slots=True)
class Problem:
    """One problem: its place, and the expected value. Never holds a configured value."""

    place: str
    message: str

    def __str__(self) -> str:
        return f"{self.place}: {self.message}"


class ConfigurationError(TouchlineError):
    """An unusable configuration; `str()` gives one line per problem."""

    def __init__(self, *problems: Problem) -> None:
        super().__init__("\n".join(map(str, problems)))
        self.problems = problems


@dataclass(frozen=True, slots=True)
class ConfigFile:
    """The content of a configuration file. `lines` holds the line of each key and list item."""

    path: Path | None = None
    data: dict[str, Any] = field(default_factory=dict, repr=False)
    lines: dict[Location, int] = field(default_factory=dict, repr=False)
    #: Files that replace the value of a setting.
    parts: dict[Location, ConfigFile] = field(default_factory=dict, repr=False)

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


def read(path: Path, environment: Mapping[str, str]) -> ConfigFile:
    """Return the file's content, with `${NAME}` in texts replaced by the environment's value.

    Raises `ConfigurationError` for a file that cannot be read, is not YAML, names a key twice or
    refers to a variable that is not set.
    """
    try:
        text = path.read_text(encoding="utf-8")
        loader = yaml.SafeLoader(text)
        root = loader.get_single_node()
    except OSError as error:
        raise ConfigurationError(Problem(str(path), f"cannot be read: {error.strerror}")) from error
    except UnicodeDecodeError as error:
        raise ConfigurationError(Problem(str(path), "expected text in UTF-8")) from error
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        place = f"{path}:{mark.line + 1}" if mark else str(path)
        raise ConfigurationError(Problem(place, f"not valid YAML: {error.problem}")) from error
    if root is None:
        return ConfigFile(path)
    walk = _Walk(path, loader, environment)
    data = walk.value(root, ())
    if not isinstance(data, dict):
        walk.problems.append(Problem(f"{path}:1", "expected settings by name"))
    if walk.problems:
        raise ConfigurationError(*walk.problems)
    return ConfigFile(path, data, walk.lines)


def with_mappings(file: ConfigFile, environment: Mapping[str, str]) -> ConfigFile:
    """Return the file with each source's `mapping` that names a file replaced by its content.

    Names are relative to the file. Raises `ConfigurationError` as `read` does.
    """
    sources = file.data.get("sources")
    if file.path is None or not isinstance(sources, dict):
        return file
    parts: dict[Location, ConfigFile] = {
        ("sources", name, "mapping"): read(file.path.parent / source["mapping"], environment)
        for name, source in sources.items()
        if isinstance(source, dict) and isinstance(source.get("mapping"), str)
    }
    changed = {
        name: {**sources[name], "mapping": part.data} for (_, name, _), part in parts.items()
    }
    return replace(file, data={**file.data, "sources": {**sources, **changed}}, parts=parts)


class _Walk:
    """One pass over the YAML nodes."""

    def __init__(self, path: Path, loader: yaml.SafeLoader, environment: Mapping[str, str]) -> None:
        self._path = path
        self._loader = loader
        self._environment = environment
        self.lines: dict[Location, int] = {}
        self.problems: list[Problem] = []

    def value(self, node: yaml.Node, location: Location) -> Any:
        if isinstance(node, yaml.MappingNode):
            return self._mapping(node, location)
        if isinstance(node, yaml.SequenceNode):
            return [self._item(item, (*location, i)) for i, item in enumerate(node.value)]
        value = self._loader.construct_object(node)
        return self._expand(value, node) if isinstance(value, str) else value

    def _item(self, node: yaml.Node, location: Location) -> Any:
        self.lines[location] = _line(node)
        return self.value(node, location)

    def _mapping(self, node: yaml.MappingNode, location: Location) -> dict[str, Any]:
        result: dict[str, Any] = {}
        for key_node, value_node in node.value:
            key = str(self._loader.construct_object(key_node))
            if key in result:
                self._problem(key_node, f"{key}: stands here a second time")
            self.lines[(*location, key)] = _line(key_node)
            result[key] = self.value(value_node, (*location, key))
        return result

    def _expand(self, text: str, node: yaml.Node) -> str:
        def replace(match: re.Match[str]) -> str:
            if match[1] not in self._environment:
                self._problem(node, f"expected the environment variable {match[1]} to be set")
            return self._environment.get(match[1], "")

        return _REFERENCE.sub(replace, text)

    def _problem(self, node: yaml.Node, message: str) -> None:
        self.problems.append(Problem(f"{self._path}:{_line(node)}", message))


def _line(node: yaml.Node) -> int:
    line: int = node.start_mark.line
    return line + 1
