"""`touchline worker`: one stage, or a process for each stage."""

from __future__ import annotations

import click

from deploy.cli.configuration import load_configuration
from deploy.cli.options import next_option
from deploy.kafka import control
from deploy.kafka.topology import STAGE_NAMES
from deploy.runtime.factories.stages import segments_of
from deploy.runtime.worker import run_one, run_worker


@click.command()
@click.option("--stage", type=click.Choice(STAGE_NAMES), help="Only this stage, in this process.")
@next_option
@click.pass_context
def command(context: click.Context, stage: str | None, following: bool) -> None:
    """Run the stream processing stages until SIGTERM or SIGINT.

    Stage number n of trails, graph and profiles, counted from 0, serves its metrics on the
    configured port plus n. When a rebuild has made another epoch present, each stage restarts on
    that epoch.
    """
    loaded = load_configuration(context, stage or "worker")
    if stage:
        run_one(stage, loaded.settings, control.NEXT if following else control.PRESENT)
        return
    # Read here too, so that a wrong definition ends the worker before it starts any process.
    segments_of(loaded.settings)
    run_worker(loaded.file.path, ("--next",) if following else ())
