"""`touchline segments`."""

from __future__ import annotations

import click

from deploy.cli.configuration import load_configuration
from deploy.cli.options import json_option
from deploy.cli.output import print_json
from deploy.runtime.factories.stages import segments_of


@click.group()
def command() -> None:
    """Show the segment definitions."""


@command.command("list")
@json_option
@click.pass_context
def list_segments(context: click.Context, as_json: bool) -> None:
    """List every defined segment."""
    segments = segments_of(load_configuration(context, "segments").settings)
    if as_json:
        print_json([segment.describe() for segment in segments])
        return
    if not segments:
        click.echo("no segment is defined; name a folder of YAML files under `segments:`")
    width = max((len(segment.name) for segment in segments), default=0)
    for segment in segments:
        click.echo(f"{segment.name:<{width}}  {segment.description}")
