"""Creation of a new connector as a separate package, copied from `template/`."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path

from ingest.registry import ConnectorError
from schemas.identifiers import BUILT_IN_KINDS

TEMPLATE = Path(__file__).parent / "template"
#: A longer name would require other line breaks in the template.
MAX_NAME_LENGTH = 24
_NAME = re.compile(r"[a-z][a-z0-9]*(_[a-z0-9]+)*", re.ASCII)
_TEXT = frozenset({".py", ".toml", ".json", ".md", ".typed"})


def create_package(name: str, folder: Path, taken: Iterable[str]) -> list[Path]:
    """Write the package of a connector into a new folder and return its files.

    Raises ConnectorError if the name is invalid or already belongs to a connector or a kind of
    identifier, or if the folder exists.
    """
    if not _NAME.fullmatch(name) or len(name) > MAX_NAME_LENGTH:
        raise ConnectorError(
            f"{name!r} is no name for a connector: lower-case words with _ between them, for "
            f"instance acme_chat, at most {MAX_NAME_LENGTH} characters"
        )
    if name in taken:
        raise ConnectorError(f"there is a connector {name!r} already")
    if name in {kind.name for kind in BUILT_IN_KINDS}:
        raise ConnectorError(f"{name!r} is the name of a kind of identifier")
    words = name.split("_")
    replacements = {
        "acme_chat": name,
        "ACME_CHAT": name.upper(),
        "acme-chat": "-".join(words),
        "AcmeChat": "".join(word.capitalize() for word in words),
        "Acme Chat": " ".join(word.capitalize() for word in words),
    }
    try:
        folder.mkdir(parents=True)
    except FileExistsError:
        raise ConnectorError(f"{folder} exists already") from None
    return [_write(source, folder, replacements) for source in _files()]


def _files() -> list[Path]:
    return sorted(path for path in TEMPLATE.rglob("*") if path.suffix in _TEXT and path.is_file())


def _write(source: Path, folder: Path, replacements: dict[str, str]) -> Path:
    target = folder / _renamed(str(source.relative_to(TEMPLATE)), replacements)
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text(_renamed(source.read_text(encoding="utf-8"), replacements), encoding="utf-8")
    return target


def _renamed(text: str, replacements: dict[str, str]) -> str:
    return re.sub(
        "|".join(map(re.escape, replacements)), lambda found: replacements[found[0]], text
    )
