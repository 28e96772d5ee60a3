"""`touchline worker`: one stage, or a process for each of them."""

from __future__ import annotations

import click

from deploy import epoch, metrics
from deploy.commands import configuration, next_option
from deploy.generation import end_with, joined, warn_if_changed
from deploy.settings import Settings
from deploy.stages import STAGE_NAMES, make, segments_of
from deploy.wiring import engine_config
from deploy.worker import run_worker
from processors.engine import Hooks, run_stage
from processors.segments import Segment


@click.command()
@click.option("--stage", type=click.Choice(STAGE_NAMES), help="Only this stage, in this process.")
@next_option
@click.pass_context
def command(context: click.Context, stage: str | None, following: bool) -> None:
    """Run the stream processing stages until SIGTERM or SIGINT.

    Stage number n of trails, graph and profiles serves its metrics on the configured port plus n,
    from 0 on. When a rebuild has made another epoch present, each stage starts anew on that.
    """
    loaded = configuration(context, stage or "worker")
    # Read here too, so that a wrong definition ends the worker before it starts anything.
    segments = segments_of(loaded.settings)
    if stage:
        _run(stage, loaded.settings, segments, epoch.NEXT if following else epoch.PRESENT)
        return
    run_worker(loaded.file.path, ("--next",) if following else ())


def _run(name: str, settings: Settings, segments: tuple[Segment, ...], which: str) -> None:
    port = settings.metrics.port and settings.metrics.port + STAGE_NAMES.index(name)
    with metrics.Exposition(settings.metrics.host, port) as exposition:
        present = joined(settings, which)
        warn_if_changed(settings, present)
        end_with(settings, present)
        config = engine_config(settings, present, name)
        hooks = Hooks(metrics=metrics.EngineCounters(), on_ready=exposition.ready)
        run_stage(make(name, settings, present, segments), config, hooks)
