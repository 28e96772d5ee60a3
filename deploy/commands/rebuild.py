"""`touchline rebuild`."""

from __future__ import annotations

import click

from deploy import rebuild
from deploy.commands import configuration
from deploy.setup import set_up


@click.command()
@click.pass_context
def command(context: click.Context) -> int:
    """Finish an epoch that is not shown yet: process all stored touchpoints into it.

    Stop the gateways before; worker and sink must run.
    """
    settings = configuration(context, "rebuild").settings
    epoch = set_up(settings).epoch
    if epoch is None or epoch.active:
        click.echo("nothing to rebuild: the views show the present epoch")
        return 0
    touches = rebuild.run(settings, epoch.number, click.echo)
    click.echo(f"epoch {epoch.number} is shown: {touches:,} touchpoints processed")
    return 0
