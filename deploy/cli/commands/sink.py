"""`touchline sink`."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import click

from deploy.cli.options import configuration, next_option, stop_signal
from deploy.config.settings import Settings
from deploy.kafka import control
from deploy.runtime import factories, metrics
from deploy.runtime.garbage_collection import collect_rarely
from deploy.runtime.membership import end_with, joined
from sinks.clickhouse.writer import run_sink


@click.command()
@next_option
@click.pass_context
def command(context: click.Context, following: bool) -> None:
    """Run the writer to ClickHouse until SIGTERM or SIGINT, or until another epoch is present."""
    settings = configuration(context, "sink").settings
    with metrics.Exposition(settings.metrics.host, settings.metrics.port) as exposition:
        which = control.NEXT if following else control.PRESENT
        present = joined(settings, which)
        exposition.ready()
        asyncio.run(_run(settings, present))


async def _run(settings: Settings, present: control.Present) -> None:
    stop = stop_signal()
    end_with(settings, present)
    config = replace(factories.sink_config(settings, present.namespace), epoch=present.epoch)
    collect_rarely()
    await run_sink(config, stop, metrics=metrics.SinkCounters())
