"""The reader of the YAML files that people write: plain values, the line of each, all problems.

Settings (`touchline.yaml` and the mappings that it names) are YAML 1.1, and their texts may refer
to the environment as `${NAME}`.

Definitions (segments, schemas of events) are read strictly. Plain words stay text: only `true` and
`false` are truth values, only decimal numbers are numbers. YAML's other guesses (`no` is false,
`2026-01-01` a date, `12:30` is 750, `0600001` octal) would silently change what a condition
compares with.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, ClassVar

import yaml
from yaml.reader import ReaderError

from schemas.document import Document, Location

_REFERENCE = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*)\}")
_DEEPEST = 40
_BOOL = "tag:yaml.org,2002:bool"
_INT = "tag:yaml.org,2002:int"
_FLOAT = "tag:yaml.org,2002:float"
_NULL = "tag:yaml.org,2002:null"
_TEXT = "tag:yaml.org,2002:str"


class _StrictLoader(yaml.SafeLoader):
    """A YAML loader for the plain scalars of definitions, as described above."""

    yaml_implicit_resolvers: dict[str, list[tuple[str, re.Pattern[str]]]] = {}  # noqa: RUF012 - filled below through PyYAML's interface


for _tag, _pattern, _first in (
    (_BOOL, "^(?:true|True|TRUE|false|False|FALSE)$", [*"tTfF"]),
    (_NULL, "^(?:~|null|Null|NULL|)$", ["~", "n", "N", ""]),
    (_INT, "^-?(?:0|[1-9][0-9]{0,17})$", [*"-0123456789"]),
    (
        _FLOAT,
        r"^-?(?:0|[1-9][0-9]{0,17})(?:\.[0-9]+)?(?:[eE][-+]?[0-9]{1,2})?$",
        [*"-0123456789"],
    ),
):
    _StrictLoader.add_implicit_resolver(_tag, re.compile(_pattern), _first)


def read_settings(path: Path, environment: Mapping[str, str]) -> Document:
    """Return the content of a file of settings, with `${NAME}` in texts replaced.

    `problems` holds everything that is wrong with it as YAML, and each variable that is not set. An
    empty file holds no setting.
    """
    document = Document(path, {})
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        document.report(0, f"cannot be read: {error.strerror}")
    except UnicodeDecodeError:
        document.report(0, "expected text in UTF-8")
    else:
        _Settings(document, environment).read(text)
        if not isinstance(document.data, dict):
            document.report(1, "expected settings by name")
    return document


def read_definition(path: Path, wanted: str = "a definition with name and when") -> Document:
    """Return the content of a definition, YAML or JSON. `wanted` describes what is expected of it.

    `problems` holds everything that is wrong with it as YAML.
    """
    document = Document(path)
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        document.report(1, f"cannot be read: {error.strerror}")
    except UnicodeDecodeError as error:
        line = error.object.count(b"\n", 0, error.start) + 1
        document.report(line, "this is not UTF-8, expected text in UTF-8")
    else:
        if path.suffix == ".json":
            text = text.replace("\t", " ")  # white space in JSON, but not in YAML
        found = _Definition(document).read(text)
        if document.data is None and not document.problems:
            holds = "holds nothing" if found else "is empty"
            document.report(1, f"the file {holds}, expected {wanted}")
    return document


def definition_files(folder: Path, suffixes: tuple[str, ...]) -> Iterator[Path]:
    """Yield the files of a folder with definitions, sorted; hidden ones are left out."""
    for path in sorted(folder.iterdir()):
        if path.suffix in suffixes and not path.name.startswith(".") and path.is_file():
            yield path


class _Reader:
    """One pass over the nodes of a document: values, lines and problems."""

    loader: ClassVar[type[yaml.SafeLoader]]
    #: Said of a key that stands twice.
    repeated: ClassVar[str]

    def __init__(self, document: Document) -> None:
        self._document = document

    def read(self, text: str) -> bool:
        """Read a text into the document; return False if there is nothing but comments in it."""
        try:
            if self.refused(text):
                return True
            loader = self.loader(text)
            root = loader.get_single_node()
            if root is not None:
                self._document.data = self._value(root, (), loader)
        except ReaderError as error:
            line = text.count("\n", 0, error.position) + 1
            self._document.report(line, "holds a control character, expected text")
        except yaml.MarkedYAMLError as error:
            mark = error.problem_mark or error.context_mark
            self._document.report(mark.line + 1 if mark else 1, f"not valid YAML: {error.problem}")
        else:
            return root is not None
        return True

    def refused(self, _text: str) -> bool:
        """Return True, with a problem, for a text that must not be read at all."""
        return False

    def key(self, node: yaml.Node, loader: yaml.SafeLoader) -> str:
        """Return a key as text."""
        raise NotImplementedError

    def scalar(self, node: yaml.Node, loader: yaml.SafeLoader) -> Any:
        """Return a plain value."""
        try:
            return loader.construct_object(node)
        except (ValueError, KeyError):  # a tag that its text does not fit: !!int abc, 2026-13-45
            self._document.report(_line(node), f"the value does not fit its tag {node.tag}")
            return None

    def _value(self, node: yaml.Node, location: Location, loader: yaml.SafeLoader) -> Any:
        self._document.lines.setdefault(location, _line(node))
        if isinstance(node, yaml.MappingNode):
            return self._mapping(node, location, loader)
        if isinstance(node, yaml.SequenceNode):
            return [self._value(item, (*location, i), loader) for i, item in enumerate(node.value)]
        return self.scalar(node, loader)

    def _mapping(
        self, node: yaml.MappingNode, location: Location, loader: yaml.SafeLoader
    ) -> dict[str, Any]:
        document = self._document
        result: dict[str, Any] = {}
        for key_node, value_node in node.value:
            line = _line(key_node)
            if not isinstance(key_node, yaml.ScalarNode):
                document.report(line, "a list or mapping cannot be a key, expected a word")
                continue
            key = self.key(key_node, loader)
            if key in result:
                first = document.lines[(*location, key)]
                document.report(line, self.repeated.format(key=key, first=first))
                continue
            document.lines[(*location, key)] = line
            result[key] = self._value(value_node, (*location, key), loader)
        return result


class _Settings(_Reader):
    """The reader of settings."""

    loader = yaml.SafeLoader
    repeated = "{key}: stands here a second time"

    def __init__(self, document: Document, environment: Mapping[str, str]) -> None:
        super().__init__(document)
        self._environment = environment

    def key(self, node: yaml.Node, loader: yaml.SafeLoader) -> str:
        return str(loader.construct_object(node))

    def scalar(self, node: yaml.Node, loader: yaml.SafeLoader) -> Any:
        value = super().scalar(node, loader)
        return self._expand(value, node) if isinstance(value, str) else value

    def _expand(self, text: str, node: yaml.Node) -> str:
        def replace(match: re.Match[str]) -> str:
            if match[1] not in self._environment:
                message = f"expected the environment variable {match[1]} to be set"
                self._document.report(_line(node), message)
            return self._environment.get(match[1], "")

        return _REFERENCE.sub(replace, text)


class _Definition(_Reader):
    """The reader of definitions."""

    loader = _StrictLoader
    repeated = "{key} stands here a second time, the first is in line {first}"

    def refused(self, text: str) -> bool:
        """Refuse what could take for ever: an alias may contain itself."""
        depth = 0
        for event in yaml.parse(text, _StrictLoader):
            line = event.start_mark.line + 1 if event.start_mark else 1
            if isinstance(event, yaml.AliasEvent):
                self._document.report(
                    line, "an alias (*) is not supported, expected it written out"
                )
                return True
            depth += isinstance(event, yaml.CollectionStartEvent)
            depth -= isinstance(event, yaml.CollectionEndEvent)
            if depth > _DEEPEST:
                message = f"nested too deeply, expected at most {_DEEPEST} levels"
                self._document.report(line, message)
                return True
        return False

    def key(self, node: yaml.Node, loader: yaml.SafeLoader) -> str:
        key: str = node.value
        return key

    def scalar(self, node: yaml.Node, loader: yaml.SafeLoader) -> Any:
        if node.tag in (_BOOL, _INT, _FLOAT, _NULL, _TEXT):
            return super().scalar(node, loader)
        message = f"the tag {node.tag} is not supported, expected a plain value"
        self._document.report(_line(node), message)
        return None


def _line(node: yaml.Node) -> int:
    line: int = node.start_mark.line
    return line + 1
