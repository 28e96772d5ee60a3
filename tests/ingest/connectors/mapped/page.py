"""docs/channels/mapped.md as a script: its files and its commands, in their order.

A block of code is the file whose name stands alone on the line before (`name`:); a block of
`console` holds commands behind `$`, each followed by what it prints.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import NamedTuple

PAGE = Path(__file__).parents[4] / "docs" / "channels" / "mapped.md"
_BLOCK = re.compile(r"(?:^`([\w.]+)`:\n\n)?^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


class File(NamedTuple):
    name: str
    text: str


class Command(NamedTuple):
    line: str
    output: str


def steps(text: str) -> list[File | Command]:
    found: list[File | Command] = []
    for name, language, content in _BLOCK.findall(text):
        if name:
            found.append(File(name, content))
        elif language == "console":
            for part in content.split("$ ")[1:]:
                line, _, output = part.partition("\n")
                found.append(Command(line, output))
    return found


def section(heading: str) -> list[File | Command]:
    """The steps below one heading."""
    (text,) = re.findall(rf"^## {heading}$(.*?)(?=^## |\Z)", PAGE.read_text(), re.M | re.S)
    return steps(text)


def last_files(heading: str) -> dict[str, str]:
    """The files as a section leaves them."""
    return {step.name: step.text for step in section(heading) if isinstance(step, File)}
