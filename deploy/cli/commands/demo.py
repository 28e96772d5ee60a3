"""`touchline demo`."""

from __future__ import annotations

from pathlib import Path

import click

from deploy.demo.run import run


@click.command()
@click.option("--keep", is_flag=True, help="Leave everything running at the end.")
@click.option(
    "--data",
    type=click.Path(path_type=Path, file_okay=False),
    help="Folder to work in [default: a new temporary one].",
)
def command(keep: bool, data: Path | None) -> int:
    """Run the whole pipeline on sample data and print a report."""
    return run(keep=keep, data=data)
