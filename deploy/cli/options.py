"""The commands of `touchline`, one module each, loaded only when the command is called.

Each module has `command`, a click command. This module holds the functions that they share.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click

from deploy.config.settings import Configuration, Settings, load
from deploy.local.running import at_running_stack
from deploy.runtime import logs
from schemas.identifiers import Identifier
from schemas.times import parse_ms


@dataclass(frozen=True, slots=True)
class Options:
    """The global options, given before the command's name."""

    config: Path | None = None


def configuration(context: click.Context, process: str) -> Configuration:
    """Load the configuration and set up logs for this process. Raises `ConfigurationError`."""
    options = context.find_object(Options) or Options()
    loaded = load(options.config)
    logs.configure(loaded.settings.logs, process)
    return loaded


def running(context: click.Context, process: str, data: Path) -> Settings:
    """Return the settings, completed with the addresses of the `up` on a folder."""
    return running_configuration(context, process, data).settings


def running_configuration(context: click.Context, process: str, data: Path) -> Configuration:
    """Return the same as `running`, with the file that the settings came from."""
    loaded = configuration(context, process)
    settings = at_running_stack(loaded.settings, data)
    return loaded.model_copy(update={"settings": settings})


def identifier_of(settings: Settings, text: str) -> Identifier:
    """Return KIND:VALUE as an identifier in normal form. Raises click.BadParameter."""
    kind, colon, value = text.partition(":")
    if not colon:
        raise click.BadParameter("expected KIND:VALUE, for instance email:ada@example.com")
    found = settings.identity.policy().normalize(kind, value, settings.identity.default_region)
    if found is None:
        raise click.BadParameter(f"this is no value that an identifier of kind {kind!r} can have")
    return found


def option_pairs(given: Iterable[str], between: str = "=") -> dict[str, str]:
    """Return NAME=VALUE options as a mapping. Raises click.BadParameter."""
    pairs = {}
    for text in given:
        name, found, value = text.partition(between)
        if not found:
            raise click.BadParameter(f"expected NAME{between}VALUE")
        pairs[name.strip()] = value.strip()
    return pairs


def nobody_known(identifier: Identifier | None) -> int:
    """Report an unknown identifier or id on stderr, without its value; return the exit status."""
    warn(f"touchline: nobody is known by this {identifier.kind if identifier else 'id'}")
    return 1


class Time(click.ParamType):
    """A time on the command line, as milliseconds since 1970; UTC if it names no zone."""

    name = "time"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        """Convert a value, see click. A day stands for its start."""
        try:
            return parse_ms(value)
        except ValueError:
            self.fail("expected a time like 2026-11-20 or 2026-11-20T09:00:00Z", param, ctx)


def say_lines(lines: Iterable[str]) -> None:
    """Print an answer for people on stdout."""
    for line in lines:
        click.echo(line)


def say_json(value: Any) -> None:
    """Print an answer for programs on stdout: one JSON document."""
    click.echo(json.dumps(value, ensure_ascii=False, default=str, indent=2))


def warn(message: str) -> None:
    """Print a line for people on stderr."""
    click.echo(message, file=sys.stderr)


data_option = click.option(
    "--data",
    type=click.Path(path_type=Path, file_okay=False),
    default=Path(".touchline"),
    show_default=True,
    help="Folder of a running `touchline up`, where the configuration names no servers.",
)
json_option = click.option("--json", "as_json", is_flag=True, help="Answer as JSON.")

#: Set by a rebuild when it starts the processes of the epoch that it builds.
next_option = click.option("--next", "following", is_flag=True, hidden=True)
