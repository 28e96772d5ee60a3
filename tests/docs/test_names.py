"""What pages and docstrings name is there: links, files, modules, commands and their options."""

from __future__ import annotations

import ast
import importlib
import importlib.util
import inspect
import re
import shlex
from collections.abc import Callable, Iterable
from functools import cache
from pathlib import Path

import click
import pytest

from deploy.cli.main import cli
from schemas import topics
from tests.support.documents import PACKAGES, ROOT, Document, Found, docstrings, pages

_FOLDERS = "|".join((*PACKAGES, "docs"))
#: A file or folder of ours; `…`, `*`, NAME and <name> stand for anything.
_PATH = re.compile(rf"(?<![\w./:-])(?:{_FOLDERS})/[\w./*…<>-]*")
_DOTTED = re.compile(rf"(?:{'|'.join(PACKAGES)})(?:\.\w+)+")
_MEMBER = re.compile(r"([A-Z]\w+)\.([a-z_]\w*)")
#: A line of the table of modules in a package's docstring.
_ROW = re.compile(r"^(?:\w+, )*\w+  +(?=\S)", re.MULTILINE)
_MODULE = re.compile(r"python3? -m ([\w.]+)")
_TOUCHLINE = re.compile(r"(?:^|[\s/(])touchline (?=[a-z-])(.*)")
_MAKE = re.compile(r"(?:^\s*|&& |\$ )make ([a-z][\w-]*)(?=\s|$)")
#: What ends a command within a line.
_END = re.compile(r"\s(?:\||&&|>|#|;)\s?|…|\Z")
_WORD = re.compile(r"[a-z][a-z-]*")
PAGES = pages()
DOCSTRINGS = docstrings()


def code(documents: Iterable[Document]) -> list[Found]:
    """All that stands in backticks, and the commands of blocks."""
    return [found for one in documents for found in (*one.spans(), *one.commands())]


def test_links_lead_to_files_and_headings():
    assert not [str(link) for page in PAGES for link in page.links() if not _leads(page, link)]


def test_files_are_there():
    named = [path for one in (*PAGES, *DOCSTRINGS) for path in one.words(_PATH)]
    assert not [str(path) for path in named if not is_there(path.text)]


def test_modules_and_what_is_in_them_are_there():
    named = [span for span in code((*PAGES, *DOCSTRINGS)) if not resolves(span.text)]
    assert not [str(span) for span in named]


def test_members_of_our_classes_are_there():
    named = [span for one in (*PAGES, *DOCSTRINGS) for span in one.spans()]
    assert not [str(span) for span in named if not has_member(span.text)]


def test_packages_name_modules_that_are_there():
    packages = [one for one in DOCSTRINGS if one.path.name == "__init__.py" and one.line == 1]
    assert not [str(name) for one in packages for name in absent_modules(one)]


def test_commands_and_their_options_are_there():
    wrong = [
        f"{one}: {problem}"
        for one in code((*PAGES, *DOCSTRINGS))
        if (problem := problem_of(one.text))
    ]
    assert not wrong


def _leads(page: Document, link: Found) -> bool:
    address, _, anchor = link.text.partition("#")
    path = page.path.parent / address if address else page.path
    if address and not path.exists():
        return False
    return not anchor or anchor in _anchors(path, page)


def _anchors(path: Path, page: Document) -> set[str]:
    if path == page.path:
        return page.anchors()
    return Document(path, path.read_text(encoding="utf-8")).anchors()


def is_there(text: str) -> bool:
    """Whether a file or folder is there, a module with `.py` or without."""
    name = re.sub(r"<[^>]*>|…+|\b[A-Z_]{3,}\b(?!\.md)", "*", text).rstrip(".*:-<").rstrip("/")
    return any(True for end in ("", ".py") for _ in ROOT.glob(name + end))


def resolves(text: str) -> bool:
    """Whether the modules that code names are there, and what it names in them."""
    modules = _MODULE.findall(text)
    ours = [name for name in modules if name.split(".")[0] in PACKAGES]
    if _DOTTED.match(text):
        ours.append(re.split(r"[^\w.]", text)[0].rstrip("."))
    return all(_found(name) for name in ours)


@cache
def _found(name: str) -> bool:
    parts = name.split(".")
    for count in range(len(parts), 0, -1):
        try:
            known = importlib.util.find_spec(".".join(parts[:count]))
        except ModuleNotFoundError:
            continue
        if known is not None:
            break
    else:
        return False
    if count == len(parts):
        return True
    value: object = importlib.import_module(".".join(parts[:count]))
    for attribute in parts[count:]:
        if inspect.isclass(value) and attribute in inspect.get_annotations(value):
            return True
        if not hasattr(value, attribute):
            return False
        value = getattr(value, attribute)
    return True


def has_member(text: str) -> bool:
    """Whether a class of ours has the member that is named; True for others' classes."""
    named = _MEMBER.match(text)
    return not named or named[1] not in _members() or named[2] in _members()[named[1]]


def absent_modules(package: Document) -> list[Found]:
    """Names in the docstring of a package that no module of it has, nor of the packages in it."""
    folder = package.path.parent
    known = {"touchline", folder.name, *(topic.name for topic in topics.PUBLIC)}
    for path in (*folder.iterdir(), *folder.glob("*/*")):
        known.add(path.stem)
        if path.suffix == ".py":
            body = ast.parse(path.read_text(encoding="utf-8")).body
            known.update(name for node in body for name in _defined(node))
    named = [span for span in package.spans() if re.fullmatch(r"[a-z_]+", span.text)]
    named += [
        row._replace(text=name)
        for row in package.words(_ROW)
        for name in row.text.strip().split(", ")
    ]
    return [one for one in named if one.text not in known]


