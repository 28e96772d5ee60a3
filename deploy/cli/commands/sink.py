"""`touchline sink`."""

from __future__ import annotations

import click

from deploy.cli.configuration import load_configuration
from deploy.cli.options import next_option
from deploy.kafka import control
from deploy.runtime import sink


@click.command()
@next_option
@click.pass_context
def command(context: click.Context, following: bool) -> None:
    """Run the writer to ClickHouse until SIGTERM or SIGINT, or until another epoch is present."""
    settings = load_configuration(context, "sink").settings
    sink.run(settings, control.NEXT if following else control.PRESENT)
