"""`touchline schema`."""

from __future__ import annotations

import click

from deploy.cli.output import print_json
from processors.segments import Definition
from schemas.touchpoint import Touchpoint


@click.group()
def command() -> None:
    """Print JSON Schemas."""


@command.command()
def touchpoint() -> None:
    """Print the schema of one touchpoint, as /v1/events accepts it."""
    print_json(Touchpoint.model_json_schema())


@command.command()
def segment() -> None:
    """Print the schema of a segment definition file."""
    print_json(Definition.model_json_schema())
