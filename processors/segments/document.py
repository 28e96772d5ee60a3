"""A YAML file as plain values, with the line of each.

Plain words stay text: only `true` and `false` are truth values, only decimal numbers are numbers.
YAML's other guesses (`no` is false, `2026-01-01` a date, `12:30` is 750, `0600001` octal) would
silently change what a condition compares with.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml
from yaml.reader import ReaderError

Location = tuple[str | int, ...]

_DEEPEST = 40
_BOOL = "tag:yaml.org,2002:bool"
_INT = "tag:yaml.org,2002:int"
_FLOAT = "tag:yaml.org,2002:float"
_NULL = "tag:yaml.org,2002:null"
_TEXT = "tag:yaml.org,2002:str"


class _Loader(yaml.SafeLoader):
    """A YAML loader for plain scalars as described above."""

    yaml_implicit_resolvers: dict[str, list[tuple[str, re.Pattern[str]]]] = {}  # noqa: RUF012 - filled below through PyYAML's interface


_Loader.add_implicit_resolver(_BOOL, re.compile("^(?:true|True|TRUE|false|False|FALSE)$"), "tTfF")
_Loader.add_implicit_resolver(_NULL, re.compile("^(?:~|null|Null|NULL|)$"), ["~", "n", "N", ""])
_Loader.add_implicit_resolver(_INT, re.compile("^-?(?:0|[1-9][0-9]{0,17})$"), "-0123456789")
_Loader.add_implicit_resolver(
    _FLOAT,
    re.compile(r"^-?(?:0|[1-9][0-9]{0,17})(?:\.[0-9]+)?(?:[eE][-+]?[0-9]{1,2})?$"),
    "-0123456789",
)


@dataclass(frozen=True, slots=True, order=True)
class Problem:
    """A problem in a file, with the expected content."""

    path: str
    line: int
    message: str

    def __str__(self) -> str:
        return f"{self.path}:{self.line}: {self.message}"


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
        """Note a problem."""
        self.problems.append(Problem(str(self.path), line, message))


def read(path: Path, wanted: str = "a definition with name and when") -> Document:
    """Return the file's content; `problems` holds everything that is wrong with it as YAML.

    `wanted` describes the expected content. JSON is read too.
    """
    document = Document(path)
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        document.report(1, f"cannot be read: {error.strerror}")
        return document
    except UnicodeDecodeError as error:
        line = error.object.count(b"\n", 0, error.start) + 1
        document.report(line, "this is not UTF-8, expected text in UTF-8")
        return document
    if path.suffix == ".json":
        text = text.replace("\t", " ")  # white space in JSON, but not in YAML
    try:
        if _refused(text, document):
            return document
        loader = _Loader(text)
        root = loader.get_single_node()
    except ReaderError as error:
        line = text.count("\n", 0, error.position) + 1
        document.report(line, "holds a control character, expected text")
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        document.report(mark.line + 1 if mark else 1, f"not valid YAML: {error.problem}")
    else:
        if root is None:
            document.report(1, f"the file is empty, expected {wanted}")
        else:
            document.data = _value(root, (), loader, document)
            if document.data is None and not document.problems:
                document.report(1, f"the file holds nothing, expected {wanted}")
    return document


def _refused(text: str, document: Document) -> bool:
    """Return True if reading the text could take for ever: an alias may contain itself."""
    depth = 0
    for event in yaml.parse(text, _Loader):
        line = event.start_mark.line + 1 if event.start_mark else 1
        if isinstance(event, yaml.AliasEvent):
            document.report(line, "an alias (*) is not supported, expected it written out")
            return True
        depth += isinstance(event, yaml.CollectionStartEvent)
        depth -= isinstance(event, yaml.CollectionEndEvent)
        if depth > _DEEPEST:
            document.report(line, f"nested too deeply, expected at most {_DEEPEST} levels")
            return True
    return False


def _value(node: yaml.Node, location: Location, loader: _Loader, document: Document) -> Any:
    line = node.start_mark.line + 1
    document.lines.setdefault(location, line)
    if isinstance(node, yaml.MappingNode):
        return _mapping(node, location, loader, document)
    if isinstance(node, yaml.SequenceNode):
        return [_value(item, (*location, i), loader, document) for i, item in enumerate(node.value)]
    if node.tag not in (_BOOL, _INT, _FLOAT, _NULL, _TEXT):
        document.report(line, f"the tag {node.tag} is not supported, expected a plain value")
        return None
    try:
        return loader.construct_object(node)
    except (ValueError, KeyError):  # an explicit tag that its text does not fit: !!int abc
        document.report(line, f"the value does not fit its tag {node.tag}")
        return None


def _mapping(
    node: yaml.MappingNode, location: Location, loader: _Loader, document: Document
) -> dict[str, Any]:
    result: dict[str, Any] = {}
    for key_node, value_node in node.value:
        line = key_node.start_mark.line + 1
        if not isinstance(key_node, yaml.ScalarNode):
            document.report(line, "a list or mapping cannot be a key, expected a word")
            continue
        key: str = key_node.value
        if key in result:
            first = document.lines[(*location, key)]
            document.report(line, f"{key} stands here a second time, the first is in line {first}")
            continue
        document.lines[(*location, key)] = line
        result[key] = _value(value_node, (*location, key), loader, document)
    return result
