"""The commands of `touchline`, a module each, loaded only when it is called.

Each module has `command`, a click command. What they share is here.
"""

from __future__ import annotations

import asyncio
import json
import signal
import sys
import time
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
    """What stands in front of the command's name."""

    config: Path | None = None


def configuration(context: click.Context, process: str) -> Configuration:
    """The configuration, and logs set up for this process. Raises `ConfigurationError`."""
    options = context.find_object(Options) or Options()
    loaded = load(options.config)
    logs.configure(loaded.settings.logs, process)
    return loaded


def running(context: click.Context, process: str, data: Path) -> Settings:
    """The settings, with the addresses of the `up` on a folder where they name none."""
    return running_configuration(context, process, data).settings


def running_configuration(context: click.Context, process: str, data: Path) -> Configuration:
    """The same, with the file that they came from."""
    loaded = configuration(context, process)
    settings = at_running_stack(loaded.settings, data)
    return loaded.model_copy(update={"settings": settings})


def identifier_of(settings: Settings, text: str) -> Identifier:
    """KIND:VALUE in normal form. Raises click.BadParameter."""
    kind, colon, value = text.partition(":")
    if not colon:
        raise click.BadParameter("expected KIND:VALUE, for instance email:ada@example.com")
    found = settings.identity.policy().normalize(kind, value, settings.identity.default_region)
    if found is None:
        raise click.BadParameter(f"this is no value that an identifier of kind {kind!r} can have")
    return found


def option_pairs(given: Iterable[str], between: str = "=") -> dict[str, str]:
    """NAME=VALUE options by name. Raises click.BadParameter."""
    pairs = {}
    for text in given:
        name, found, value = text.partition(between)
        if not found:
            raise click.BadParameter(f"expected NAME{between}VALUE")
        pairs[name.strip()] = value.strip()
    return pairs


def nobody_known(identifier: Identifier | None) -> int:
    """Say that an identifier or id was never seen, without its value; the exit status."""
    warn(f"touchline: nobody is known by this {identifier.kind if identifier else 'id'}")
    return 1


def stop_signal() -> asyncio.Event:
    """Set by SIGTERM and SIGINT. Call it in the running loop."""
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    return stop


class Time(click.ParamType):
    """A time on the command line, as milliseconds since 1970; without a zone it is UTC."""

    name = "time"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        """See click. A day is its begin."""
        try:
            return parse_ms(value)
        except ValueError:
            self.fail("expected a time like 2026-11-20 or 2026-11-20T09:00:00Z", param, ctx)


def say_lines(lines: Iterable[str]) -> None:
    """An answer for people, on stdout."""
    for line in lines:
        click.echo(line)


def say_json(value: Any) -> None:
    """An answer for programs: one JSON document on stdout."""
    click.echo(json.dumps(value, ensure_ascii=False, default=str, indent=2))


def warn(message: str) -> None:
    """A line for people, on stderr."""
    click.echo(message, file=sys.stderr)


def now_ms() -> int:
    """The time, milliseconds since 1970."""
    return time.time_ns() // 1_000_000


data_option = click.option(
    "--data",
    type=click.Path(path_type=Path, file_okay=False),
    default=Path(".touchline"),
    show_default=True,
    help="Folder of a running `touchline up`, where the configuration names no servers.",
)
json_option = click.option("--json", "as_json", is_flag=True, help="Answer as JSON.")

#: A rebuild runs the processes of the epoch that it builds with it.
next_option = click.option("--next", "following", is_flag=True, hidden=True)
