"""Documents as checks see them: pages in Markdown and docstrings, with the names in their code.

A page has links, anchors, and code: spans in backticks and blocks. A docstring is read as a page
without blocks. Each piece of code knows its file and line.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parents[2]
PACKAGES = ("schemas", "ingest", "processors", "sinks", "deploy", "tests", "benchmarks")
#: Blocks of these languages hold commands; a block without one is text or commands.
SHELLS = ("", "sh", "console")
_FENCE = re.compile(r"^( *)```(\w*)\n(.*?)^\1```[ ]*$", re.MULTILINE | re.DOTALL)
_INDENTED = re.compile(r"(?<=\n\n)((?:    \S.*\n)+)")
_SPAN = re.compile(r"(?<!`)(`+)(?!`)(.+?)(?<!`)\1(?!`)", re.DOTALL)
_LINK = re.compile(r"\[[^\]]*\]\(([^()\s]+)\)")
_HEADING = re.compile(r"^#{1,6} +(.+?) *#*$", re.MULTILINE)


class Found(NamedTuple):
    """A piece of text and its place, for messages."""

    file: str
    line: int
    text: str

    def __str__(self) -> str:
        return f"{self.file}:{self.line}: {self.text}"


@dataclass(frozen=True)
class Document:
    """A text with its place: a page, or a docstring that begins at a line of a module."""

    path: Path
    text: str
    line: int = 1
    markdown: bool = True
    #: The text with its blocks blanked out, so that positions stay.
    prose: str = field(init=False)

    def __post_init__(self) -> None:
        prose = self.text
        if self.markdown:
            for pattern in (_FENCE, _INDENTED):
                prose = pattern.sub(_blank, prose)
        object.__setattr__(self, "prose", prose)

    def links(self) -> Iterator[Found]:
        """The targets of the links to files and anchors, without those to the web."""
        for match in _LINK.finditer(_SPAN.sub(lambda span: " " * len(span[0]), self.prose)):
            if not re.match(r"[a-z]+:", match[1]):
                yield self._found(match.start(1), match[1])

    def anchors(self) -> set[str]:
        """The anchors of the headings, as GitHub makes them."""
        found: set[str] = set()
        for heading in _HEADING.findall(self.prose):
            slug = re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")
            again = sum(1 for one in found if one == slug or re.fullmatch(f"{slug}-\\d+", one))
            found.add(f"{slug}-{again}" if again else slug)
        return found

    def spans(self) -> Iterator[Found]:
        """Return what stands in backticks."""
        for match in _SPAN.finditer(self.prose):
            yield self._found(match.start(2), " ".join(match[2].split()))

    def commands(self) -> Iterator[Found]:
        """The lines of the blocks that may hold commands, continued ones as one."""
        if not self.markdown:
            return
        blocks = [(m.start(3), m[3]) for m in _FENCE.finditer(self.text) if m[2] in SHELLS]
        blocks += [(m.start(1), m[1]) for m in _INDENTED.finditer(_FENCE.sub(_blank, self.text))]
        for start, block in blocks:
            for match in re.finditer(r"(?:[^\n]*\\\n)*[^\n]+", block):
                yield self._found(start + match.start(), match[0].replace("\\\n", " "))

    def words(self, pattern: re.Pattern[str]) -> Iterator[Found]:
        """Return what matches anywhere in the prose, in backticks or not."""
        for match in pattern.finditer(self.prose):
            yield self._found(match.start(), match[0])

    def _found(self, position: int, found: str) -> Found:
        file = self.path.relative_to(ROOT).as_posix()
        return Found(file, self.line + self.text.count("\n", 0, position), found)


def pages() -> list[Document]:
    """README, changelog, everything in docs/ and the pages that stand beside what they describe."""
    paths = [ROOT / "README.md", ROOT / "CHANGELOG.md", *sorted((ROOT / "docs").rglob("*.md"))]
    paths += sorted(path for one in PACKAGES for path in (ROOT / one).rglob("*.md"))
    return [Document(path, path.read_text(encoding="utf-8")) for path in paths]


def docstrings() -> list[Document]:
    """The docstrings of all packages."""
    return [
        document
        for package in PACKAGES
        for path in sorted((ROOT / package).rglob("*.py"))
        for document in _docstrings(path)
    ]


def _docstrings(path: Path) -> Iterator[Document]:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if not isinstance(
            node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef
        ) or not (node.body and ast.get_docstring(node, clean=False)):
            continue
        text = ast.get_docstring(node, clean=False)
        assert text is not None
        yield Document(path, text, node.body[0].lineno, markdown=False)


def _blank(match: re.Match[str]) -> str:
    return re.sub(r"[^\n]", " ", match[0])
