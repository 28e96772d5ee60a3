"""`touchline sink`."""

from __future__ import annotations

import asyncio

import click

from deploy import metrics, wiring
from deploy.commands import configuration, stop_signal
from deploy.settings import Settings
from sinks.sink import run_sink


@click.command()
@click.pass_context
def command(context: click.Context) -> None:
    """Run the writer to ClickHouse until SIGTERM or SIGINT."""
    asyncio.run(_run(configuration(context, "sink").settings))


async def _run(settings: Settings) -> None:
    with metrics.Exposition(settings.metrics.host, settings.metrics.port) as exposition:
        exposition.ready()
        await run_sink(wiring.sink_config(settings), stop_signal(), metrics=metrics.SinkCounters())
