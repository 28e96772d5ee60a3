"""Answers of the commands: text for people or JSON for programs on stdout, remarks on stderr."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable
from typing import Any

import click


def print_lines(lines: Iterable[str]) -> None:
    """Print an answer for people on stdout."""
    for line in lines:
        click.echo(line)


def print_json(value: Any) -> None:
    """Print an answer for programs on stdout: one JSON document."""
    click.echo(json.dumps(value, ensure_ascii=False, default=str, indent=2))


def warn(message: str) -> None:
    """Print a line for people on stderr."""
    click.echo(message, file=sys.stderr)
