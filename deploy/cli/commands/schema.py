"""`touchline schema`."""

from __future__ import annotations

import click

from deploy.cli.options import say_json
from processors.segments import Definition
from schemas.touchpoint import Touchpoint


@click.group()
def command() -> None:
    """Print JSON Schemas."""


@command.command()
def touchpoint() -> None:
    """One touchpoint, as /v1/events takes it."""
    say_json(Touchpoint.model_json_schema())


@command.command()
def segment() -> None:
    """One file with a segment definition."""
    say_json(Definition.model_json_schema())
