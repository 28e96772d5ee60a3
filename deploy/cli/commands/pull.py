"""`touchline pull`."""

from __future__ import annotations

from pathlib import Path

import click

from deploy.cli.configuration import load_configuration
from deploy.cli.options import data_option
from deploy.runtime import pull


@click.command()
@click.option("--source", "names", multiple=True, metavar="NAME", help="Only this source.")
@click.option("--once", is_flag=True, help="Read each source to its end, then end.")
@data_option()
@click.pass_context
def command(context: click.Context, names: tuple[str, ...], once: bool, data: Path) -> int:
    """Pull the sources that are polled rather than pushed, until SIGTERM or SIGINT.

    With --once the exit status is 1 if one of them could not be read to its end.
    """
    loaded = load_configuration(context, "pull", data)
    return 0 if pull.run(loaded, names, data, once=once) else 1
