"""Options that several commands have.

`--config` and `--data` are taken in front of the command's name and behind it. Given in both
places, the one behind counts, as with any option that is given twice.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click
from click.core import ParameterSource

from schemas.times import parse_ms

_FOLDER = click.Path(path_type=Path, file_okay=False)


@dataclass(slots=True)
class SharedOptions:
    """Values of the options that are also taken in front of the command's name."""

    config: Path | None = None
    data: Path | None = None

    @staticmethod
    def of(context: click.Context) -> SharedOptions:
        """Return those of the running command line."""
        return context.ensure_object(SharedOptions)


def config_option() -> click.Option:
    """Return `--config`, which every command has."""
    return click.Option(
        ["--config"],
        type=click.Path(path_type=Path, dir_okay=False),
        help="Configuration file (otherwise TOUCHLINE_CONFIG, otherwise ./touchline.yaml if any).",
        callback=_keep_config,
        expose_value=False,
    )


def leading_data_option() -> click.Option:
    """Return `--data` for the place in front of the name of a command that has it."""
    return click.Option(
        ["--data"],
        type=_FOLDER,
        help="Folder of `touchline up`, for the commands that have this option.",
        callback=_keep_data,
        expose_value=False,
    )


def data_option(
    default: Path | None = Path(".touchline"),
    help: str = "Folder of a running `touchline up`, where the configuration names no servers.",
) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Return `--data` for a command, as a decorator; the command receives `data`."""
    return click.option(
        "--data",
        type=_FOLDER,
        default=default,
        show_default=default is not None,
        help=help,
        callback=_merge_data,
    )


def take_shared_options(command: click.Command) -> None:
    """Give a command, and those below it, the options that are taken in both places."""
    names = {parameter.name for parameter in command.params}
    if "config" not in names:
        command.params.append(config_option())
    if "data" not in names:
        group = isinstance(command, click.Group)
        command.params.append(leading_data_option() if group else _no_data_option())
    if isinstance(command, click.Group):
        for below in command.commands.values():
            take_shared_options(below)


def _keep_config(context: click.Context, _: click.Parameter, value: Path | None) -> None:
    if value is not None:
        SharedOptions.of(context).config = value


def _keep_data(context: click.Context, _: click.Parameter, value: Path | None) -> None:
    if value is not None:
        SharedOptions.of(context).data = value


def _merge_data(context: click.Context, _: click.Parameter, value: Path | None) -> Path | None:
    behind = context.get_parameter_source("data") is ParameterSource.COMMANDLINE
    leading = SharedOptions.of(context).data
    return value if behind or leading is None else leading


def _no_data_option() -> click.Option:
    """Return a hidden `--data` that refuses the folder, wherever it stands."""
    return click.Option(
        ["--data"], type=_FOLDER, callback=_refuse_data, expose_value=False, hidden=True
    )


def _refuse_data(context: click.Context, _: click.Parameter, value: Path | None) -> None:
    if value is not None or SharedOptions.of(context).data is not None:
        raise click.UsageError("this command has no option --data", context)


def parse_pairs(given: Iterable[str], between: str = "=") -> dict[str, str]:
    """Return NAME=VALUE options as a mapping. Raises click.BadParameter."""
    return dict(split_pairs(given, between))


def split_pairs(given: Iterable[str], between: str = "=") -> list[tuple[str, str]]:
    """Return NAME=VALUE options, each as often as it is given. Raises click.BadParameter."""
    pairs = []
    for text in given:
        name, found, value = text.partition(between)
        if not found:
            raise click.BadParameter(f"expected NAME{between}VALUE")
        pairs.append((name.strip(), value.strip()))
    return pairs


class Time(click.ParamType):
    """A time on the command line, as milliseconds since 1970; UTC if it names no zone."""

    name = "time"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        """Convert a value, see click. A day stands for its start."""
        try:
            return parse_ms(value)
        except ValueError:
            self.fail("expected a time like 2026-11-20 or 2026-11-20T09:00:00Z", param, ctx)


json_option = click.option("--json", "as_json", is_flag=True, help="Answer as JSON.")

#: Set by a rebuild when it starts the processes of the epoch that it builds.
next_option = click.option("--next", "following", is_flag=True, hidden=True)
