"""`touchline sink`."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import click

from deploy import epoch, metrics, wiring
from deploy.collector import collect_rarely
from deploy.commands import configuration, next_option, stop_signal
from deploy.generation import end_with, joined
from deploy.settings import Settings
from sinks.sink import run_sink


@click.command()
@next_option
@click.pass_context
def command(context: click.Context, following: bool) -> None:
    """Run the writer to ClickHouse until SIGTERM or SIGINT, or until another epoch is present."""
    settings = configuration(context, "sink").settings
    with metrics.Exposition(settings.metrics.host, settings.metrics.port) as exposition:
        which = epoch.NEXT if following else epoch.PRESENT
        present = joined(settings, which)
        exposition.ready()
        asyncio.run(_run(settings, present))


async def _run(settings: Settings, present: epoch.Present) -> None:
    stop = stop_signal()
    end_with(settings, present)
    config = replace(wiring.sink_config(settings, present.namespace), epoch=present.epoch)
    collect_rarely()
    await run_sink(config, stop, metrics=metrics.SinkCounters())
