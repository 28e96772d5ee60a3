"""`touchline up`."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import click

from deploy.cli.configuration import load_configuration
from deploy.cli.options import data_option
from deploy.config.settings import Settings
from deploy.local.extra import BROKER, ENGINE, require_packages
from deploy.local.stack import Stack


@click.command()
@data_option(help="Folder for data, logs and stack.json.")
@click.pass_context
def command(context: click.Context, data: Path) -> None:
    """Run everything in the foreground until Ctrl-C or SIGTERM.

    Kafka and ClickHouse are embedded unless the configuration names them. The addresses are in
    DATA/stack.json once all processes are ready.
    """
    loaded = load_configuration(context, "up")
    require_packages(*_embedded(loaded.settings))
    with Stack(loaded, data, click.echo) as stack:
        _announce(stack)
        stack.run_until_signal()
        click.echo("stopping")


def _embedded(settings: Settings) -> Iterator[str]:
    """Yield the packages of the servers that the configuration does not name."""
    if not settings.names_kafka:
        yield BROKER
    if not settings.names_clickhouse:
        yield ENGINE


def _announce(stack: Stack) -> None:
    addresses = stack.addresses
    click.echo(f"gateway     {addresses.gateway}")
    click.echo(f"ClickHouse  {addresses.clickhouse}  (views in {stack.bi_database})")
    click.echo(f"Kafka       {addresses.kafka}")
    click.echo(f"logs        {stack.logs}")
    for name, source in stack.settings.sources.items():
        click.echo(f"source      {name} ({source.connector})")
    click.echo("ready; Ctrl-C stops")