def _defined(node: ast.stmt) -> Iterable[str]:
    if isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
        yield node.name
    for one in ast.walk(node):
        if isinstance(one, ast.Name) and isinstance(one.ctx, ast.Store):
            yield one.id


@cache
def _members() -> dict[str, set[str]]:
    """Class -> its members and those of its bases, of all classes of that name."""
    members: dict[str, set[str]] = {}
    bases: dict[str, set[str]] = {}
    for package in PACKAGES:
        for path in (ROOT / package).rglob("*.py"):
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
                if isinstance(node, ast.ClassDef):
                    members.setdefault(node.name, set()).update(_own(node))
                    bases.setdefault(node.name, set()).update(map(ast.unparse, node.bases))
    for name in members:
        waiting, seen = [*bases[name]], {name}
        while waiting:
            base = waiting.pop()
            if base not in seen:
                seen.add(base)
                members[name] |= members.get(base, set())
                waiting += bases.get(base, set())
    return members


def _own(node: ast.ClassDef) -> Iterable[str]:
    for one in ast.walk(node):
        if isinstance(one, ast.FunctionDef | ast.AsyncFunctionDef):
            yield one.name
        elif isinstance(one, ast.Name) and isinstance(one.ctx, ast.Store):
            yield one.id
        elif isinstance(one, ast.Attribute) and isinstance(one.ctx, ast.Store):
            yield one.attr


def runs(text: str) -> bool:
    """Whether the command in a piece of code, if there is one, is there with its options."""
    return not problem_of(text)


def problem_of(text: str) -> str:
    """What is wrong with the command in a piece of code; '' if nothing is, or there is none."""
    target = _MAKE.search(text)
    if target and target[1] not in _targets():
        return f"no target {target[1]} in the Makefile"
    called = _TOUCHLINE.search(text)
    if called:
        return _problem(called[1], complete=True)
    first = text.partition(" ")[0]
    if " " in text and isinstance(_command(cli, first), click.Group):
        return _problem(text, complete=False)
    return ""


def _problem(text: str, *, complete: bool) -> str:
    command: click.Command = cli
    options = _options(cli)
    words = _words(text)
    for number, word in enumerate(words):
        if word.startswith("--"):
            name = word.partition("=")[0].rstrip(".,;:)]")
            if name not in options | {"--help", "--version"}:
                return f"no option {name}"
            continue
        before = words[number - 1] if number else ""
        if isinstance(command, click.Group) and not before.startswith("--"):
            if not _WORD.fullmatch(word):
                return ""
            inner = _command(command, word)
            if inner is None:
                return f"no command {word}" if complete or number > 1 or command is not cli else ""
            command, options = inner, options | _options(inner)
    return ""


def _words(text: str) -> list[str]:
    text = text[: _END.search(text).start()]  # type: ignore[union-attr]
    try:
        return shlex.split(text)
    except ValueError:
        return text.split()


def _command(group: click.Group, name: str) -> click.Command | None:
    return group.get_command(click.Context(group), name)


def _options(command: click.Command) -> set[str]:
    return {name for one in command.params for name in (*one.opts, *one.secondary_opts)}


@cache
def _targets() -> frozenset[str]:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    return frozenset(re.findall(r"^([a-z][\w-]*):", makefile, re.MULTILINE))


@pytest.mark.parametrize(
    ("holds", "right", "wrong"),
    [
        (is_there, "deploy/cli/", "deploy/absent/"),
        (is_there, "ingest/connector", "ingest/absent"),
        (is_there, "ingest/connectors/<provider>/contract.py", "docs/*.txt"),
        (resolves, "schemas.topics.partition_of(key)", "schemas.topics.absent"),
        (resolves, "deploy.cli.main", "deploy.cli.absent"),
        (resolves, "python -m tests.faults --seed 1", "python -m tests.absent"),
        (has_member, "Decision.rows", "Decision.absent"),
        (runs, "touchline up --data DIR", "touchline down"),
        (runs, "touchline setup --dry-run", "touchline setup --wet"),
        (runs, "touchline identity split", "touchline identity join"),
        (runs, "profile show email:a@b.jp", "profile hide"),
        (runs, "make demo", "make tea"),
    ],
)
def test_what_is_not_there_is_found(holds: Callable[[str], bool], right: str, wrong: str):
    assert holds(right)
    assert not holds(wrong)


def test_a_link_that_leads_nowhere_is_found():
    page = Document(
        ROOT / "docs" / "page.md",
        "# A `b`, c!\n[1](#a-b-c) [2](#a) [3](faults.md#the-faults) [4](faults.md#none) [5](no.md)"
        "\n`[6](no.md)`\n```sh\n[7](no.md)\n```\n[8](https://example.com) [9](../README.md)\n",
    )
    found = [link.text for link in page.links() if not _leads(page, link)]
    assert found == ["#a", "faults.md#none", "no.md"]


def test_a_module_that_is_not_there_is_found():
    text = "The engine.\n\nticks      one\nstore, absent   two\n\n`runner` and `gone`, `serve`."
    package = Document(ROOT / "processors" / "engine" / "__init__.py", text, markdown=False)
    assert [(one.line, one.text) for one in absent_modules(package)] == [(6, "gone"), (4, "absent")]


def test_code_is_found_with_its_line():
    page = Document(
        ROOT / "docs" / "page.md",
        "`a\nb`\n```console\n$ touchline up \\\n    --data x\nsaid\n```\n\n    make demo\n\n"
        "```yaml\nmake: tea\n```\n",
    )
    assert [(found.line, found.text) for found in code([page])] == [
        (1, "a b"),
        (4, "$ touchline up      --data x"),
        (6, "said"),
        (9, "    make demo"),
    ]
