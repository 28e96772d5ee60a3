"""`touchline demo`."""

from __future__ import annotations

import sys
from functools import partial
from pathlib import Path

import click

from deploy.cli.options import data_option
from deploy.cli.progress import bar
from deploy.local.extra import BROKER, ENGINE, REPORT, require_packages


@click.command()
@click.option("--keep", is_flag=True, help="Leave everything running at the end.")
@data_option(None, "Folder to work in [default: a new temporary one].")
def command(keep: bool, data: Path | None) -> int:
    """Run the whole pipeline on sample data and print a report."""
    require_packages(BROKER, ENGINE, REPORT)
    from deploy.demo.run import run  # noqa: PLC0415 - imports what may not be installed

    return run(partial(bar, sys.stdout), keep=keep, data=data)
