"""`touchline worker`: one stage, or a process for each of them."""

from __future__ import annotations

import click

from deploy import epoch, metrics
from deploy.commands import configuration
from deploy.kafka_clients import security
from deploy.settings import Settings
from deploy.stages import STAGE_NAMES, make, segments_of
from deploy.worker import run_worker
from processors.engine import EngineConfig, Hooks, run_stage
from processors.segments import Segment


@click.command()
@click.option("--stage", type=click.Choice(STAGE_NAMES), help="Only this stage, in this process.")
@click.pass_context
def command(context: click.Context, stage: str | None) -> None:
    """Run the stream processing stages until SIGTERM or SIGINT.

    Stage number n of trails, graph and profiles serves its metrics on the configured port plus n,
    from 0 on.
    """
    loaded = configuration(context, stage or "worker")
    # Read here too, so that a wrong definition ends the worker before it starts anything.
    segments = segments_of(loaded.settings)
    if stage:
        _run(stage, loaded.settings, segments)
        return
    run_worker(loaded.file.path)


def _run(name: str, settings: Settings, segments: tuple[Segment, ...]) -> None:
    port = settings.metrics.port and settings.metrics.port + STAGE_NAMES.index(name)
    with metrics.Exposition(settings.metrics.host, port) as exposition:
        number = epoch.wait_for(settings.kafka, settings.namespace)
        config = EngineConfig(
            settings.kafka.bootstrap_servers,
            settings.state,
            settings.topic_partitions,
            settings.namespace,
            security(settings.kafka),
        )
        hooks = Hooks(metrics=metrics.EngineCounters(), on_ready=exposition.ready)
        run_stage(make(name, settings, number, segments), config, hooks)
