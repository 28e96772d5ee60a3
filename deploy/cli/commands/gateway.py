"""`touchline gateway`."""

from __future__ import annotations

import click

from deploy.cli.configuration import load_configuration
from deploy.runtime import gateway


@click.command()
@click.pass_context
def command(context: click.Context) -> None:
    """Run the HTTP gateway until SIGTERM or SIGINT."""
    gateway.run(load_configuration(context, "gateway"))
