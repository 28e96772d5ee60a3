"""`touchline local-clickhouse`."""

from __future__ import annotations

import asyncio
from pathlib import Path

import click

from deploy.cli.configuration import load_configuration
from deploy.cli.options import data_option
from deploy.local.extra import ENGINE, require_packages


@click.command()
@data_option(Path(".touchline/clickhouse"), "Folder that keeps everything.")
@click.option("--host", default="127.0.0.1", show_default=True)
@click.option("--port", default=8123, show_default=True, help="0 takes a free one.")
@click.pass_context
def command(context: click.Context, data: Path, host: str, port: int) -> None:
    """Run ClickHouse's engine on a local folder until SIGTERM or SIGINT; print its address."""
    load_configuration(context, "clickhouse")
    require_packages(ENGINE)
    from deploy.local.clickhouse_http import serve  # noqa: PLC0415 - imports what may not be installed

    asyncio.run(serve(data, host, port, click.echo))
